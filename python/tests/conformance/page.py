"""docs/compatibility.md: every behaviour, whether ours is the same or better, and the cases that show it."""

import html
import re
from collections.abc import Iterator, Sequence

from conformance.case import Behaviour, Case, Section

HEAD = """\
<!-- Written by `make recordings` from python/tests/conformance/sections. Do not edit. -->

# Compatibility with the managed runtime

What functions can rely on under AWS's managed Python runtime, and what Whipsnake does about it. Each case below is run under
awslambdaric 4.2.2, which is what the managed runtime runs, and under Whipsnake, on the same CPython and with the same events.
What is compared: the requests in their order, the headers that Lambda reads, the bodies byte for byte, both output streams,
and how the process ends. *Same* means that none of it differs; *better* says what is different and why; *free* says what is
not compared.

"""


def page(sections: Sequence[Section]) -> str:
    """The whole page."""
    counts = [(case, behaviour) for section in sections for behaviour, case in section.cases()]
    behaviours = sum(len(section.behaviours) for section in sections)
    better = sum(bool(case.better) for case, _ in counts)
    summary = f"{behaviours} behaviours, {len(counts)} cases: {len(counts) - better} the same, {better} better.\n"
    return HEAD + summary + "".join("\n" + "\n".join(_section(section)) + "\n" for section in sections)


def verdict(case: Case) -> str:
    """In one word."""
    if case.missing:
        return "missing"
    return "better" if case.better else "same"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield "| | Behaviour | Whipsnake | Shown by |"
    yield "|---|---|---|---|"
    for behaviour in section.behaviours:
        cells = (behaviour.id, behaviour.text, "<br>".join(_verdicts(behaviour)), _cases(behaviour))
        yield "| " + " | ".join(map(_cell, cells)) + " |"


def _verdicts(behaviour: Behaviour) -> Iterator[str]:
    cases = behaviour.cases
    if any(not case.better and not case.missing for case in cases):
        yield "same"
    for because in dict.fromkeys(case.better.because for case in cases if case.better and not case.missing):
        yield f"better: {because}"
    for reason in dict.fromkeys(reason for case in cases for reason in case.free.values()):
        yield f"free: {reason}"
    for missing in dict.fromkeys(case.missing for case in cases if case.missing):
        yield f"not there yet: {missing}"
    if behaviour.note:
        yield behaviour.note


def _cases(behaviour: Behaviour) -> str:
    return ", ".join(
        _plain(case.name) if len(case.events) < 2 else f"{_plain(case.name)} ({len(case.events)} events)"
        for case in behaviour.cases
    )


def _plain(name: str) -> str:
    """A name that Markdown takes for nothing else."""
    return re.sub(r"([*_`\\[\]])", r"\\\1", html.escape(name, quote=False))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
