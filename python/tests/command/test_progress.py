"""What takes longer than a second is told on a terminal, while it does and not afterwards."""

import re
import sys
from pathlib import Path

import pytest

from command.conftest import OnTerminal, Whipsnake
from playing import write_files

SLOW_IMPORT = """
    import os, time
    os.write(1, b"importing\\n")
    time.sleep(1.3)
    os.write(1, b"half a ")
    time.sleep(1)
    os.write(1, b"line\\n")

    def handler(event, context): return event
"""
LINE = "\r\x1b[Kwhipsnake: the function is starting, 1 s"
ERASED = "\r\x1b[K"


def test_a_slow_import_is_told_and_leaves_nothing(bootstrap: Path, task: Path, on_terminal: OnTerminal) -> None:
    write_files(task, {"app.py": SLOW_IMPORT})
    shown = on_terminal("invoke", "app.handler", "--bootstrap", bootstrap)
    # It makes place for what the function writes, and takes no half a line away.
    assert shown.startswith(f"importing\n{LINE}{ERASED}half a line\n")
    assert "starting" not in seen(shown)
    assert "REPORT RequestId: " in shown


@pytest.mark.parametrize("variable", ["NO_COLOR=1", "TERM=dumb"])
def test_who_wants_plain_text_gets_plain_text(bootstrap: Path, task: Path, on_terminal: OnTerminal, variable: str) -> None:
    write_files(task, {"app.py": SLOW_IMPORT})
    name, value = variable.split("=")
    shown = on_terminal("invoke", "app.handler", "--bootstrap", bootstrap, **{name: value})
    assert "REPORT RequestId: " in shown
    assert not re.search(r"starting|\x1b|\r", shown)


def test_what_a_program_complains_about_is_no_part_of_the_line(task: Path, tmp_path: Path, on_terminal: OnTerminal) -> None:
    programs = tmp_path / "bin"
    write_files(programs, {"uv": "#!/bin/sh\nsleep 1.3\necho 'error: no such package' >&2\nexit 1\n"})
    write_files(task, {"requirements.txt": "nothing\n"})
    shown = on_terminal("pack", ".", PATH=f"{programs}:/usr/bin:/bin", PYTHON=sys.executable)
    assert re.search(r"\r\x1b\[Kwhipsnake: installing [^\r]*\r\x1b\[Kerror: no such package\n", shown), shown
    assert "failed, see above" in shown


def test_a_pipe_gets_no_progress(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", module=SLOW_IMPORT)
    assert ran.stderr.startswith("importing\nhalf a line\nSTART RequestId: ")


def seen(shown: str) -> str:
    """What is left on the screen."""
    return "\n".join(line.rpartition(ERASED)[2] for line in shown.split("\n"))
