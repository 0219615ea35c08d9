"""Each function, started from a checkpoint of each kind, does what it does after an ordinary start."""

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkpoint.conftest import GIVEN_BY_PACK, LIBRARY_PATH
from checkpoint_packages import installed
from checkpoint_packages.programs import FUNCTIONS, PROGRAMS, Program
from playing import Play, Player, Run, Runtime, lambda_variables

KINDS = ("init", "imports")

SECONDS = 60
"""For a start that makes the checkpoint first."""

# What differs between two runs of the same function.
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,:+Z]*"), "TIME"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-fA-F]{16,}\b"), "ID"),
    (re.compile(r"\b\d{9,}(\.\d+)?\b"), "NUMBER"),
    (re.compile(r'"NR_LAMBDA_MONITORING","[^"]+"'), "PAYLOAD"),
]

QUICK = bool(os.environ.get("WHIPSNAKE_QUICK"))
PACKED = bool(os.environ.get("WHIPSNAKE_PACKED"))
"""Whether each function goes through `whipsnake pack`, as one for Lambda does."""


CHOSEN = [pytest.param(program, id=program.function) for program in PROGRAMS if program.is_quick or not QUICK]


@pytest.mark.parametrize("program", CHOSEN)
def test_a_function_restored_from_a_checkpoint_works_as_after_an_ordinary_start(
    program: Program,
    player: Player,
    cli: Path,
    bootstrap: Path,
    runtime_directory: Path,
    tmp_path: Path,
) -> None:
    task_root = make_task(program, tmp_path / "task")
    play = Play(task_root, runtime_directory, program.handler, program.steps(), script={"timeout_ms": SECONDS * 1000})
    ordinary, _ = run(player, play, program, Runtime("ordinary", [str(bootstrap)]))
    assert len(ordinary["responses"]) == len(program.events), ordinary
    for kind in KINDS:
        if PACKED:
            assert_same_when_packed(program, player, play, cli, kind, tmp_path / f"packed-{kind}", ordinary)
            continue
        log = tmp_path / f"{kind}.log"
        scratch = tmp_path / kind
        scratch.mkdir()
        variables = {"WHIPSNAKE_CHECKPOINT_LOG": str(log), "TMPDIR": str(scratch)}
        command = [str(cli), "from-checkpoint", kind, str(bootstrap)]
        restored, played = run(player, play, program, Runtime(kind, command, variables))
        made = log.read_text().strip()
        if refusal := program.refused.get(kind):
            assert refusal in made, f"{kind}: {made}"
        else:
            assert (made, is_restored(played)) == ("restored", True), f"{kind}: {made}\n{played.story()}"
        if kind == "imports":
            # The function was also imported when the checkpoint was made, to find out what it imports.
            restored["sent"] = restored["sent"][-len(ordinary["sent"]) or None :]
        if restored != ordinary:
            pytest.fail(f"{kind}: {difference(ordinary, restored)}\n{played.story()}")


def assert_same_when_packed(
    program: Program, player: Player, play: Play, cli: Path, kind: str, target: Path, ordinary: dict[str, Any]
) -> None:
    """The same with the package's own checkpoint, which is packed while the function's servers run."""
    with program.server() as server:
        # The packer gives the function the one of Lambda.
        environment = {"LD_LIBRARY_PATH": LIBRARY_PATH, **program.environment, **server.variables}
        variables = {**lambda_variables(target, play.runtime_directory, program.handler), **environment}
        named = [
            f"--env={name}={value!s}" for name, value in variables.items() if name not in GIVEN_BY_PACK and value is not None
        ]
        command: list[str | Path] = [cli, "pack", play.task_root, "--python", sys.executable, "--handler", program.handler]
        command += [f"--checkpoint={kind}", "--here", "--unpacked", target, *named]
        command += ["--allow-links", installed.folder_of(program.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if refusal := program.refused.get(kind):
            assert done.returncode != 0, f"{kind}: {done.stdout}"
            assert refusal in done.stderr, f"{kind}: {done.stderr}"
            return
        assert done.returncode == 0, f"{kind}: {done.stderr}"
        sent_before = len(server.sent())
        packed = replace(play, task_root=target, environment=environment)
        (played,) = player.play(packed, [Runtime(kind, [str(target / "bootstrap")])])
        assert is_restored(played), f"{kind}: {played.story()}"
        restored = seen(program, played, server.sent()[sent_before:])
    if kind == "init":
        # The import was where the checkpoint was made.
        for output in ("stdout", "stderr"):
            restored[output] = ordinary[output] if ordinary[output].endswith(restored[output]) else restored[output]
        restored["sent"] = (
            ordinary["sent"] if ordinary["sent"][-len(restored["sent"]) or None :] == restored["sent"] else restored["sent"]
        )
    if restored != ordinary:
        pytest.fail(f"{kind}: {difference(ordinary, restored)}\n{played.story()}")


def make_task(program: Program, folder: Path) -> Path:
    """The function's folder, with the packages beside the function."""
    folder.mkdir()
    for entry in installed.folder_of(program.folder).iterdir():
        if entry.name != "__pycache__":
            (folder / entry.name).symlink_to(entry)
    (folder / "app.py").write_text((FUNCTIONS / f"{program.function}.py").read_text())
    return folder


def run(player: Player, play: Play, program: Program, runtime: Runtime) -> tuple[dict[str, Any], Run]:
    """What can be compared of a run, and the run."""
    with program.server() as server:
        play = replace(play, environment={**program.environment, **server.variables})
        (played,) = player.play(play, [runtime])
        return seen(program, played, server.sent()), played


def seen(program: Program, played: Run, sent: Sequence[str]) -> dict[str, Any]:
    """What can be compared of a run."""
    return {
        "responses": [masked(answer.body.decode()) for answer in played.answers.values()],
        "stdout": masked(program.log(played.stdout)),
        "stderr": masked(played.stderr),
        "sent": [masked(one) for one in sent],
    }


def difference(ordinary: dict[str, Any], restored: dict[str, Any]) -> str:
    """What is different, in short pieces."""
    was, now = ([f"{name}: {piece}" for name in run for piece in str(run[name]).split(", ")] for run in (ordinary, restored))
    return "\n".join(difflib.unified_diff(was, now, "ordinary", "restored", lineterm="", n=0))


def masked(text: str) -> str:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def is_restored(run: Run) -> bool:
    return any("(restored)" in (request.header("user-agent") or "") for request in run.requests)
