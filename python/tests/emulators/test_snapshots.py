"""A function that is told it is `snap-start`, under our emulator: it takes no snapshot, and the hooks run."""

import subprocess
from pathlib import Path

from playing import write_files

FUNCTION = """
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(print, "before")
    register_after_restore(print, "after")

    def handler(event, context):
        return event
"""


def test_the_hooks_run_around_nothing(cli: Path, bootstrap: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"app.py": FUNCTION, "event.json": "1"})
    command: list[str | Path] = [cli, "invoke", "app.handler", "--task", tmp_path, "--bootstrap", bootstrap]
    command += ["--event", tmp_path / "event.json", "--env", "AWS_LAMBDA_INITIALIZATION_TYPE=snap-start"]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, timeout=20)
    assert ran.stdout == "1\n"
    assert ran.stderr.index("before\n") < ran.stderr.index("after\n") < ran.stderr.index("START RequestId")
