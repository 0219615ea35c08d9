"""The terminal captures of docs/guides/local-development.md come from real runs.

`WHIPSNAKE_WRITE_DOCS` writes them anew. Otherwise they are compared, without what differs from run to run.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command.captures import Session, check
from command.watching import save

WATCH = "whipsnake watch "


@pytest.fixture
def run(cli: Path, bootstrap: Path, tmp_path: Path) -> Callable[[str], str]:
    """Runs a command of the guide, and returns what the terminal shows."""
    programs, folder = tmp_path / "bin", tmp_path / "shop"
    programs.mkdir()
    folder.mkdir()
    shutil.copy(cli, programs / "whipsnake")
    shutil.copy(bootstrap, programs / "bootstrap")

    def run(command: str) -> str:
        is_watch = command.startswith(WATCH)
        shown = watch(command, folder, programs) if is_watch else Session(command, folder, programs).end()
        return shown.replace(str(folder), "/home/ada/shop").replace(str(programs), "/home/ada/bin")

    return run


def watch(command: str, folder: Path, programs: Path) -> str:
    """The saves that the guide tells of, and Ctrl-C. Two free ports are shown as the usual ones."""
    session = Session(f"exec {command} --listen 127.0.0.1:0 --function-url 127.0.0.1:0", folder, programs)
    session.until("REPORT ")
    app = folder / "app.py"
    written = app.read_text()
    save(app, written.replace('["name"]', '["name"'))
    session.until("whipsnake: .* does not start: ")
    save(app, written.replace("Hello", "Good morning"))
    session.until("REPORT ", 2)
    os.killpg(session.process.pid, signal.SIGINT)
    shown = session.end()
    save(app, written)
    for usual in ("127.0.0.1:9000", "127.0.0.1:9001"):
        if port := re.search(r"127\.0\.0\.1:(?!900[01])\d+", shown):
            shown = shown.replace(port[0], usual)
    return shown


def test_the_captures_are_those_of_real_runs(run: Callable[[str], str], repository: Path, tmp_path: Path) -> None:
    guide = repository / "docs/guides/local-development.md"
    text = guide.read_text()
    module = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert module
    (tmp_path / "shop/app.py").write_text(module[1])
    check(guide, run, 7)
