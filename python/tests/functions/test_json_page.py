"""The tables of docs/concepts/json.md: each row is an event or a result of a function."""

import json
import re
from pathlib import Path

import pytest

from conftest import PlayFunction
from playing import Run, payload

ROW = re.compile(r"^\| `(?P<given>.+?)` \| `(?P<becomes>.+?)` \|", re.MULTILINE)

APP = """
from collections import namedtuple
from decimal import Decimal

Point = namedtuple("Point", ["x", "y"])

def given(event, context):
    return ascii(event)

def returned(event, context):
    return eval(event)
"""


@pytest.fixture(scope="module")
def tables(repository: Path) -> list[list[tuple[str, str]]]:
    """What is given and what becomes of it, table by table."""
    page = (repository / "docs/concepts/json.md").read_text()
    return [[(row["given"], row["becomes"]) for row in ROW.finditer(section)] for section in page.split("\n## ")[1:3]]


def outcomes(run: Run) -> list[str]:
    """The responses as text, and the types of faults."""
    answers = run.answers.values()
    return [answer.body.decode() if answer.path.endswith("/response") else answer.json()["errorType"] for answer in answers]


def test_events_become_what_the_page_says(play: PlayFunction, tables: list[list[tuple[str, str]]]) -> None:
    rows = tables[0]
    assert len(rows) > 5
    run = play({"app.py": APP}, handler="app.given", events=[payload(given.encode()) for given, _ in rows])
    expected = [becomes if becomes.startswith("Runtime.") else json.dumps(ascii(eval(becomes))) for _, becomes in rows]
    assert outcomes(run) == expected


def test_results_become_what_the_page_says(play: PlayFunction, tables: list[list[tuple[str, str]]]) -> None:
    rows = tables[1]
    assert len(rows) > 5
    run = play({"app.py": APP}, handler="app.returned", events=[given for given, _ in rows])
    assert outcomes(run) == [becomes for _, becomes in rows]
