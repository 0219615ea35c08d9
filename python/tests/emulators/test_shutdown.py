"""How our emulator ends a function's process: as Lambda does, which gives notice only where an extension is registered."""

import subprocess
from pathlib import Path

import pytest

from playing import write_files

FUNCTION = "import atexit\natexit.register(print, 'at exit')\ndef handler(event, context): return event"


@pytest.mark.parametrize(("options", "noticed"), [([], False), (["--env", "WHIPSNAKE_GRACEFUL_SHUTDOWN=1"], True)])
def test_a_process_has_notice_of_its_end_where_it_asked_for_that(
    cli: Path, bootstrap: Path, tmp_path: Path, options: list[str], noticed: bool
) -> None:
    write_files(tmp_path, {"app.py": FUNCTION, "event.json": "1"})
    event = tmp_path / "event.json"
    command: list[str | Path] = [cli, "invoke", "app.handler", "--task", tmp_path, "--bootstrap", bootstrap, "--event", event]
    ran = subprocess.run([*command, *options], capture_output=True, check=True, text=True, timeout=20)
    assert ran.stdout == "1\n"
    assert ("at exit" in ran.stderr) == noticed
