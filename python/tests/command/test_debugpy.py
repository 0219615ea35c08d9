"""`--debugpy`: an editor stops a function where it likes, and nothing is too late because of that."""

import json
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from command.debugging import Editor
from command.watching import save, watching

pytest.importorskip("debugpy", reason="debugpy is not installed in this environment")

MODULE = textwrap.dedent("""\
    imported = "at the import"

    def handler(event, context):
        doubled = event * 2
        return [doubled, context.get_remaining_time_in_millis() > 3_600_000]
""")
AT_IMPORT, IN_HANDLER = 1, 5
WAITS = "whipsnake: waiting for an editor to attach\n"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def app(task: Path) -> Path:
    file = task / "app.py"
    file.write_text(MODULE)
    return file


@pytest.fixture
def invoking(cli: Path, bootstrap: Path, app: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command: list[str | Path] = [cli, "invoke", "app.handler", "-e", "[21]", "--debugpy", str(port), "--venv", sys.prefix]
    command += ["--bootstrap", bootstrap]
    with subprocess.Popen(command, cwd=app.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def until(process: subprocess.Popen[bytes], text: str) -> str:
    assert process.stderr is not None
    said = ""
    while text not in said:
        line = process.stderr.readline()
        assert line, said
        said += line.decode()
    return said


def test_an_invocation_waits_for_the_editor_and_stops_at_its_lines(
    invoking: subprocess.Popen[bytes], app: Path, port: int
) -> None:
    assert until(invoking, WAITS) == f"whipsnake: debugpy listens on 127.0.0.1:{port}: attach an editor to it\n{WAITS}"
    editor = Editor(port)
    editor.attach(app, AT_IMPORT)
    line, _ = editor.stopped()
    assert line == AT_IMPORT
    editor.stop_at(app, IN_HANDLER)
    editor.go_on()
    line, frame = editor.stopped()
    assert line == IN_HANDLER
    assert [editor.evaluate(frame, name) for name in ("doubled", "imported")] == ["[21, 21]", "'at the import'"]
    editor.go_on()
    stdout, stderr = invoking.communicate(timeout=20)
    editor.close()
    assert (invoking.returncode, json.loads(stdout)) == (0, [[21, 21], True]), stderr


def test_waiting_ends_with_control_c(invoking: subprocess.Popen[bytes]) -> None:
    until(invoking, WAITS)
    invoking.terminate()
    assert invoking.wait(20) == 143


def test_watch_waits_for_the_editor_after_each_save(cli: Path, bootstrap: Path, app: Path, port: int) -> None:
    options = ("--debugpy", str(port), "--wait-for-client", "--venv", sys.prefix, "--timeout", "5")
    with watching(cli, bootstrap, app.parent, *options, waits_for=WAITS) as running:
        attach_and_go_on(app, port)
        assert re.search(r"watching .*; ready after \d+ ms\n", running.until(" ms\n"))
        assert running.invoke(21) == [42, False]
        save(app, MODULE.replace("2", "3"))
        running.until(WAITS)
        attach_and_go_on(app, port)
        assert re.search(r"app\.py changed; ready after \d+ ms\n", running.until(" ms\n"))
        assert running.invoke(14) == [42, False]


def attach_and_go_on(app: Path, port: int) -> None:
    editor = Editor(port)
    editor.attach(app, AT_IMPORT)
    assert editor.stopped()[0] == AT_IMPORT
    editor.go_on()
    editor.close()
