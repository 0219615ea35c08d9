"""What an empty handler's start may cost, counted: time is noise on a machine that others use too, instructions are not.

`make bounds` writes the bounds of this machine's CPython anew; do it when a cost has changed for a reason.
"""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import PlayFunction

BOUNDS = Path(__file__).with_name("bounds.json")
TOLERANCE = 0.03
"""What the C library and the kernel of another machine may add."""

FIGURES = ("instructions", "system_calls", "opened_files", "executable_bytes")


@pytest.fixture
def build(play: PlayFunction) -> str:
    """The CPython in the bootstrap, to the day it was compiled, and how it is linked: each build has costs of its own."""
    app = "import sys\ndef handler(*_): return [sys.version, 'libpython' in open('/proc/self/maps').read()]"
    version, is_shared = play({"app.py": app}, events=[{}]).response
    return f"{version} {platform.machine()} {'shared' if is_shared else 'static'}"


def counted(cli: Path, bootstrap: Path, folder: Path) -> dict[str, int]:
    for program in ("valgrind", "strace"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    results = folder / "results.json"
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


def test_a_start_costs_no_more_than_it_did(cli: Path, bootstrap: Path, build: str, tmp_path: Path) -> None:
    if any(name.startswith("CARGO_PROFILE_RELEASE_") for name in os.environ):
        pytest.skip("the bounds are those of the release profile, and CARGO_PROFILE_RELEASE_* asks for another")
    bounds: dict[str, dict[str, int]] = json.loads(BOUNDS.read_text())
    writing = os.environ.get("WHIPSNAKE_WRITE_BOUNDS") is not None
    if build not in bounds and not writing:
        pytest.skip(f"there are no bounds for CPython {build}: `make bounds` writes them")
    costs = counted(cli, bootstrap, tmp_path)
    if writing:
        BOUNDS.write_text(json.dumps(dict(sorted((bounds | {build: costs}).items())), indent=2) + "\n")
        return
    above = {
        figure: f"{costs[figure]} instead of {bound}"
        for figure, bound in bounds[build].items()
        if costs[figure] > bound * (1 + TOLERANCE)
    }
    assert not above, f"a start costs more than {TOLERANCE:.0%} above what it did: {above}"
