"""Functions that are packed with a checkpoint on this machine, and start from it with only the layer and an old C library."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playing import Files, Run, write_files

from .sandbox import unpack

INSTALLED: Files = {
    "greetings/__init__.py": "import json, logging, ssl, sqlite3\nimported = True\ndef hello(name): return f'hello {name}'\n",
    "greetings-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n",
    "greetings-1.0.dist-info/RECORD": "greetings/__init__.py,,\ngreetings-1.0.dist-info/METADATA,,\n",
}
"""A package as an installer leaves it: what makes it third-party is its RECORD."""

APP = """
    import logging, os, subprocess, sys, threading
    import greetings

    def handler(event, context):
        logging.warning("served")
        threads = []
        thread = threading.Thread(target=lambda: threads.append(1))
        thread.start()
        thread.join()
        # A library that is loaded after the restore, a child process, and what the environment says.
        import _lzma
        child = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True)
        libraries = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
        variables = [os.environ["AWS_REGION"], os.environ["GREETING"]]
        return [greetings.hello(event["name"]), len(threads), child.stdout.strip(), *variables, sorted(libraries)]
"""


Pack = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pack(cli: Path, layer_zip: Path, layer_python: Path, tmp_path: Path) -> Pack:
    """Packs the function into `function.zip`."""

    def pack(*options: str | Path, layer: Path = layer_zip) -> subprocess.CompletedProcess[str]:
        write_files(tmp_path / "function", {"app.py": APP, **INSTALLED})
        command: list[str | Path] = [cli, "pack", tmp_path / "function", "--python", layer_python, "--handler", "app.handler"]
        command += ["--layer", layer, "--output", tmp_path / "function.zip", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return pack


@pytest.fixture
def packed(pack: Pack, free_threaded: bool, tmp_path: Path) -> Callable[..., Path]:
    """The folder that Lambda would make of a function's zip with a checkpoint."""
    if free_threaded:
        pytest.skip("a free-threaded CPython has no checkpoints, which a test of its own shows")

    def unpacked(*options: str | Path, **layer: Path) -> Path:
        done = pack(*options, **layer)
        assert done.returncode == 0, done.stderr
        assert "start here" in done.stdout
        unpack(tmp_path / "function.zip", tmp_path / "task")
        return tmp_path / "task"

    return unpacked


@pytest.fixture
def free_threaded(layer_python: Path) -> bool:
    asked = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    told = subprocess.run([layer_python, "-c", asked], capture_output=True, text=True, check=True).stdout
    return told.strip() == "1"


def test_a_free_threaded_cpython_is_refused(pack: Pack, free_threaded: bool) -> None:
    if not free_threaded:
        pytest.skip("this Python has a GIL")
    done = pack("--checkpoint")
    assert done.returncode == 2
    assert "no checkpoint can be made: this CPython is free-threaded" in done.stderr


@pytest.mark.parametrize("kind", ["imports", "init"])
def test_a_function_starts_from_its_checkpoint(kind: str, packed: Callable[..., Path], on_lambda: Callable[..., Run]) -> None:
    task = packed(f"--checkpoint={kind}")
    environment = {"GREETING": "hi", "AWS_REGION": "eu-west-1"}
    events = [{"name": "one"}, {"name": "two"}]
    run = on_lambda(task_root=task, events=events, environment=environment, command=["/var/task/bootstrap"])
    answered = [response[:-1] for response in run.responses]
    assert answered == [[f"hello {name}", 1, "42", "eu-west-1", "hi"] for name in ("one", "two")], run.stderr
    assert str(run.requests[0].header("user-agent")).endswith("(restored)"), run.stderr
    assert run.stdout.count("served") == 2


def test_the_doctor_restores_the_checkpoint_of_a_zip(
    packed: Callable[..., Path], cli: Path, layer_zip: Path, tmp_path: Path
) -> None:
    packed("--checkpoint=imports")
    zip_file = tmp_path / "function.zip"

    def doctor(layers: Path) -> str:
        command: list[str | Path] = [cli, "doctor", "app.handler", "--task", zip_file, "--layers", layers]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout

    told = doctor(layer_zip.parent)
    assert f": that of {layer_zip}\n" in told
    assert f"\n  this machine can restore it, with {layer_zip} in /opt\n" in told
    assert f": no layer in {tmp_path} has it\n" in doctor(tmp_path)


@pytest.mark.parametrize("kind", ["imports", "init"])
def test_a_function_on_a_layer_with_its_own_c_library_starts_from_its_checkpoint(
    kind: str, packed: Callable[..., Path], own_layer_zip: Path, on_own_c_library: Callable[..., Run]
) -> None:
    """Also what is loaded after the restore comes from the layer."""
    task = packed(f"--checkpoint={kind}", layer=own_layer_zip)
    environment = {"GREETING": "hi", "AWS_REGION": "eu-west-1"}
    run = on_own_c_library(task_root=task, events=[{"name": "one"}], environment=environment, command=["/var/task/bootstrap"])
    *answered, libraries = run.response
    assert answered == ["hello one", 1, "42", "eu-west-1", "hi"], run.stderr
    # What was compared with its file is mapped from it: the C library and its loader as well.
    assert {"/opt/whipsnake/lib/libc.so.6", "/opt/whipsnake/lib/libm.so.6"} <= set(libraries)
    assert [library for library in libraries if not library.startswith("/opt/")] == []
    assert str(run.requests[0].header("user-agent")).endswith("(restored)"), run.stderr


def test_without_its_layer_a_function_says_what_is_missing(packed: Callable[..., Path]) -> None:
    """Here is no /opt/bootstrap, and the layer's files are not where the checkpoint was made for."""
    if Path("/opt/bootstrap").exists():
        pytest.skip("this machine has an /opt/bootstrap")
    task = packed("--checkpoint")
    done = subprocess.run([task / "bootstrap"], capture_output=True, text=True, check=False, timeout=20, env={})
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("whipsnake: starting without the checkpoint: ")
    assert "there is no /opt/bootstrap" in second
    assert sys.platform == "linux"
