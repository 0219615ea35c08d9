"""Terminal captures in the documentation: the command is run again, and its output is compared or written."""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

CAPTURE = re.compile(r"^```console\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)
VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    # Durations and memory, in the log and in JSON.
    (r"\d+(\.\d+)? (ms|MB|kB)", r"N \2"),
    # Of a checkpoint, by the version of the packages.
    (r" and \d+ more", " and N more"),
    # A checkpoint's, by the machine.
    (r"(features of this machine's).*", r"\1"),
    (r"\d+ (setting|variable)s?", r"N \1"),
    # A thread's id.
    (r"\(\d+\)", "(N)"),
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
        self.process.wait(60)
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


def comparable(shown: str) -> str:
    for pattern, replacement in VARYING:
        shown = re.sub(pattern, replacement, shown)
    return "\n".join(line.rstrip() for line in shown.splitlines())


def check(page: Path, run: Callable[[str], str], expected: int) -> None:
    """Runs every command that the page shows. `WHIPSNAKE_WRITE_DOCS` writes their output into the page."""
    text = page.read_text()
    shown: dict[str, str] = {}
    for capture in CAPTURE.finditer(text):
        output = run(capture["command"])
        shown[capture["command"]] = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
    assert len(shown) == expected
    if os.environ.get("WHIPSNAKE_WRITE_DOCS"):
        text = CAPTURE.sub(lambda capture: f"```console\n$ {capture['command']}\n{shown[capture['command']]}```", text)
        page.write_text(text)
    captured = {capture["command"]: capture["output"] for capture in CAPTURE.finditer(text)}
    for command, output in shown.items():
        assert comparable(captured[command]) == comparable(output), f"{command}: run this test with WHIPSNAKE_WRITE_DOCS=1"
