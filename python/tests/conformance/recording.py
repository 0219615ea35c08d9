"""Recordings of the managed runtime: what the platform saw of it in each case, kept in `recordings/`.

With them the suite also runs where awslambdaric cannot be installed, and a new version of it shows what it changed as a
difference that people can read. `make recordings` writes them anew.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"

LONGEST_TEXT = 4000
"""Longer texts are kept as their beginning and a hash."""

_STANDARD_LIBRARY_FRAME = re.compile(r'(File \\*"<python>/[^"]*?\\*", line )\d+')


def portable(view: dict[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """A view without this machine's folders (`places`: their names everywhere), in what JSON can say."""

    def without_places(text: str) -> str:
        for place, name in places.items():
            text = text.replace(place, name)
        return _STANDARD_LIBRARY_FRAME.sub(r"\1<n>", text)

    portable = _each_text(view, without_places)
    assert isinstance(portable, dict)
    for shown in portable.values():
        if isinstance(shown, dict) and (cause := shown.get("x-ray")):
            # A set: its order was that of this machine's folders.
            cause["paths"].sort(key=lambda path: (not path.startswith("<python>"), path))
    return portable


def shortened(value: Any) -> Any:
    """A view with long texts as recordings have them."""

    def short(text: str) -> str:
        if len(text) <= LONGEST_TEXT:
            return text
        return f"{text[:200]}... ({len(text)} characters, SHA-256 {hashlib.sha256(text.encode()).hexdigest()})"

    return _each_text(value, short)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case bytes():
            return {"not UTF-8": change(value.decode("latin-1"))}
        case dict():
            return {key: _each_text(part, change) for key, part in value.items() if part is not None}
        case list() | tuple():
            return [_each_text(part, change) for part in value]
        case _:
            return value


def write(python: str, cases: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes all recordings of one Python, by the behaviours' letters; `cases` is by test id."""
    shutil.rmtree(FOLDER / _minor(python), ignore_errors=True)
    letters = sorted({name[0] for name in cases})
    for letter in letters:
        content = {"python": python, "cases": {name: view for name, view in sorted(cases.items()) if name[0] == letter}}
        path = _file(python, letter)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")


def read(python: str, name: str) -> dict[str, Any] | None:
    """What the managed runtime showed in a case, by test id, on the same minor version of Python."""
    return _cases(_file(python, name[0])).get(name)


def is_of(python: str, name: str) -> bool:
    """Whether the recording was made on this very version of Python: another patch may have other texts."""
    return _content(_file(python, name[0])).get("python") == python


def _file(python: str, letter: str) -> Path:
    return FOLDER / _minor(python) / f"{letter}.json"


def _minor(python: str) -> str:
    return python.rpartition(".")[0]


def _cases(path: Path) -> dict[str, Any]:
    cases: dict[str, Any] = _content(path).get("cases", {})
    return cases


@cache
def _content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content
