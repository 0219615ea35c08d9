"""Keeps account: each invocation is answered once, as itself, and each line of the log is its own."""

import base64
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING

from invocations import Invocation

if TYPE_CHECKING:
    from runtime_api import Request

MOST_KEPT = 20
"""Of the mistakes; all are counted."""


class Ledger:
    def __init__(self) -> None:
        self.answers = 0
        self.records = 0
        self.mistakes = 0
        self.examples: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.measured: list[tuple[int, int, int, int]] = []
        """Number, Python's memory blocks, bytes of malloc, bytes of resident memory."""
        self._outstanding: dict[str, Invocation] = {}
        self._lost: dict[str, Invocation] = {}
        self._untold: dict[str, tuple[Invocation, list[str]]] = {}
        """Invocations with log records that are still to come."""
        self._printed: set[int] = set()
        self._lock = threading.Lock()

    def given(self, invocation: Invocation) -> None:
        with self._lock:
            self._outstanding[invocation.request_id] = invocation
            self._untold[invocation.request_id] = (invocation, invocation.records)
            if invocation.kind in ("print", "measure"):
                self._printed.add(invocation.n)

    def is_whole(self, number: int) -> bool:
        with self._lock:
            return self.answers == number and not self._outstanding and not self._lost

    def missing(self) -> list[str]:
        """What has not come, of answers, records and prints."""
        with self._lock:
            records = [f"record {missing} of {name}" for name, (_, missing) in self._untold.items()]
            return [*self._outstanding, *records, *(f"print of {n}" for n in sorted(self._printed))]

    def answered(self, request_id: str, outcome: str, request: "Request") -> Invocation | None:
        """The invocation that this is the first answer to; None where Lambda would refuse it."""
        with self._lock:
            invocation = self._outstanding.pop(request_id, None)
            again = self._lost.pop(request_id, None) if invocation is None else None
            if invocation is not None:
                self.answers += 1
                self.kinds[invocation.kind] += 1
                if invocation.kind == "lost":
                    self._lost[request_id] = invocation
        if problem := _problem(invocation or again, outcome, request):
            self._mistake(f"{request.path}: {problem}")
        return invocation

    def line(self, line: str) -> None:
        """A line of standard output."""
        if line.startswith("{"):
            self._record(json.loads(line))
            return
        match line.split():
            case ["printed", "by", n, "as", request_id, "end"] if request_id == Invocation(int(n), "").request_id:
                self._has_printed(int(n))
            case ["in", "use", n, blocks, in_use, resident, "end"]:
                self._has_printed(int(n))
                self.measured.append((int(n), int(blocks), int(in_use), int(resident)))
            case _:
                self._mistake(f"standard output: {line[:200]!r}")

    def _record(self, record: dict[str, str | None]) -> None:
        request_id, text = str(record.get("requestId")), str(record.get("message") or record.get("errorMessage"))
        with self._lock:
            self.records += 1
            invocation, expected = self._untold.get(request_id, (None, []))
            found = next((message for message in expected if message in text), None)
            if found is not None:
                expected.remove(found)
                if not expected:
                    del self._untold[request_id]
        if invocation is None or found is None or record.get("tenantId") != _tenant_in(record, invocation):
            self._mistake(f"log: {str(record)[:300]}")

    def _has_printed(self, n: int) -> None:
        with self._lock:
            known = n in self._printed
            self._printed.discard(n)
        if not known:
            self._mistake(f"printed by {n}, which does not print, or did twice")

    def _mistake(self, what: str) -> None:
        with self._lock:
            self.mistakes += 1
            if len(self.examples) < MOST_KEPT:
                self.examples.append(what)


def _tenant_in(record: dict[str, str | None], invocation: Invocation) -> str | None:
    """Reports of failures have no tenant."""
    return None if "errorMessage" in record else invocation.tenant


def _problem(invocation: Invocation | None, outcome: str, request: "Request") -> str:
    """What is wrong with an answer; empty when nothing is."""
    if invocation is None:
        return "answered twice, or never given"
    if request.headers.get("lambda-runtime-invocation-id") != invocation.invocation_id:
        return f"has the invocation id {request.headers.get('lambda-runtime-invocation-id')}"
    if outcome != invocation.outcome:
        return f"is no {invocation.outcome}: {request.body[:300]!r}"
    if outcome == "error":
        return _problem_of_report(invocation, request.body)
    if invocation.kind == "broken stream":
        report = base64.b64decode(request.trailers.get("lambda-runtime-function-error-body", ""))
        return _problem_of_report(invocation, report) or _difference(invocation, request.body)
    return _difference(invocation, request.body)


def _difference(invocation: Invocation, body: bytes) -> str:
    return "" if body == invocation.body else f"{invocation.kind}: {body[:300]!r} is not {invocation.body[:300]!r}"


def _problem_of_report(invocation: Invocation, report: bytes) -> str:
    fields = json.loads(report or b"{}")
    found = (fields.get("requestId"), fields.get("errorMessage"))
    expected = (invocation.request_id, invocation.message)
    return "" if found == expected else f"{found} is not {expected}"
