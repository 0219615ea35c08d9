"""What is asked, and what has to come back: invocation number `n` in all its parts, each of which tells `n`."""

import json
import time
from dataclasses import dataclass
from functools import cached_property

SIZES = ((4_001, 5_000_000), (499, 500_000), (53, 20_000), (3, 1_000))
"""Of each so many invocations, one has so many characters of text; the others have few."""

KINDS = {
    "late": 1013,
    "refused": 211,
    "lost": 331,
    "broken stream": 101,
    "no JSON": 97,
    "fault": 19,
    "stream": 11,
    "print": 7,
    "pause": 5,
}
"""Of each so many invocations, one is of this kind; the others are plain. `refused` and `lost` are the platform's doing."""

FIRST = ("plain", *(kind for kind in KINDS if kind != "late"))
"""The kinds of the first invocations, which are of the largest size. Else the first large stream would come after tens of
thousands, and what the C library's heap then grows to would look like a leak. (What is late has its event in time.)"""


NO_JSON = "Expecting property name enclosed in double quotes or '}': line 1 column 2 (char 1)"
"""What is wrong with an opening brace and nothing else."""


@dataclass(frozen=True)
class Invocation:
    n: int
    kind: str

    @property
    def request_id(self) -> str:
        return f"00000000-0000-4000-8000-{self.n:012}"

    @property
    def invocation_id(self) -> str:
        return f"invocation-{self.n}"

    @property
    def tenant(self) -> str | None:
        return f"tenant-{self.n}" if self.n % 3 else None

    @property
    def trace(self) -> str | None:
        return f"Root=1-{self.n:08x};Sampled=0" if self.n % 4 else None

    @property
    def custom(self) -> str | None:
        return f"custom-{self.n}" if self.n % 5 else None

    @cached_property
    def text(self) -> str:
        (_, largest), *_ = SIZES
        size = largest if self.n <= len(FIRST) else next((size for of, size in SIZES if self.n % of == 0), self.n % 40)
        return (f"{self.n}é " * (size // 4))[:size]

    def answer(self) -> bytes:
        """The head and the body that /next gives."""
        fields = {"n": self.n, "kind": self.kind, "text": self.text}
        body = b"{" if self.kind == "no JSON" else json.dumps(fields, ensure_ascii=False).encode()
        deadline = time.time() + (0.2 if self.kind == "late" else 60)
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Lambda-Runtime-Aws-Request-Id: {self.request_id}\r\nLambda-Runtime-Deadline-Ms: {int(deadline * 1000)}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:012345678912:function:f\r\n"
            f"Lambda-Runtime-Invocation-Id: {self.invocation_id}\r\n"
        )
        if self.trace:
            head += f"Lambda-Runtime-Trace-Id: {self.trace}\r\n"
        if self.tenant:
            head += f"Lambda-Runtime-Aws-Tenant-Id: {self.tenant}\r\n"
        if self.custom:
            head += f'Lambda-Runtime-Client-Context: {{"custom": "{self.custom}"}}\r\n'
        return head.encode() + b"\r\n" + body

    @property
    def told(self) -> dict[str, object]:
        told: dict[str, object] = {"n": self.n, "id": self.request_id, "tenant": self.tenant, "trace": self.trace}
        return told | {"custom": self.custom, "text": self.text}

    @property
    def outcome(self) -> str:
        """The last part of the answer's path."""
        return "error" if self.kind in ("fault", "no JSON", "late") else "response"

    @property
    def message(self) -> str | None:
        """What the function's failure says, wherever it is told; None when it does not fail."""
        return {
            "fault": f"fault {self.n}",
            "broken stream": f"broken {self.n}",
            "late": "the invocation was cancelled at its deadline",
            "no JSON": f"Unable to unmarshal input: {NO_JSON}",
        }.get(self.kind)

    @property
    def body(self) -> bytes:
        """Of a response."""
        if self.kind in ("stream", "broken stream"):
            told = self.told | ({"text": None} if self.kind == "broken stream" else {})
            return "".join(f"{name}={value}\n" for name, value in told.items() if name != "text" or value is not None).encode()
        return json.dumps(self.told, ensure_ascii=False).encode()

    @property
    def records(self) -> list[str]:
        """The messages of its log records, in any order."""
        records = [] if self.kind == "no JSON" else [f"n={self.n}"]
        if self.message:
            records.append(self.message)
        if self.kind in ("refused", "lost"):
            records.append("400")
        return records


@dataclass(frozen=True)
class Load:
    """A sequence of invocations."""

    number: int
    measured: int
    """Of each so many invocations, one measures the process."""
    without: frozenset[str] = frozenset()
    """Kinds that there are none of: where nobody ends an invocation at its deadline, where a pause holds up all others."""

    def invocation(self, n: int) -> Invocation:
        if n % self.measured == 0:
            return Invocation(n, "measure")
        kinds = FIRST[n - 1 : n] or [kind for kind, of in KINDS.items() if n % of == 0]
        return Invocation(n, next((kind for kind in kinds if kind not in self.without), "plain"))
