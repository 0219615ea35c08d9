"""The log record of an error that has more to tell than a stack: what it has to look like.

The managed runtime logs the stack alone. Ours logs what Python itself would print wherever an exception has a cause, a
context, notes or members, and wherever the report is without a stack.
"""

import json
import re
from collections.abc import Callable

KEYS = ["timestamp", "level", "errorMessage", "errorType", "requestId", "stackTrace", "traceback"]


def as_text(headline: str, traceback: str) -> re.Pattern[str]:
    """A record as text: headline and traceback, joined by carriage returns, with leading spaces that do not break.

    In `traceback`, `...` is for anything."""
    lines = [re.sub("^ +", lambda spaces: "\u00a0" * len(spaces[0]), line) for line in _lines(traceback)]
    return re.compile(r"\A" + _pattern("\r".join([f"[ERROR] {headline}", *lines])) + r"\n\Z")


def as_json(traceback: str) -> Callable[[str], bool]:
    """A record in JSON: as ever, and the traceback as its last key."""
    pattern = re.compile(_pattern("".join(f"{line}\n" for line in _lines(traceback))))

    def has_the_traceback(log: str) -> bool:
        record = json.loads(log)
        return [*record] == KEYS and pattern.fullmatch("".join(record["traceback"])) is not None

    return has_the_traceback


def _lines(traceback: str) -> list[str]:
    """The lines between the opening and the closing quotes, which stand where the lines begin."""
    *lines, margin = traceback.removeprefix("\n").split("\n")
    return [line.removeprefix(margin) for line in lines]


def _pattern(text: str) -> str:
    return re.escape(text).replace(re.escape("..."), "(?s:.*)")
