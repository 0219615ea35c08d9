"""What an empty handler's start may cost, counted: time is noise on a machine that others use too, instructions are not.

Two gates, and neither skips. The first holds for any CPython: a whole start costs less than that CPython takes to run nothing.
The second is the table bounds.json, by CPython's version, processor and kind of libpython. The very build that a row was
counted on has to meet it closely. Other builds of the same version are compared by what they cost beyond their own CPython.

`make bounds` writes the row of this machine's CPython again. Do it when a cost has changed for a reason, or has no row.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import PlayFunction

BOUNDS = Path(__file__).with_name("bounds.json")

TOLERANCE = 0.03
"""What the C library and the kernel of another machine may add."""
BETWEEN_BUILDS = 0.10
"""What another compiler may add to the instructions, and to the executable."""
CALLS_BETWEEN_BUILDS = 25
FILES_BETWEEN_BUILDS = 2
"""What other places of the standard library, and other libraries, may add to system calls and opened files."""

FIGURES = ("instructions", "system_calls", "opened_files", "executable_bytes")
SHARE_OF_PYTHON = 0.85
"""Of the instructions of `python3 -I -S -c pass`; without -S if there are files for `site`. It was 0.78 on CPython 3.14 with a
shared libpython."""

type Counts = dict[str, int]


@dataclass(frozen=True)
class Build:
    """The CPython in the bootstrap."""

    version: str
    """To the day on which it was compiled: each build has costs of its own."""
    kind: str
    """Such as `3.14 x86_64 shared`."""
    executable: str


@pytest.fixture(scope="module")
def build(play: PlayFunction) -> Build:
    app = """
        import sys
        def handler(event, context):
            minor = "%d.%d" % sys.version_info[:2] + getattr(sys, "abiflags", "")
            return [sys.version, minor, "libpython" in open("/proc/self/maps").read(), sys.executable]
    """
    version, minor, is_shared, executable = play({"app.py": app}, events=[{}]).response
    return Build(version, f"{minor} {platform.machine()} {'shared' if is_shared else 'static'}", executable)


def needs_counters() -> None:
    for program in ("valgrind", "strace"):
        assert shutil.which(program), f"{program} is not installed, and a start cannot be counted without it"


@pytest.fixture(scope="module")
def costs(cli: Path, bootstrap: Path, tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Of an empty handler's start, until it asks for the first invocation."""
    needs_counters()
    results = tmp_path_factory.mktemp("counted") / "results.json"
    command: list[str | Path] = [
        cli,
        "bench",
        "--bootstrap",
        bootstrap,
        "--case",
        "empty",
        "--only",
        "counts",
        "--json",
        results,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    counts = next(counts for counts in json.loads(results.read_text())["counts"] if counts["contender"] == "whipsnake")
    return {figure: counts[figure] for figure in FIGURES}


@pytest.fixture(scope="module")
def python_costs(build: Build, files_for_site: list[str], tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Of the same CPython, which runs nothing. It imports `site` only if a start does as well, as there are files for it."""
    needs_counters()
    traced = tmp_path_factory.mktemp("traced") / "strace"
    python = [build.executable, "-I", *([] if files_for_site else ["-S"]), "-c", "pass"]

    def run(*prefix: str | Path) -> str:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        ran = subprocess.run([*prefix, *python], capture_output=True, text=True, check=True, timeout=120, env=environment)
        return ran.stderr

    collected = re.search(r"Collected : (\d+)", run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"))
    assert collected is not None
    run("strace", "-f", "-o", traced)
    calls = re.findall(r"^\d+ +([a-z]\w*)\(.* = (\S+)", traced.read_text(), re.MULTILINE)
    opened = [result for call, result in calls if call in ("open", "openat") and result.isdigit()]
    return {"instructions": int(collected[1]), "system_calls": len(calls), "opened_files": len(opened)}


def test_a_start_costs_less_than_python_alone(costs: Counts, python_costs: Counts) -> None:
    share = costs["instructions"] / python_costs["instructions"]
    assert share <= SHARE_OF_PYTHON, f"{costs} compared with {python_costs} of CPython alone"
    assert costs["system_calls"] <= python_costs["system_calls"] + 3 * CALLS_BETWEEN_BUILDS
    assert costs["opened_files"] <= python_costs["opened_files"] + FILES_BETWEEN_BUILDS


def test_a_start_costs_no_more_than_it_did(build: Build, costs: Counts, python_costs: Counts) -> None:
    """The figures of a build with another profile than Cargo.toml's are the same, but for the size of the executable."""
    is_release = not any(name.startswith("CARGO_PROFILE_RELEASE_") for name in os.environ)
    bounds = json.loads(BOUNDS.read_text())
    if os.environ.get("WHIPSNAKE_WRITE_BOUNDS") is not None:
        assert is_release, "CARGO_PROFILE_RELEASE_* asks for another profile than Cargo.toml's: unset it and build again"
        row = {"python": build.version, "start": costs, "python_alone": python_costs}
        BOUNDS.write_text(json.dumps(dict(sorted((bounds | {build.kind: row}).items())), indent=2) + "\n")
        return
    assert build.kind in bounds, f"there are no bounds for CPython {build.kind}: run `make bounds` on a commit that is good"
    row = bounds[build.kind]
    allowed = {figure: bound * (1 + TOLERANCE) for figure, bound in row["start"].items()}
    # The same build costs more where there are files for `site`.
    alone = python_costs["instructions"] / row["python_alone"]["instructions"]
    if build.version != row["python"] or abs(alone - 1) > TOLERANCE:
        allowed = allowed_for_another_build(row["start"], row["python_alone"], python_costs)
        if build.kind.endswith("static"):
            # Most of it is CPython's code.
            del allowed["executable_bytes"]
    if not is_release:
        allowed.pop("executable_bytes", None)
    above = {figure: f"{costs[figure]} instead of {bound:.0f}" for figure, bound in allowed.items() if costs[figure] > bound}
    assert not above, f"a start costs more than on {row['python']}: {above}"


def allowed_for_another_build(start: Counts, python_alone: Counts, python_costs: Counts) -> dict[str, float]:
    """By what that build's CPython costs alone."""
    share = start["instructions"] / python_alone["instructions"]
    beyond = {figure: start[figure] - python_alone[figure] for figure in ("system_calls", "opened_files")}
    return {
        "instructions": python_costs["instructions"] * share * (1 + BETWEEN_BUILDS),
        "system_calls": python_costs["system_calls"] + beyond["system_calls"] + CALLS_BETWEEN_BUILDS,
        "opened_files": python_costs["opened_files"] + beyond["opened_files"] + FILES_BETWEEN_BUILDS,
        "executable_bytes": start["executable_bytes"] * (1 + BETWEEN_BUILDS),
    }


def test_the_bounds_are_of_this_form() -> None:
    for kind, row in json.loads(BOUNDS.read_text()).items():
        assert re.fullmatch(r"3\.\d+[a-z]* \w+ (shared|static)", kind)
        assert row.keys() == {"python", "start", "python_alone"}
        assert row["python"].startswith(kind.split()[0].rstrip("abcdefghijklmnopqrstuvwxyz"))
        assert row["start"].keys() == {*FIGURES}
        # What a bound lets through must not be what the gate for all CPythons stops.
        assert row["start"]["instructions"] <= SHARE_OF_PYTHON * row["python_alone"]["instructions"]
