"""`whipsnake doctor`: what runs a function here, and what its start takes."""

import compileall
import platform
import re
import sys
import zipfile
from pathlib import Path

import pytest

from command.conftest import Whipsnake
from playing import write_files

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_bootstrap_and_the_pythons_are_told(whipsnake: Whipsnake, bootstrap: Path) -> None:
    ran = whipsnake("doctor", PYTHON=sys.executable)
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"Bootstrap\n  {bootstrap}\n  CPython {platform.python_version()} of ")
    assert "GIL" in ran.stdout
    assert "glibc 2." in ran.stdout
    assert "CPython is the shared library libpython" in ran.stdout or "CPython is linked into it" in ran.stdout
    assert "\nPython to build a bootstrap against\n" in ran.stdout
    assert "\n  because $PYTHON names it\n" in ran.stdout
    assert "name a function as well, `whipsnake doctor module.function`" in ran.stderr


def test_why_a_python_was_chosen_is_told(whipsnake: Whipsnake) -> None:
    assert f"\n  because $PYTHON asks for {VERSION}, and it is" in whipsnake("doctor", PYTHON=VERSION).stdout
    missing = whipsnake("doctor", PYTHON="/nowhere/python3")
    assert "/nowhere/python3 does not run: No such file" in missing.stdout
    assert missing.returncode == 0


@pytest.fixture
def slow(task: Path, tmp_path: Path) -> Path:
    """A function with a slow package in a virtual environment."""
    packages = tmp_path / f"venv/lib/python{VERSION}/site-packages"
    write_files(
        packages, {"pandas/__init__.py": "import time, pandas.core\ntime.sleep(0.03)", "pandas/core.py": "import dragging"}
    )
    write_files(packages, {"dragging.py": "import time\ntime.sleep(0.05)", "quick.py": ""})
    write_files(task, {"app.py": "import own, quick\ndef handler(event, context): pass", "own.py": "import pandas"})
    return tmp_path / "venv"


def test_slow_imports_are_drawn_as_a_tree_with_what_to_do_about_them(whipsnake: Whipsnake, slow: Path) -> None:
    start = whipsnake("doctor", "app.handler", "--venv", str(slow)).stdout.partition("\nStart of app.handler in ")[2]
    lines = start.splitlines()
    assert "  init phase " in lines[1]
    drawn = [line[21:] for line in lines if re.match(r" +\d+\.\d +\d+\.\d  ", line)]
    assert drawn[:5] == ["app", "  own", "    pandas", "      pandas.core", "        dragging"]
    assert "quick" not in drawn
    advice = [line for line in lines if line.startswith("  - ")]
    assert advice[0].startswith("  - 6 modules have no bytecode (app, own, quick): they are compiled at each cold start")
    assert f"`python{VERSION} -m compileall" in advice[0]
    assert advice[1].startswith("  - pandas takes ")
    assert "csv and json are in the standard library" in advice[1]
    assert len(advice) == 2, "what pandas brings along is pandas's"


def test_nothing_is_written_and_compiled_modules_are_not_complained_about(whipsnake: Whipsnake, slow: Path, task: Path) -> None:
    compileall.compile_dir(slow, quiet=1)
    compileall.compile_dir(task, quiet=1)
    (task / "__pycache__" / f"own.cpython-{VERSION.replace('.', '')}.pyc").unlink()
    advice = whipsnake("doctor", "app.handler", "--venv", str(slow)).stdout
    assert "  - 1 module has no bytecode (own): it is compiled" in advice


def test_packages_of_another_python_are_told(whipsnake: Whipsnake, task: Path, tmp_path: Path) -> None:
    (tmp_path / "venv/lib/python3.9/site-packages").mkdir(parents=True)
    write_files(task, {"app.py": "def handler(event, context): pass"})
    told = whipsnake("doctor", "app.handler", "--venv", str(tmp_path / "venv")).stdout
    assert f"site-packages is another Python's than the bootstrap's python{VERSION}" in told


def test_a_function_that_does_not_start_is_told(whipsnake: Whipsnake) -> None:
    ran = whipsnake("doctor", "app.handler", module="import nothing_of_that_name")
    assert ran.returncode == 0
    assert "it does not start: Runtime.ImportModuleError: Unable to import module 'app'" in ran.stdout


def test_the_sizes_of_layers_are_told(whipsnake: Whipsnake, task: Path) -> None:
    (task / "dist").mkdir()
    with zipfile.ZipFile(task / "dist/layer.zip", "w", zipfile.ZIP_DEFLATED) as layer:
        layer.writestr("bootstrap", b"\0" * (3 << 20))
    (task / "dist/broken.zip").write_text("no zip")
    told = whipsnake("doctor").stdout
    assert "\nLayers in dist\n  broken.zip cannot be read as a zip\n  layer.zip: 4 kB, unpacked 3.0 MB\n" in told
