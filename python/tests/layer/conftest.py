"""Runs functions on a packed layer in an old and nearly empty Linux: `make layer-test`.

`WHIPSNAKE_LAYERS` is the folder that `whipsnake layer --sdk apart` wrote to, `WHIPSNAKE_LAYER_PYTHON` its interpreter.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from layer import old_linux
from layer.sandbox import MEGABYTES, Sandbox, missing, unpack
from memory_group import MemoryGroup
from playing import SECONDS_TO_ANSWER, Files, Play, Player, Run, Runtime, write_files

# Exactly what real functions of provided.al2023 print, beside what `lambda_variables` has.
VARIABLES = {
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "_AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129",
    "_AWS_XRAY_DAEMON_PORT": "2000",
}


class OnLambda(Protocol):
    """Runs a function on the layer."""

    def __call__(
        self,
        files: Files | None = None,
        *,
        task_root: Path | None = None,
        layer: Files | None = None,
        layer_folder: Path | None = None,
        handler: str = ...,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        command: Sequence[str] = ...,
    ) -> Run: ...


@pytest.fixture(scope="session")
def layers() -> Path:
    named = os.environ.get("WHIPSNAKE_LAYERS")
    if not named:
        pytest.skip("no layer to test: `make layer-test` packs one")
    return Path(named)


@pytest.fixture(scope="session")
def layer_zip(layers: Path) -> Path:
    [found] = layers.glob("whipsnake-[0-9]*.zip")
    return found


@pytest.fixture(scope="session")
def own_layer_zip(layers: Path) -> Path:
    """A layer with its own C library; `make layer-test` packs it into a folder of its own."""
    if os.environ.get("WHIPSNAKE_OWN_C_LIBRARY") == "":
        pytest.skip("OWN_C_LIBRARY is empty, so no layer with its own C library was packed")
    found = [*layers.glob("own-c-library/whipsnake-[0-9]*.zip")]
    assert len(found) == 1, f"no layer in {layers / 'own-c-library'}: `make layer-test` packs one with --libc own"
    return found[0]


@pytest.fixture(scope="session")
def sdk(layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's layer, unpacked."""
    [found] = layers.glob("whipsnake-sdk-*.zip")
    folder = tmp_path_factory.mktemp("sdk")
    unpack(found, folder)
    return folder


@pytest.fixture(scope="session")
def layer_python() -> Path:
    return Path(os.environ["WHIPSNAKE_LAYER_PYTHON"])


def unpacked(layer_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opt")
    unpack(layer_zip, folder)
    # Unprivileged users have to get at it.
    for parent in [folder, *folder.parents][:3]:
        parent.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def sandbox(layer_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with made(layer_zip, tmp_path_factory) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def own_sandbox(own_layer_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with made(own_layer_zip, tmp_path_factory) as sandbox:
        yield sandbox


@contextlib.contextmanager
def made(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    problem = missing()
    if problem:
        pytest.skip(problem)
    root = old_linux.root()
    if isinstance(root, str):
        pytest.skip(root)
    folder = unpacked(layer, tmp_path_factory)
    group = MemoryGroup.make(MEGABYTES)
    yield Sandbox(root, folder, group.folder if group else None)
    if group is not None:
        group.remove()


@pytest.fixture
def on_lambda(sandbox: Sandbox, player: Player, tmp_path: Path) -> OnLambda:
    return runner(sandbox, player, tmp_path)


@pytest.fixture
def on_own_c_library(own_sandbox: Sandbox, player: Player, tmp_path: Path) -> OnLambda:
    """The same on the layer that brings its own C library."""
    return runner(own_sandbox, player, tmp_path)


def runner(sandbox: Sandbox, player: Player, tmp_path: Path, times_slower: int = 1) -> OnLambda:
    def run(
        files: Files | None = None,
        *,
        task_root: Path | None = None,
        layer: Files | None = None,
        layer_folder: Path | None = None,
        handler: str = "app.handler",
        events: Sequence[object] = (),
        environment: Mapping[str, str | bytes | None] | None = None,
        command: Sequence[str] = ("/opt/bootstrap",),
    ) -> Run:
        task = task_root or tmp_path / "task"
        write_files(task, files or {})
        task.chmod(0o755)
        used = sandbox
        if layer or layer_folder:
            used = replace(sandbox, opt=tmp_path / "opt")
            shutil.copytree(sandbox.opt, used.opt, symlinks=True, copy_function=os.link)
            write_files(used.opt, layer or {})
            if layer_folder:
                shutil.copytree(layer_folder, used.opt, symlinks=True, dirs_exist_ok=True)
        runtime = Runtime("the layer", used.command(task, command))
        variables = {**VARIABLES, **(environment or {})}
        script = {"timeout_ms": SECONDS_TO_ANSWER * times_slower * 1000}
        return player.play(Play(task, Path("/var/runtime"), handler, events, variables, script), [runtime])[0]

    return run
