"""Packs functions with `whipsnake pack` and runs them."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from playing import Files, write_files

UV = Path.home() / ".cache/whipsnake/uv/bin"
"""Where make installs it when it is not on PATH."""


class Pack(Protocol):
    """Runs `whipsnake pack`."""

    def __call__(self, folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]: ...


class Unpacked(Protocol):
    """Packs a function, and returns the folder that Lambda would make of the zip."""

    def __call__(self, files: Files, *options: str) -> Path: ...


@pytest.fixture(scope="session")
def pack(cli: Path) -> Pack:
    def run(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
        command: Sequence[str | Path] = [cli, "pack", folder, "--python", sys.executable, *options]
        environment = os.environ | {"PATH": f"{os.environ['PATH']}:{UV}"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    return run


@pytest.fixture(scope="session")
def unpacked(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    def make(files: Files, *options: str) -> Path:
        folder = tmp_path_factory.mktemp("function")
        write_files(folder, files)
        target = tmp_path_factory.mktemp("unpacked") / "task"
        packed = pack(folder, "--unpacked", target, *options)
        assert packed.returncode == 0, packed.stderr
        return target

    return make


@pytest.fixture
def archive() -> Callable[[Path], Path]:
    return lambda task_root: task_root / ".whipsnake/modules.archive"
