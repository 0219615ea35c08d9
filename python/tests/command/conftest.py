"""The `whipsnake` command as people and scripts run it."""

import os
import pty
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from playing import write_files

type Whipsnake = Callable[..., subprocess.CompletedProcess[str]]
type OnTerminal = Callable[..., str]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """The folder in which the command runs, and which has the function."""
    folder = tmp_path / "task"
    folder.mkdir()
    return folder


@pytest.fixture
def whipsnake(cli: Path, bootstrap: Path, task: Path) -> Whipsnake:
    """Runs the command; a module that is given becomes `app.py`."""

    def run(*arguments: str, module: str | None = None, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        if module is not None:
            write_files(task, {"app.py": module})
        if arguments[0] in ("invoke", "doctor"):
            arguments = (*arguments, "--bootstrap", str(bootstrap))
        ran = subprocess.run(
            [cli, *arguments],
            cwd=task,
            env={**os.environ, **variables},
            input=stdin.encode(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        # Not `text=True`: it would turn carriage returns into new lines.
        return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return run


@pytest.fixture
def on_terminal(cli: Path, task: Path) -> OnTerminal:
    """Runs the command with standard error on a terminal, and returns what that is sent."""

    def run(*arguments: str | Path, **variables: str) -> str:
        ours, theirs = pty.openpty()
        shown: list[bytes] = []
        reading = threading.Thread(target=lambda: shown.extend(iter(lambda: read(ours), b"")))
        reading.start()
        # Where CI is set, colours are for dumb terminals too.
        environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
        subprocess.run(
            [cli, *arguments],
            cwd=task,
            env={**environment, "TERM": "xterm", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            timeout=30,
            check=False,
        )
        os.close(theirs)
        reading.join(20)
        os.close(ours)
        return b"".join(shown).decode().replace("\r\n", "\n")

    return run


def read(terminal: int) -> bytes:
    """Nothing when nobody has the other end any more."""
    try:
        return os.read(terminal, 10_000)
    except OSError:
        return b""
