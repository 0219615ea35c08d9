"""`whipsnake session`: invocations as lines of JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any

ECHO = "def handler(event, context): return event\n"


def served(cli: Path, bootstrap: Path, task: Path, lines: bytes) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what came out but for the log."""
    (task / "app.py").write_text(ECHO)
    command: list[str | Path] = [cli, "session", "app.handler", "--task", task, "--bootstrap", bootstrap]
    ran = subprocess.run(command, input=lines, capture_output=True, timeout=30, check=False)
    assert ran.stderr == b""
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    return ran.returncode, [line for line in said if "log" not in line]


def test_a_line_that_is_no_invocation_is_refused_and_the_next_one_served(cli: Path, bootstrap: Path, task: Path) -> None:
    lines = [
        b'{"payload": "\xff"}',
        b"\xfe\xff",
        b"",
        b"[]",
        b'{"payload": "{"}',
        b'{"payload": "7"}',
    ]
    code, (initialized, *answers) = served(cli, bootstrap, task, b"\n".join(lines))
    assert (code, initialized) == (0, {"initialised": None})
    *refusals, last = answers
    assert len(refusals) == len(lines) - 1
    for refusal in refusals[:2]:
        assert refusal["refused"].startswith("the line is not UTF-8: ")
    assert all(refusal.keys() == {"refused"} for refusal in refusals)
    assert last["outcome"]["payload"] == "7"
