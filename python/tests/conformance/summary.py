"""What a whole run of the suite found: its counts, the recordings, and the page of behaviours.

Lives in the process that reports, which is another one than those that run the cases.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance import page, recording
from conformance.case import Section

PROPERTY = "conformance"
"""The name under which a case's test tells what it found."""

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"


class Summary:
    """Gathers what the cases' tests tell. `WHIPSNAKE_WRITE_DOCS` has the recordings and the page written instead of checked."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sections
        self._outcomes: dict[str, str] = {}
        self._views: dict[str, dict[str, Any]] = {}
        self._python = ""
        self._problems: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, told in report.user_properties:
            if name == PROPERTY and isinstance(told, dict) and report.when == "call":
                self._outcomes[told["name"]] = report.outcome
                self._python = told.get("python", self._python)
                if "view" in told:
                    self._views[told["name"]] = told["view"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        expected = {f"{behaviour.id} {case.name}" for section in self._sections for behaviour, case in section.cases()}
        if {*self._outcomes} != expected or "failed" in self._outcomes.values():
            return
        written = page.page(self._sections)
        if os.environ.get("WHIPSNAKE_WRITE_DOCS"):
            PAGE.write_text(written)
            if self._views:
                recording.write(self._python, self._views)
            return
        if not PAGE.exists() or PAGE.read_text() != written:
            self._problems.append(f"{PAGE.name} is not what the cases say: `make recordings` writes it anew")
        self._problems += [
            f"{name}: awslambdaric shows something else than its recording has: `make recordings`, and look at what changed"
            for name, view in self._views.items()
            if recording.is_of(self._python, name) and recording.read(self._python, name) != view
        ]
        if self._problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        cases = [
            (behaviour, case)
            for section in self._sections
            for behaviour, case in section.cases()
            if self._outcomes.get(f"{behaviour.id} {case.name}")
        ]
        counts = Counter(page.verdict(case) for _, case in cases)
        invocations = sum(len(case.events) for _, case in cases)
        against = "awslambdaric" if self._views else "awslambdaric's recordings"
        terminalreporter.write_line(
            f"conformance with {against} on CPython {self._python}: {len(cases)} cases of "
            f"{len({behaviour.id for behaviour, _ in cases})} behaviours with {invocations} invocations: "
            + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items(), reverse=True))
        )
        for problem in self._problems:
            terminalreporter.write_line(problem, red=True)
