"""The terminal captures of docs/guides/checkpoints.md come from real runs.

`WHIPSNAKE_WRITE_DOCS` writes them again. Otherwise they are compared, without what differs from run to run.
"""

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command.captures import Session, check

# What `pip install boto3` installs.
PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six")


@pytest.fixture
def run(cli: Path, bootstrap: Path, tmp_path: Path) -> Callable[[str], str]:
    """Runs a command of the guide in the folder above the functions, and returns what the terminal shows."""
    programs, folder = tmp_path / "bin", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    shutil.copy(cli, programs / "whipsnake")
    shutil.copy(bootstrap, programs / "bootstrap")
    shutil.copy(cli.with_name("restorer"), programs / "restorer")

    def run(command: str) -> str:
        shown = Session(f"PYTHON={sys.executable}; export PYTHON; {command}", folder, programs).end()
        shown = re.sub(r"^CPython .*\n", "", shown, flags=re.MULTILINE)
        return shown.replace(str(folder), "/home/ada/work").replace(str(programs), "/home/ada/bin")

    return run


def install(package: str, folder: Path) -> None:
    """Copies a package of the tests' own as an installer would put it there."""
    for file in importlib.metadata.files(package) or []:
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.suffix != ".pyc":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / file)


def test_the_captures_are_those_of_real_runs(run: Callable[[str], str], repository: Path, tmp_path: Path) -> None:
    guide = repository / "docs/guides/checkpoints.md"
    shop, _, refresh = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    for name, module in (("shop", shop), ("refresh", refresh)):
        (tmp_path / "work" / name).mkdir()
        (tmp_path / "work" / name / "app.py").write_text(module)
    for package in PACKAGES:
        install(package, tmp_path / "work/shop")
    check(guide, run, 6)
