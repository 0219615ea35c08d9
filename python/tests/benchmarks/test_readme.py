"""The figures of the README are those of docs/benchmarks.md, where `make bench-report` writes them."""

import json
import re
from pathlib import Path

import pytest

# What a row of the README is about: the table of the page, whose rows are taken, and by which name ours goes.
ROWS = {
    "cold start, `json`, `logging` and `os` imported": ("imports, imports json, logging and os", "whipsnake", "awslambdaric"),
    "cold start, a boto3 client, packed": ("boto3, a boto3 s3 client in the module", "whipsnake, packed", "awslambdaric"),
    "the same, beside a function deployed without bytecode": (
        "boto3, a boto3 s3 client in the module",
        "whipsnake, packed",
        "awslambdaric, no .pyc",
    ),
    "warm, 2 kB from API Gateway": ("2 kB, API Gateway", "whipsnake", "awslambdaric"),
}


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


@pytest.fixture(scope="module")
def medians(repository: Path) -> dict[tuple[str, str], str]:
    """Of the page's tables, by function or event and by who ran it."""
    found, case = {}, ""
    for line in (repository / "docs/benchmarks.md").read_text().splitlines():
        if head := re.match(r"\| \*\*(.*?)\*\* \|", line):
            case = head[1]
        elif row := re.match(r"\| (.+?) \| ([\d.]+ ms) \|", line):
            found[case, row[1]] = row[2]
    return found


def figures(readme: str, row: str) -> list[str]:
    (line,) = [line for line in readme.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_claim_is_what_the_page_says(readme: str, medians: dict[tuple[str, str], str]) -> None:
    claimed = re.findall(r"\*\*([\d.]+) ms\*\*", readme)
    measured = [medians["empty, a handler and nothing else", name] for name in ("whipsnake", "awslambdaric")]
    assert claimed == [f"{float(median.removesuffix(' ms')):.1f}" for median in measured]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_what_the_page_says(readme: str, medians: dict[tuple[str, str], str], row: str) -> None:
    case, *names = ROWS[row]
    ours, theirs, ratio = figures(readme, row)
    assert [ours, theirs] == [medians[case, name] for name in names]
    assert float(ratio) == pytest.approx(float(ours.removesuffix(" ms")) / float(theirs.removesuffix(" ms")), abs=0.02)


def test_memory_is_that_of_the_raw_data(readme: str, repository: Path) -> None:
    raw = json.loads((repository / "docs/benchmarks/results.json").read_text())["memory"]
    empty = {entry["contender"]: entry["pss_kb"][0][1] for entry in raw if entry["case"] == "empty"}
    measured = [empty["whipsnake"], empty["awslambdaric"]]
    ours, theirs, ratio = figures(readme, "memory of an empty handler")
    assert [ours, theirs] == [f"{kilobytes / 1024:.1f} MB" for kilobytes in measured]
    assert ratio == f"{measured[0] / measured[1]:.2f}"
