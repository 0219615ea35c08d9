"""The load of `make soak`, in short: nothing mixed up, nothing lost, nothing left behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

INVOCATIONS = {"one": 4000, "one, async": 3000, "16 tasks": 5000, "8 threads": 4000, "4 processes": 4000}
"""20,000 in all."""

type Soak = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def soak(repository: Path, bootstrap: Path) -> Soak:
    """Serves a way's invocations. The load program is at fault itself where it finds anything that is not as it should be."""

    def run(way: str) -> dict[str, Any]:
        program = repository / "python" / "soak"
        command: list[str | Path] = [sys.executable, program, "--bootstrap", bootstrap, "--json", "--way", way]
        ran = subprocess.run(
            [*command, "--invocations", str(INVOCATIONS[way])], capture_output=True, text=True, check=False, timeout=240
        )
        assert ran.returncode == 0, ran.stderr
        (result,) = json.loads(ran.stdout)
        return dict(result)

    return run


@pytest.mark.parametrize("way", INVOCATIONS)
def test_no_answer_log_line_trace_or_tenant_is_ever_anothers(soak: Soak, way: str) -> None:
    result = soak(way)
    assert (result["answered"], result["mistakes"], result["missing"]) == (INVOCATIONS[way], 0, 0)
    # Nothing of this is shown by a load that had nothing of it.
    assert result["kinds"].keys() >= {
        "fault",
        "stream",
        "broken stream",
        "no JSON",
        "refused",
        "lost",
        "print",
        "measure",
        "plain",
    }
    assert result["records"] > INVOCATIONS[way]
    assert ("late" in result["kinds"]) == (way == "16 tasks")
    assert result["descriptors"][0] >= result["descriptors"][1]
    assert result["threads"][0] >= result["threads"][1]


@pytest.mark.parametrize("mistake", ["another's answer", "another's record", "another's print"])
def test_the_load_program_sees_what_is_mixed_up(repository: Path, tmp_path: Path, bootstrap: Path, mistake: str) -> None:
    """A check that cannot fail is none: a function that answers, logs or prints for another is found out."""
    program = repository / "python" / "soak"
    copy = tmp_path / "soak"
    copy.mkdir()
    for file in program.rglob("*.py"):
        (copy / file.relative_to(program)).parent.mkdir(exist_ok=True)
        (copy / file.relative_to(program)).write_text(file.read_text())
    function = copy / "function" / "app.py"
    whole = function.read_text()
    mixed = {
        "another's answer": whole.replace('"id": context.aws_request_id', '"id": context.aws_request_id.replace("5", "6")'),
        "another's record": whole.replace('logging.info("n=%s", event["n"])', 'logging.info("n=%s", max(event["n"], 50))'),
        "another's print": whole.replace('"as", context.aws_request_id', '"as", context.aws_request_id.replace("7", "8")'),
    }[mistake]
    assert mixed != whole
    function.write_text(mixed)
    command: list[str | Path] = [
        sys.executable,
        copy,
        "--bootstrap",
        bootstrap,
        "--json",
        "--way",
        "one",
        "--invocations",
        "100",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)[0]["mistakes"] > 0
