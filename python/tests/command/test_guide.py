"""The terminal captures of docs/guides/local-development.md come from real runs.

`WHIPSNAKE_WRITE_DOCS` writes them anew. Otherwise they are compared, without what differs from run to run.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from command.watching import save

WATCH = "whipsnake watch "
CAPTURE = re.compile(r"^```console\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)
VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    # Durations and memory, in the log and in JSON.
    (r"\d+(\.\d+)? (ms|MB)", r"N \2"),
    (r'(Ms|UsedMB)": [\d.]+', r'\1": N'),
    # What is slow enough to be in the doctor's tree.
    (r" +\d+\.\d +\d+\.\d  .*\n", ""),
    (r"  - .* takes \d+ ms: .*\n", ""),
    (r"python3\.\d+", "python3"),
]


class Session:
    """A shell on a terminal without colours."""

    def __init__(self, command: str, folder: Path, programs: Path) -> None:
        ours, theirs = pty.openpty()
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {"PATH": path, "HOME": str(folder.parent), "TERM": "xterm", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            ["sh", "-c", command], cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs, process_group=0
        )
        os.close(theirs)
        self.shown = ""
        self._changed = threading.Condition()
        self._reading = threading.Thread(target=self._read, args=(ours,))
        self._reading.start()

    def until(self, line: str, times: int = 1) -> None:
        """Waits for so many lines of that kind."""
        with self._changed:
            pattern = re.compile(f"^{line}.*\n", re.MULTILINE)
            assert self._changed.wait_for(lambda: len(pattern.findall(self.shown)) == times, 20), f"no {line!r} in {self.shown}"

    def end(self) -> str:
        self.process.wait(20)
        self._reading.join(20)
        return self.shown

    def _read(self, terminal: int) -> None:
        while True:
            try:
                read = os.read(terminal, 10_000)
            except OSError:
                break
            with self._changed:
                self.shown += read.decode().replace("\r\n", "\n")
                self._changed.notify_all()
        os.close(terminal)


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


def comparable(shown: str) -> str:
    for pattern, replacement in VARYING:
        shown = re.sub(pattern, replacement, shown)
    return "\n".join(line.rstrip() for line in shown.splitlines())


def test_the_captures_are_those_of_real_runs(run: Callable[[str], str], repository: Path, tmp_path: Path) -> None:
    guide = repository / "docs/guides/local-development.md"
    text = guide.read_text()
    module = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert module
    (tmp_path / "shop/app.py").write_text(module[1])
    shown: dict[str, str] = {}
    for capture in CAPTURE.finditer(text):
        output = run(capture["command"])
        shown[capture["command"]] = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
    assert len(shown) == 7
    if os.environ.get("WHIPSNAKE_WRITE_DOCS"):
        text = CAPTURE.sub(lambda capture: f"```console\n$ {capture['command']}\n{shown[capture['command']]}```", text)
        guide.write_text(text)
    captured = {capture["command"]: capture["output"] for capture in CAPTURE.finditer(text)}
    for command, output in shown.items():
        assert comparable(captured[command]) == comparable(output), f"{command}: run this test with WHIPSNAKE_WRITE_DOCS=1"
