"""Packs functions with a checkpoint for this machine, and starts them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from conftest import PlayFunction
from playing import Files, Run, lambda_variables, write_files

NONE: Mapping[str, Any] = {}

type Kind = Literal["imports", "init"]

KINDS: Sequence[Kind] = ["imports", "init"]

CHECKPOINT = ".whipsnake/checkpoint"
WITHOUT = "whipsnake: starting without the checkpoint: "
"""How the line begins that names a failed check."""

LIBRARY_PATH = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib"

GIVEN_BY_PACK = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME", "_HANDLER"}
"""What the packer chooses by itself: a checkpoint has no credentials of anybody."""


class Pack(Protocol):
    """Runs `whipsnake pack --checkpoint=KIND --here`.

    `variables` are the function's, `environment` is the packer's. `command` is another `whipsnake` with its bootstrap.
    """

    def __call__(
        self,
        files: Files,
        kind: str = ...,
        *options: str | Path,
        variables: Mapping[str, str] = ...,
        environment: Mapping[str, str] = ...,
        handler: str = ...,
        command: Path | None = ...,
    ) -> "Packed": ...


@dataclass(frozen=True)
class Packed:
    """A function that was packed, or not."""

    task_root: Path
    variables: Mapping[str, str]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def checkpoint(self) -> Path:
        return self.task_root / CHECKPOINT

    def copy_of_checkpoint(self, folder: Path) -> Path:
        """The restorer and the checkpoint in another folder, for a function that stays where it is."""
        (folder / ".whipsnake").mkdir(parents=True)
        for name in ("bootstrap", ".whipsnake/bootstrap", CHECKPOINT):
            shutil.copy2(self.task_root / name, folder / name)
        return folder


@pytest.fixture(scope="session")
def pack(cli: Path, runtime_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    def run(
        files: Files,
        kind: str = "init",
        *options: str | Path,
        variables: Mapping[str, str] = NONE,
        environment: Mapping[str, str] = NONE,
        handler: str = "app.handler",
        command: Path | None = None,
    ) -> Packed:
        folder = tmp_path_factory.mktemp("function")
        write_files(folder, files)
        task_root = tmp_path_factory.mktemp("unpacked") / "task"
        of_lambda = {
            name: str(value)
            for name, value in lambda_variables(task_root, runtime_directory, handler).items()
            if name not in GIVEN_BY_PACK
        }
        functions = {**of_lambda, "LD_LIBRARY_PATH": LIBRARY_PATH, **variables}
        named = [f"--env={name}={value}" for name, value in functions.items()]
        arguments: Sequence[str | Path] = [
            *(command or cli, "pack", folder, "--python", sys.executable, "--handler", handler),
            *(f"--checkpoint={kind}", "--here", "--unpacked", task_root, *named, *options),
        ]
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
            timeout=60,
        )
        return Packed(task_root, functions, done.returncode, done.stdout, done.stderr)

    return run


type Checkpointed = Pack
"""The same, which has to succeed."""


@pytest.fixture(scope="session")
def checkpointed(pack: Pack) -> Checkpointed:
    def run(files: Files, kind: str = "init", *options: str | Path, **more: object) -> Packed:
        packed = pack(files, kind, *options, **more)  # type: ignore[arg-type]
        assert packed.exit_code == 0, packed.stderr
        assert packed.checkpoint.is_file()
        return packed

    return run


@pytest.fixture
def copied_programs(cli: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the command, the bootstrap and the restorer, which may be changed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("whipsnake", "bootstrap", "restorer"):
        shutil.copy2(cli.with_name(name), folder / name)
    return folder


class Start(Protocol):
    """Starts a packed function as Lambda does: its own `bootstrap`, which is the restorer."""

    def __call__(
        self,
        packed: Packed,
        *,
        beside: Path | None = None,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        before: Sequence[str] = ...,
        **script: object,
    ) -> Run: ...


@pytest.fixture(scope="session")
def start(play: PlayFunction) -> Start:
    def run(
        packed: Packed,
        *,
        beside: Path | None = None,
        events: Sequence[object] = ({},),
        environment: Mapping[str, str | bytes | None] = NONE,
        before: Sequence[str] = (),
        **script: Any,
    ) -> Run:
        program = (beside or packed.task_root) / "bootstrap"
        return play(
            task_root=packed.task_root,
            command=[*before, str(program)],
            events=events,
            environment={**packed.variables, **environment},
            **script,
        )

    return run


class FromCheckpoint(Protocol):
    """Plays a function whose checkpoint is made just before, from the play's own environment."""

    def __call__(
        self,
        app: str,
        kind: str = ...,
        *,
        files: Files = ...,
        before: Sequence[str] = ...,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        **script: object,
    ) -> Run: ...


@pytest.fixture(scope="session")
def from_checkpoint(play: PlayFunction, cli: Path, bootstrap: Path) -> FromCheckpoint:
    def run(app: str, kind: str = "init", *, files: Files = NONE, before: Sequence[str] = (), **fields: object) -> Run:
        command = [*before, str(cli), "from-checkpoint", kind, str(bootstrap)]
        whole: dict[str, Any] = {"events": [{}], **fields}
        run = play({"app.py": app, **files}, command=command, **whole)
        assert is_restored(run), run.story()
        return run

    return run


def is_restored(run: Run) -> bool:
    """Whether the process says of itself that it was restored."""
    agents = {request.header("User-Agent") for request in run.requests if request.call == "GET next"}
    assert len(agents) == 1, run.story()
    return str(agents.pop()).endswith("(restored)")


@pytest.fixture(scope="session")
def in_pid_namespace() -> Callable[..., Sequence[str]]:
    """What to put before a command so that it gets this process id in a namespace of its own."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        tried = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if tried.returncode != 0:
        pytest.skip(f"no PID namespace can be made here: {tried.stderr.strip()}")

    def command(process_id: int = 1) -> Sequence[str]:
        if process_id == 1:
            return unshare
        # The next process that the shell starts gets the number after the last one.
        script = f'echo {process_id - 1} > /proc/sys/kernel/ns_last_pid; env -u PWD -u OLDPWD -u _ "$@"; exit $?'
        return [*unshare, "sh", "-c", script, "sh"]

    return command
