"""`whipsnake bench` as people run it, with as few turns as there can be."""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conftest import reference_python
from reference import HOW_TO_GET_IT

FEW = ["--case", "empty", "--starts", "2", "--invocations", "1", "--soak", "20"]
KINDS = [option for kind in ("cold", "warm", "phases", "memory", "sizes") for option in ("--only", kind)]


class Benched:
    """What one run printed and wrote."""

    def __init__(self, cli: Path, bootstrap: Path, folder: Path, page: Path) -> None:
        python = reference_python()
        if python is None:
            pytest.skip(HOW_TO_GET_IT)
        self.folder = folder
        self.page = folder / "page.md"
        self.page.write_text(page.read_text())
        files = ["--json", "results.json", "--report", "report.html", "--plots", "plots", "--lambda-perf", "records.json"]
        command: list[str | Path] = [
            cli,
            "bench",
            "--reference",
            python,
            "--bootstrap",
            bootstrap,
            *FEW,
            *KINDS,
            *files,
            "--page",
            "page.md",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", "standard error is no terminal: there is nobody to show progress to"
        self.table = done.stdout
        self.results = json.loads(self.read("results.json"))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture(scope="session")
def benched(cli: Path, bootstrap: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Benched:
    return Benched(cli.resolve(), bootstrap.resolve(), tmp_path_factory.mktemp("bench"), repository / "docs/benchmarks.md")


class Reader(HTMLParser):
    """Reads a page and notes what is left open and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.figures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "svg"
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One that has no end."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_everything_is_measured_in_turn(benched: Benched) -> None:
    turns = {
        (series["measure"], series["case"], series["contender"]): [len(turn) for turn in series["turns"]]
        for series in benched.results["series"]
    }
    for contender in ("whipsnake", "whipsnake again", "awslambdaric"):
        assert turns["cold_start", "empty", contender] == [1, 1]
        assert turns["first_invocation", "empty", contender] == [1, 1]
        assert turns["warm", "100 B", contender] == [4] * 5
    assert turns["cold_start", "empty", "python -I -S -c pass"] == [1, 1]
    for contender in ("checkpoint of imports", "checkpoint of init", "checkpoint off", "no restorer"):
        assert turns["cold_start", "empty", f"whipsnake, {contender}"] == [1, 1]
        assert turns["first_response", "empty", f"whipsnake, {contender}"] == [1, 1]
        assert ("warm", "100 B", f"whipsnake, {contender}") not in turns
    assert ("warm", "5.9 MB", "whipsnake") not in turns
    assert any("5.9 MB" in skipped for skipped in benched.results["skipped"])


def test_phases_make_up_the_whole_start(benched: Benched) -> None:
    phases = {looked["contender"]: dict(looked["phases"]) for looked in benched.results["phases"]}
    assert phases.keys() >= {"whipsnake", "awslambdaric"}
    for contender, by_name in phases.items():
        assert list(by_name) == ["process", "interpreter", "runtime", "the function's imports", "first request"]
        assert by_name["process"] > 0, contender
        assert by_name["runtime"] > 0, contender
        assert by_name["first request"] > 0, contender
    assert phases["whipsnake"]["runtime"] < phases["awslambdaric"]["runtime"]
    imported = {looked["contender"]: looked["modules"] for looked in benched.results["phases"]}
    assert 0 < imported["whipsnake"] < imported["awslambdaric"]


def test_memory_is_told_as_invocations_grow(benched: Benched) -> None:
    for memory in benched.results["memory"]:
        assert [served for served, _ in memory["pss_kb"]] == list(range(0, 22, 2))
        assert all(1000 < kilobytes < 100_000 for _, kilobytes in memory["pss_kb"])


def test_what_a_checkpoint_adds_to_the_zip_is_measured(benched: Benched) -> None:
    assert [(size["case"], size["contender"]) for size in benched.results["sizes"]] == [
        ("empty", "whipsnake, checkpoint of imports"),
        ("empty", "whipsnake, checkpoint of init"),
    ]
    assert all(100_000 < size["zipped"] < size["bytes"] < 20_000_000 for size in benched.results["sizes"])


def test_the_table_has_medians_ratios_and_noise(benched: Benched) -> None:
    assert re.search(r"^    whipsnake +\d[\d.]* ms +- +\d\.\d{3}   \d\.\d{3} to \d\.\d{3}$", benched.table, re.MULTILINE)
    assert re.search(
        r"^  cold start of an empty handler.* +0\.170 +\d\.\d{3} .*(reached|REACHED)$", benched.table, re.MULTILINE
    )
    assert re.search(r"^  checkpoint: an empty handler +0\.060 +\d\.\d{3} ", benched.table, re.MULTILINE)
    assert "whipsnake beside itself, cold start, empty" in benched.table


def test_the_report_needs_nothing_else(benched: Benched) -> None:
    reader = Reader()
    reader.feed(benched.read("report.html"))
    assert reader.open == []
    assert reader.loads == []
    assert reader.figures == len([*(benched.folder / "plots").iterdir()])
    assert "<script" not in benched.read("report.html")


def test_plots_are_well_formed_and_keep_to_their_edges(benched: Benched) -> None:
    names = {file.name for file in (benched.folder / "plots").iterdir()}
    assert names == {"start-empty.svg", "phases-empty.svg", "memory.svg", "warm-100-b.svg", "warm-2-kb-api-gateway.svg"}
    for name in names:
        figure = ElementTree.fromstring(benched.read(f"plots/{name}"))
        left, top, width, height = map(float, figure.attrib["viewBox"].split())
        texts = [element for element in figure.iter() if element.tag.endswith("text")]
        assert len(texts) > 5
        for element in texts:
            assert left <= float(element.attrib["x"]) <= left + width, (name, element.text)
            assert top <= float(element.attrib["y"]) <= top + height, (name, element.text)


def test_records_have_the_shape_of_lambda_perf(benched: Benched) -> None:
    records = json.loads(benched.read("records.json"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", records["metadata"]["generatedAt"])
    by_name = {record["d"]: record for record in records["runtimeData"]}
    ours = by_name["whipsnake: empty"]
    assert list(ours) == ["r", "p", "d", "i", "m", "a", "mu", "ad", "acd"]
    assert ours["r"].split("-")[:2] == ["lambda", "perf"]
    assert len(ours["r"].split("-")) == 6, "lambda-perf splits the name into path, package type, memory and architecture"
    assert len(ours["i"]) == 2
    assert ours["acd"] == pytest.approx(sum(ours["i"]) / 2, abs=0.001)


def test_the_page_gets_its_figures(benched: Benched) -> None:
    page = benched.page.read_text()
    assert re.search(r"^\| cold start of an empty handler, to awslambdaric's \| 0\.170 \| \d\.\d{3} \|", page, re.MULTILINE)
    assert page.startswith("# Benchmarks\n")
    assert page.count("<!-- until here -->") == 1
