"""Standard output or error is closed, full, or a pipe that nobody reads: no verb panics."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from playing import write_files

VERBS = {
    "pack": ("pack", "function", "--python", sys.executable),
    "python": ("python", "--python", sys.executable),
    "doctor": ("doctor", "--task", "function"),
    "events": ("events", "list"),
    "completions": ("completions", "bash"),
    "invoke": ("invoke", "app.handler", "--task", "function", "--repeat", "3"),
    "invoke --json": ("invoke", "app.handler", "--task", "function", "--repeat", "3", "--json"),
    "help": ("--help",),
    "a refusal": ("pack", "nowhere"),
}

HUNG_UP = 128 + 13
"""The exit code of a command that SIGPIPE has ended, in a shell."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path / "function", {"app.py": "def handler(event, context): print('log'); return 'response'"})
    return tmp_path


def run(cli: Path, folder: Path, verb: str, redirection: str) -> subprocess.CompletedProcess[bytes]:
    """In a shell, which closes descriptors. The other one is captured."""
    script = f'exec "$@" {redirection}'
    command: list[str | Path] = ["sh", "-c", script, "sh", cli, *VERBS[verb]]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)


def run_unread(cli: Path, folder: Path, verb: str, stream: str) -> subprocess.CompletedProcess[bytes]:
    """With a pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    try:
        return subprocess.run([cli, *VERBS[verb]], cwd=folder, check=False, timeout=60, **streams)  # type: ignore[call-overload,no-any-return]
    finally:
        os.close(writer)


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_of_standard_output_may_hang_up(cli: Path, folder: Path, verb: str) -> None:
    done = run_unread(cli, folder, verb, "stdout")
    expected = {"a refusal": 2, "invoke": HUNG_UP, "invoke --json": HUNG_UP}.get(verb, 0)
    assert done.returncode == expected, done.stderr
    assert b"panicked" not in done.stderr
    assert b"Broken pipe" not in done.stderr
    if verb == "pack":
        assert (folder / "dist/function.zip").is_file()


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_of_standard_error_may_hang_up(cli: Path, folder: Path, verb: str) -> None:
    expected = run(cli, folder, verb, "")
    done = run_unread(cli, folder, verb, "stderr")
    assert done.returncode == expected.returncode
    if verb.startswith("invoke --json"):
        assert done.stdout.count(b'"response":"response"') == 3


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("redirection", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_either_may_be_closed(cli: Path, folder: Path, verb: str, redirection: str) -> None:
    done = run(cli, folder, verb, redirection)
    assert done.returncode == (2 if verb == "a refusal" else 0), done.stderr
    assert b"panicked" not in done.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("a refusal", "help")])
def test_a_full_disk_is_reported(cli: Path, folder: Path, verb: str) -> None:
    done = run(cli, folder, verb, "1>/dev/full")
    assert done.returncode == 2
    assert b"whipsnake: writing to standard output: No space left on device" in done.stderr
