"""What a terminal is sent: nothing of other people's that it would obey."""

import os
import pty
import re
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from command.conftest import OnTerminal, read
from command.test_watch import Watch
from command.watching import watching
from playing import write_files

OBEYED = "\x1b]0;title\x07\x1b[2J\x9b6n\x08\x7f"
"""Renames the window, erases the screen, has the terminal type its state, goes back and erases."""
VISIBLE = "^[]0;title^G^[[2J\\u{9b}6n^H^?"

OUR_OWN = re.compile(r"\r\x1b\[K|\x1b\[[0-9;]*m")
"""Erasing the status line, and colors."""


def without_our_own(shown: str) -> str:
    return OUR_OWN.sub("", shown)


def test_a_log_cannot_command_the_terminal(on_terminal: OnTerminal, task: Path, bootstrap: Path) -> None:
    log = f"import os\ndef handler(event, context): os.write(2, {OBEYED + 'end' + chr(10)!r}.encode())"
    write_files(task, {"app.py": log})
    shown = without_our_own(on_terminal("invoke", "app.handler", "--bootstrap", bootstrap))
    assert VISIBLE + "end\n" in shown
    assert "\x1b" not in shown


def test_colors_of_a_log_end_with_their_line(on_terminal: OnTerminal, task: Path, bootstrap: Path) -> None:
    write_files(task, {"app.py": r"def handler(event, context): print('\x1b[32mgreen'); print('plain')"})
    assert "\x1b[32mgreen\x1b[0m\nplain\n" in on_terminal("invoke", "app.handler", "--bootstrap", bootstrap)
    assert "\ngreen\nplain\n" in on_terminal("invoke", "app.handler", "--bootstrap", bootstrap, NO_COLOR="1")


def test_a_log_that_is_no_terminal_is_byte_for_byte(cli: Path, task: Path, bootstrap: Path) -> None:
    write_files(task, {"app.py": f"def handler(event, context): print({OBEYED!r})"})
    ran = subprocess.run(
        [cli, "invoke", "app.handler", "--task", task, "--bootstrap", bootstrap], capture_output=True, timeout=30, check=True
    )
    assert OBEYED.encode() + b"\n" in ran.stderr


def test_a_response_cannot_command_the_terminal(cli: Path, task: Path, bootstrap: Path) -> None:
    write_files(task, {"app.py": f"def handler(event, context):\n    yield {OBEYED!r}\n    yield 'end'"})
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reading = threading.Thread(target=lambda: shown.extend(iter(lambda: read(ours), b"")))
    reading.start()
    command: list[str | Path] = [cli, "invoke", "app.handler", "--task", task, "--bootstrap", bootstrap]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL, timeout=30, check=True)
    os.close(theirs)
    reading.join(20)
    os.close(ours)
    assert VISIBLE + "end" in b"".join(shown).decode()


def test_a_name_in_a_message_cannot_command_the_terminal(on_terminal: OnTerminal, tmp_path: Path) -> None:
    shown = on_terminal("invoke", "app.handler", "--task", tmp_path / OBEYED)
    assert VISIBLE in shown
    assert "\x1b" not in without_our_own(shown)


@pytest.fixture
def watch(cli: Path, bootstrap: Path, task: Path) -> Watch:
    (task / "app.py").write_text("def handler(event, context): return event\n")
    return partial(watching, cli, bootstrap, task)


def test_the_name_of_a_saved_file_cannot_command_the_terminal(watch: Watch, task: Path) -> None:
    with watch() as running:
        (task / f"a{OBEYED}\nwhipsnake: b.py").write_text("")
        assert f"whipsnake: a{VISIBLE}^Jwhipsnake: b.py changed; ready after" in running.until(" ms\n")
