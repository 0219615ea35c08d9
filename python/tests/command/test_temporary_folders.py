"""The command's temporary folders: nobody else can have made them before."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from playing import write_files

FUNCTION = """
    import json, os
    def handler(event, context):
        return [os.environ["PYTHONPATH"].split(":")[0], json.__file__]
"""


@pytest.fixture
def invoking(cli: Path, bootstrap: Path, task: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`exec` keeps the process ID, which earlier versions had in the names of their temporary folders."""
    write_files(task, {"app.py": FUNCTION, "debugpy/__init__.py": ""})
    write_files(tmp_path, {"tmp/other": ""})
    planting = 'mkdir "$TMPDIR/whipsnake-debugpy-$$" && echo "x = 1" > "$TMPDIR/whipsnake-debugpy-$$/json.py" && exec "$@"'
    command: list[str | Path] = ["sh", "-c", planting, "sh", cli, "invoke", "app.handler", "-e", "{}", "--debugpy", "1"]
    command += ["--bootstrap", bootstrap]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        command, cwd=task, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_a_planted_module_does_not_run_and_stays(invoking: subprocess.Popen[str], tmp_path: Path) -> None:
    stdout, stderr = invoking.communicate(timeout=60)
    assert invoking.returncode == 0, stderr
    planted = tmp_path / f"tmp/whipsnake-debugpy-{invoking.pid}"
    assert f'"{tmp_path}/tmp/whipsnake-debugpy-' in stdout
    assert str(planted) not in stdout
    # The command removed its own folder, and nobody else's.
    assert sorted(path.name for path in (tmp_path / "tmp").iterdir()) == ["other", planted.name]
    assert [path.name for path in planted.iterdir()] == ["json.py"]
