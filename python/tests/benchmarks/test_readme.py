"""The figures of the README are those of docs/benchmarks.md, where `make bench-report` writes them."""

import json
import re
from pathlib import Path

import pytest

STARTS = {
    "nothing but a handler": ("empty, a handler and nothing else", "whipsnake", "empty handler"),
    "`json`, `logging` and `os`": ("imports, imports json, logging and os", "whipsnake", "json, logging, os"),
    "a boto3 client": ("boto3, a boto3 s3 client in the module", "whipsnake, packed", "boto3 s3 client"),
    "two pydantic models": ("pydantic, two pydantic models", "whipsnake, packed", "two pydantic models"),
    "numpy": ("numpy, a numpy array", "whipsnake, packed", "numpy"),
    "a FastAPI application": (None, None, "FastAPI application"),
    "pandas": (None, None, "pandas"),
}
"""For a row of the README: function and runtime in the page's table of cold starts, and the row in its table of checkpoints."""


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


@pytest.fixture(scope="module")
def rows(repository: Path) -> list[tuple[str, str]]:
    """The rows of the page's tables, each with the function or event that the table is about."""
    found, case = [], ""
    for line in (repository / "docs/benchmarks.md").read_text().splitlines():
        if head := re.match(r"\| \*\*(.*?)\*\* \|", line):
            case = head[1]
        else:
            found.append((case, line))
    return found


@pytest.fixture(scope="module")
def medians(rows: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Of the page's tables, by function or event and by who ran it."""
    matches = ((case, re.match(r"\| (.+?) \| ([\d.]+ ms) \|", line)) for case, line in rows)
    return {(case, row[1]): row[2] for case, row in matches if row}


def figures(readme: str, row: str) -> list[str]:
    (line,) = [line for line in readme.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_claim_is_what_the_page_says(readme: str, medians: dict[tuple[str, str], str]) -> None:
    claimed = re.findall(r"\*\*([\d.]+) ms\*\*", readme)
    measured = [medians["empty, a handler and nothing else", name] for name in ("whipsnake", "awslambdaric")]
    assert claimed == [f"{float(median.removesuffix(' ms')):.1f}" for median in measured]


@pytest.fixture(scope="module")
def ratios(rows: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The page's ratios of cold starts, by function and runtime, and those of checkpoints, by function and kind."""
    found: dict[tuple[str, str], str] = {}
    for case, line in rows:
        if row := re.match(r"\| (.+?) \| [\d.]+ ms \| ([\d.]+) \|", line):
            found[case, row[1]] = row[2]
        elif row := re.match(r"\| (.+?) \| ([\d.]+) \| [\d.]+ to [\d.]+ \| ([\d.]+) \|", line):
            found.setdefault((row[1], "imports"), row[2])
            found.setdefault((row[1], "init"), row[3])
    return found


@pytest.mark.parametrize("row", STARTS)
def test_a_cold_start_is_what_the_page_says(readme: str, ratios: dict[tuple[str, str], str], row: str) -> None:
    case, runtime, of_checkpoint = STARTS[row]
    ordinary, imports, init = figures(readme, row)
    assert ordinary == (f"{float(ratios[case, runtime]):.2f}" if case and runtime else "not measured")
    assert [imports, init] == [ratios[of_checkpoint, kind] for kind in ("imports", "init")]


def test_a_warm_invocation_is_what_the_page_says(readme: str, medians: dict[tuple[str, str], str]) -> None:
    ours, theirs, ratio = figures(readme, "warm, 2 kB from API Gateway")
    assert [ours, theirs] == [medians["2 kB, API Gateway", name] for name in ("whipsnake", "awslambdaric")]
    assert float(ratio) == pytest.approx(float(ours.removesuffix(" ms")) / float(theirs.removesuffix(" ms")), abs=0.02)


def test_memory_is_that_of_the_raw_data(readme: str, repository: Path) -> None:
    raw = json.loads((repository / "docs/benchmarks/results.json").read_text())["memory"]
    empty = {entry["contender"]: entry["pss_kb"][0][1] for entry in raw if entry["case"] == "empty"}
    measured = [empty["whipsnake"], empty["awslambdaric"]]
    ours, theirs, ratio = figures(readme, "memory of an empty handler")
    assert [ours, theirs] == [f"{kilobytes / 1024:.1f} MB" for kilobytes in measured]
    assert ratio == f"{measured[0] / measured[1]:.2f}"
