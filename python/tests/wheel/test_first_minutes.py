"""The first minutes of somebody who has a Python, uv and the wheel, and nothing else: in a root folder without a compiler."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from layer import old_linux
from layer.sandbox import Sandbox, missing
from playing import write_files
from wheel.conftest import copy_of_python

STEPS = """
    set -e
    export HOME=/tmp UV_OFFLINE=1 PATH=/opt/bin:/usr/bin:/bin
    cd /tmp
    if command -v cargo || command -v cc; then echo "this is no clean root"; exit 1; fi
    uv venv --quiet --python /opt/bin/python3
    uv pip install --quiet /opt/whipsnake-*.whl
    . .venv/bin/activate
    cd /var/task
    whipsnake events new sqs /tmp/event.json --set Records.0.body=Ada
    whipsnake invoke app.handler --event /tmp/event.json
    whipsnake invoke app.handler --event /tmp/event.json --concurrency 2 --json
    whipsnake doctor app.handler >&2
    whipsnake invoke missing.handler || echo "exit code $?"
"""
FUNCTION = 'def handler(event, context): return {"hello": event["Records"][0]["body"]}'


@pytest.fixture
def clean(wheel: Path, tmp_path: Path) -> Sandbox:
    if reason := missing():
        pytest.skip(reason)
    root = old_linux.root()
    if isinstance(root, str):
        pytest.skip(root)
    uv = shutil.which("uv")
    assert uv
    opt = tmp_path / "opt"
    python = copy_of_python(opt)
    (opt / "bin/python3").unlink(missing_ok=True)
    (opt / "bin/python3").symlink_to(python.name)
    shutil.copy(wheel, opt)
    # A link may lead out of the root.
    shutil.copy(Path(uv).resolve(), opt / "bin/uv")
    # Unprivileged users have to get at it.
    for folder in [opt, *opt.parents][:4]:
        folder.chmod(0o755)
    return Sandbox(root, opt, None)


def test_a_function_runs_where_only_python_and_uv_are(clean: Sandbox, tmp_path: Path) -> None:
    task = tmp_path / "task"
    write_files(task, {"app.py": FUNCTION, "steps": STEPS})
    command = clean.command(task, ["/bin/sh", "/var/task/steps"])
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env={}, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    alone, *at_once, failed, code = ran.stdout.splitlines()
    assert json.loads(alone) == {"hello": "Ada"}
    assert [json.loads(line)["response"] for line in at_once] == [{"hello": "Ada"}] * 2
    assert json.loads(failed)["errorType"] == "Runtime.ImportModuleError"
    assert code == "exit code 1"
    assert "of /opt: GIL" in ran.stderr
