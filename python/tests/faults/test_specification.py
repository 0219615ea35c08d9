"""docs/specification.md and docs/cpython-internals.md: each of their promises is one that a test enforces."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"

ROW = re.compile(r"^\| (?P<number>[A-Z]\d+) \| (?P<promise>.+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"\[`(?P<name>\w+)`\]\((?P<file>[^)]+)\)")
PAGES = {name: (DOCS / name).read_text() for name in ("specification.md", "cpython-internals.md")}
ROWS = [row for page in PAGES.values() for row in ROW.finditer(page)]


def test_promises_are_numbered_and_none_is_lost() -> None:
    """A table of promises is one whose first column has no heading."""
    tables = [
        table for page in PAGES.values() for table in re.findall(r"^\| \| .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    ]
    assert [line for rows in tables for line in rows.splitlines()] == [row[0] for row in ROWS]
    numbers = [row["number"] for row in ROWS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["number"])
def test_the_tests_of_a_promise_exist(row: re.Match[str]) -> None:
    tests = list(TEST.finditer(row["tests"]))
    assert tests, "a promise names its tests as [`test_name`](path/of/its/file)"
    for test in tests:
        source = (DOCS / test["file"]).read_text()
        assert re.search(rf"\b(?:def|fn) {test['name']}\(", source), f"{test['file']} has no {test['name']}"
