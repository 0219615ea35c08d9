"""What is said about a Python that cannot be built against or packed: one sentence that names the file, and the way out."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
LIBRARY = f"libpython{VERSION}{sys.abiflags}"


def whipsnake(cli: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": "", **variables}
    return subprocess.run([cli, *arguments], capture_output=True, text=True, check=False, timeout=100, env=environment)


def pretender(folder: Path, lies: str) -> Path:
    """An interpreter that is ours, except for what it says about itself."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "python3"
    file.write_text(
        f"#!{PYTHON} -IS\n"
        "import sys, sysconfig\n"
        "variables = sysconfig.get_config_vars()\n"
        f"{lies}\n"
        "exec(sys.argv[sys.argv.index('-c') + 1])\n"
    )
    file.chmod(0o755)
    return file


def living_in(prefix: Path) -> str:
    nowhere = prefix / "nowhere"
    return f"sys.base_prefix = {str(prefix)!r}; variables.update(LIBDIR={str(nowhere)!r}, LIBPL={str(nowhere)!r})"


def test_without_its_library(cli: Path, tmp_path: Path) -> None:
    python = pretender(tmp_path, living_in(tmp_path))
    told = whipsnake(cli, "python", "--python", python)
    version = platform.python_version()
    assert told.stderr == (
        f"whipsnake: {python} is CPython {version} without its library: there is no {LIBRARY}.so and no {LIBRARY}.a under "
        f"{tmp_path}; install one with `uv python install 3.14` (https://docs.astral.sh/uv), or name one with --python\n"
    )
    assert told.returncode == 2


def test_too_old(cli: Path, tmp_path: Path) -> None:
    python = pretender(tmp_path, "sys.version_info = (3, 11, 9, 'final', 0)")
    told = whipsnake(cli, "python", "--python", python)
    assert told.stderr.startswith(
        f"whipsnake: {python} is CPython 3.11.9, older than 3.12; install one with `uv python install"
    )
    assert told.returncode == 2


def test_of_another_architecture(cli: Path, repository: Path, tmp_path: Path) -> None:
    here, other = ("x86_64", "arm64") if platform.machine() == "x86_64" else ("arm64", "x86_64")
    told = whipsnake(cli, "layer", "--arch", other, "--python", PYTHON, "--source", repository, "--output", tmp_path / "out")
    last = told.stderr.splitlines()[-1]
    assert last.startswith("whipsnake: /")
    assert last.endswith(
        f" cannot go into a layer: it is for {here}, and the layer for {other}; name a Python for {other} with --python"
    )
    assert told.returncode == 2
    assert not (tmp_path / "out").exists()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A prefix with ours in it: the same files under other names."""
    prefix = tmp_path / "first"
    library = Path(os.__file__).parent
    kept = shutil.ignore_patterns("test", "tests", "__pycache__", "site-packages", "idlelib")
    shutil.copytree(library, prefix / library.relative_to(sys.base_prefix), copy_function=shutil.copy2, ignore=kept)
    (prefix / "bin").mkdir()
    shutil.copy2(PYTHON, prefix / "bin" / PYTHON.name)
    for file in Path(sys.base_prefix, "lib").glob("lib*.so*"):
        shutil.copy2(file, prefix / "lib" / file.name, follow_symlinks=False)
    asked = subprocess.run(
        [prefix / "bin" / PYTHON.name, "-c", "import sys; print(sys.prefix)"], capture_output=True, check=False
    )
    if asked.stdout.decode().strip() != str(prefix):
        pytest.skip(f"{sys.base_prefix} cannot be moved")
    return prefix


def test_a_prefix_that_was_moved_is_found_where_it_is(cli: Path, installed: Path, tmp_path: Path) -> None:
    moved = installed.rename(tmp_path / "second")
    told = whipsnake(cli, "python", "--python", moved / "bin" / PYTHON.name, "--config", tmp_path / "python.cfg")
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"{moved / 'bin' / PYTHON.name}\n"
    configuration = dict(line.split("=", 1) for line in (tmp_path / "python.cfg").read_text().splitlines())
    assert configuration["lib_dir"].startswith(f"{moved}/lib")


def test_an_interpreter_that_was_moved_without_the_rest(cli: Path, installed: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "bin" / PYTHON.name
    alone.parent.mkdir(parents=True)
    (installed / "bin" / PYTHON.name).rename(alone)
    if subprocess.run([alone, "-c", ""], capture_output=True, check=False).returncode == 0:
        pytest.skip(f"{PYTHON} finds the rest wherever it is")
    told = whipsnake(cli, "python", "--python", alone)
    assert told.returncode == 2
    [sentence] = told.stderr.splitlines()
    assert sentence.startswith(f"whipsnake: {alone} does not run as a Python 3: ")
    assert "; install one with `uv python install 3.14`" in sentence


def test_an_archive_that_cannot_be_linked(cli: Path, tmp_path: Path) -> None:
    """Here it has nothing in it. The shared library is taken, and the reason told; asked for by name, it is refused."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / f"{LIBRARY}.so").touch()
    archive = tmp_path / "lib" / f"{LIBRARY}.a"
    archive.write_bytes(b"!<arch>\n")
    python = pretender(tmp_path, living_in(tmp_path))
    configuration = tmp_path / "python.cfg"
    told = whipsnake(cli, "python", "--python", python, "--config", configuration)
    kind, reason = told.stderr.splitlines()
    assert kind.startswith(f"CPython {platform.python_version()} (shared")
    assert reason.startswith(f"  shared, because {archive} cannot be linked: ")
    assert "Py_BytesMain" in reason
    assert "\nshared=true\n" in configuration.read_text()
    told = whipsnake(cli, "python", "--python", python, "--config", configuration, "--libpython", "static")
    assert told.stderr.startswith(f"whipsnake: {archive} cannot be linked: ")
    assert told.stderr.endswith("; take a Python with a shared library\n")
    assert told.returncode == 2
    told = whipsnake(cli, "python", "--python", python, "--config", configuration, "--libpython", "shared")
    [kind] = told.stderr.splitlines()
    assert kind.startswith(f"CPython {platform.python_version()} (shared")
