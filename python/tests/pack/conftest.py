"""Packs functions with `whipsnake pack` and runs them."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from playing import Files, write_files

UV = Path.home() / ".cache/whipsnake/uv/bin"
"""Where make installs it when it is not on PATH."""

APP = "import greetings\ndef handler(event, context): return greetings.hello()\n"
GREETINGS = {"greetings/__init__.py": "def hello(): return 'hello'\n", "greetings/words.txt": "hello\n"}
ARCHIVE = ".whipsnake/modules.archive"


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


class Wheel(Protocol):
    """Makes a wheel, and a file of requirements that has nothing else to choose from."""

    def __call__(self, files: Mapping[str, str], tag: str = ..., *, name: str = ...) -> Path: ...


@pytest.fixture
def function(tmp_path: Path) -> Path:
    folder = tmp_path / "function"
    write_files(folder, {"app.py": APP})
    return folder


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    wheels = tmp_path / "wheels"
    required: set[str] = set()

    def make(files: Mapping[str, str], tag: str = "py3-none-any", *, name: str = "greetings") -> Path:
        wheels.mkdir(exist_ok=True)
        required.add(name)
        with zipfile.ZipFile(wheels / f"{name}-1.0-{tag}.whl", "w") as file:
            info = f"{name}-1.0.dist-info"
            written = {
                **files,
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
                f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
                f"{info}/entry_points.txt": "[console_scripts]\ngreet = greetings:hello\n",
            }
            for path, content in written.items():
                file.writestr(path, content)
            file.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*written, f"{info}/RECORD"]))
        requirements = tmp_path / "requirements.txt"
        lines = ["--no-index", f"--find-links {wheels}", *(f"{name}==1.0" for name in sorted(required))]
        requirements.write_text("".join(f"{line}\n" for line in lines))
        return requirements

    return make


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    name = str(request.param)
    request.getfixturevalue(f"with_{name}")
    return name


@pytest.fixture
def with_uv() -> None:
    if not shutil.which("uv", path=f"{os.environ['PATH']}:{UV}"):
        pytest.skip("there is no uv on PATH")


@pytest.fixture
def with_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without uv on PATH it is pip that installs. A Python without pip is lent another's, which is Python alone."""
    pip = next((path for path in map(pip_of, interpreters()) if path), None)
    if pip is None:
        pytest.skip("no Python here has a pip that runs on this one")
    (tmp_path / "lent").mkdir()
    (tmp_path / "lent/pip").symlink_to(pip)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lent"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("pack.conftest.UV", Path("/nonexistent"))


def interpreters() -> Sequence[str | Path]:
    """The one under test, then those that may have pip, newest first."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[0-9].*/bin/python3"), reverse=True)
    on_path = [path for name in ("python3.14", "python3.13", "python3") if (path := shutil.which(name))]
    return [sys._base_executable, *pyenv, *on_path, UV / "python"]  # type: ignore[attr-defined]


def pip_of(python: str | Path) -> str | None:
    """The folder of an interpreter's pip, if the interpreter under test can run that."""
    question = [python, "-c", "import os, pip; print(os.path.dirname(pip.__file__))"]
    try:
        found = subprocess.run(question, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    environment = os.environ | {"PYTHONPATH": str(Path(found).parent)}
    tried = [sys._base_executable, "-m", "pip", "--version"]  # type: ignore[attr-defined]
    runs = subprocess.run(tried, capture_output=True, env=environment, check=False, timeout=30).returncode == 0
    return found if runs else None


@pytest.fixture
def packed(pack: Pack, tmp_path: Path) -> Callable[..., Path]:
    """Packs into a zip, and returns its path."""

    def run(folder: Path, *options: str | Path) -> Path:
        output = tmp_path / "out/function.zip"
        done = pack(folder, "--output", output, *options)
        assert done.returncode == 0, done.stderr
        return output

    return run


def names(zip_file: Path) -> list[str]:
    with zipfile.ZipFile(zip_file) as file:
        return file.namelist()


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder with their contents, and all links with their targets."""
    found: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = b"-> " + bytes(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def refusal(pack: Pack, folder: Path, *options: str | Path) -> str:
    """What standard error has of a packing that is refused."""
    done = pack(folder, *options)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    return done.stderr
