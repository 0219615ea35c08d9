"""docs/specification.md: each of its promises is one that a test enforces."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "specification.md"

ROW = re.compile(r"^\| (?P<number>[A-Z]\d+) \| (?P<promise>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"\[`(?P<name>\w+)`\]\((?P<file>[^)]+)\)")
ROWS = list(ROW.finditer(PAGE.read_text()))


def test_promises_are_numbered_and_none_is_lost() -> None:
    written = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| | ")]
    assert written == [row[0] for row in ROWS]
    numbers = [row["number"] for row in ROWS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["number"])
def test_the_tests_of_a_promise_exist(row: re.Match[str]) -> None:
    tests = list(TEST.finditer(row["tests"]))
    assert tests, "a promise names its tests as [`test_name`](path/of/its/file)"
    for test in tests:
        source = (PAGE.parent / test["file"]).read_text()
        assert re.search(rf"\b(?:def|fn) {test['name']}\(", source), f"{test['file']} has no {test['name']}"
