"""How the tools' functions are run: with their packages beside them, and under both runtimes with the same expectations.

`WHIPSNAKE_PACKAGES`: where `make ecosystem` has installed the packages [target/ecosystem]. `WHIPSNAKE_PACKED=1`: every function
goes through `whipsnake pack` first.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import checkpoint_starts
from conftest import PlayFunction
from playing import Files, Play, Player, Run, Runtime


@pytest.fixture(scope="session")
def packages(repository: Path) -> Path:
    folder = Path(os.environ.get("WHIPSNAKE_PACKAGES") or repository / "target/ecosystem")
    if not folder.is_dir():
        pytest.skip(f"the tools' packages are not in {folder}: `make ecosystem` installs them and runs these tests")
    return folder


@pytest.fixture
def tool(request: pytest.FixtureRequest, packages: Path) -> Path:
    """The packages of the tool that test_TOOL.py is about."""
    folder = packages / request.path.stem.removeprefix("test_")
    assert folder.is_dir(), f"{folder} is missing: `make ecosystem` installs requirements/{folder.name}.txt there"
    return folder


@pytest.fixture
def task_root(tool: Path, tmp_path: Path) -> Path:
    """The function's folder with the packages in it, as an archive that is deployed has them."""
    root = tmp_path / "task"
    # Bytecode of the function's modules is the test's own: two of one name, size and second would be taken for each other.
    (root / "__pycache__").mkdir(parents=True)
    for entry in tool.iterdir():
        if entry.name != "__pycache__":
            (root / entry.name).symlink_to(entry)
    for entry in tool.glob("__pycache__/*"):
        (root / "__pycache__" / entry.name).symlink_to(entry)
    return root


PACKED = bool(os.environ.get("WHIPSNAKE_PACKED"))


@pytest.fixture(params=["whipsnake"] if PACKED or checkpoint_starts.KIND else ["awslambdaric", "whipsnake"])
def runtime(request: pytest.FixtureRequest, bootstrap: Path) -> Runtime:
    """Each of the two, so that a tool's test says the same of both."""
    if request.param == "whipsnake":
        return Runtime("whipsnake", [str(bootstrap)])
    managed = request.getfixturevalue("managed")
    assert isinstance(managed, Runtime)
    return managed


@pytest.fixture
def python_folder(runtime: Runtime, tmp_path: Path) -> Path:
    """Where the PATH's `python3` is: on Lambda it is the runtime's own, with whipsnake a link to the bootstrap."""
    if runtime.name != "whipsnake":
        return Path(runtime.command[0]).parent
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(runtime.command[0])
    return folder


@pytest.fixture
def packed(cli: Path, packages: Path, tmp_path: Path) -> Callable[[Play], Play]:
    """The same with the function as Lambda would unpack its zip."""

    def pack(play: Play) -> Play:
        target = tmp_path / "packed"
        command: list[str | Path] = [cli, "pack", play.task_root, "--python", sys.executable, "--unpacked", target]
        command += ["--allow-links", packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return replace(play, task_root=target)

    return pack if PACKED else lambda play: play


@pytest.fixture
def play_tool(
    player: Player,
    runtime: Runtime,
    task_root: Path,
    python_folder: Path,
    make_play: Callable[..., Play],
    packed: Callable[[Play], Play],
) -> PlayFunction:
    """Runs a function that has the tool's packages in its folder, as Lambda would start it."""

    def run(files: Files | None = None, **fields: object) -> Run:
        play = packed(make_play(files, **{"task_root": task_root, **fields}))
        path = {"PATH": f"{python_folder}:/usr/local/bin:/usr/bin:/bin"}
        return player.play(play, [Runtime(runtime.name, runtime.command, {**runtime.environment, **path})])[0]

    return run


@pytest.fixture(scope="session")
def python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
