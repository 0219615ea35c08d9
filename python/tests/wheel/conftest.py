"""Installs the wheel into a virtual environment on a machine without Rust: `make wheel-test`.

`WHIPSNAKE_WHEEL_FILE` is the wheel, `WHIPSNAKE_WHEEL_PYTHON` the interpreter it was built for. The virtual environment is on a
copy of that one, at a place that the build knew nothing of.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PATH = "/usr/bin:/bin"


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel and pytest."""

    folder: Path
    python: Path
    """The interpreter it was made from, a copy."""

    def run(
        self, command: str, *arguments: str | Path, cwd: Path, code: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the environment with next to no variables; checks how it exits."""
        assert shutil.which("cargo", path=PATH) is None
        ran = subprocess.run(
            [self.folder / "bin" / command, *arguments],
            cwd=cwd,
            env={"PATH": PATH, "HOME": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert code in (None, ran.returncode), ran.stdout + ran.stderr
        return ran


@pytest.fixture(scope="session")
def wheel() -> Path:
    named = os.environ.get("WHIPSNAKE_WHEEL_FILE")
    if not named:
        pytest.skip("no wheel to test: `make wheel-test` builds one")
    return Path(named)


def copy_of_python(folder: Path) -> Path:
    """The interpreter with its standard library and shared library, without what is installed for it."""
    executable = Path(os.environ["WHIPSNAKE_WHEEL_PYTHON"]).resolve()
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "*.a")
    shutil.copytree(executable.parents[1] / "lib", folder / "lib", symlinks=True, ignore=ignored)
    (folder / "bin").mkdir()
    return Path(shutil.copy2(executable, folder / "bin"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("whipsnake")
    # A blank in a path is nothing special.
    python = copy_of_python(folder / "a python")
    environment = folder / "project" / ".venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", python, environment], check=True)
    packages = [str(wheel), f"pytest=={pytest.__version__}", "pytest-cov==7.1.0"]
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(environment), *packages], check=True)
    return Installed(environment, python)
