"""The runtime's own words, on a standard error that takes nothing."""

from pathlib import Path

import pytest

from conftest import PlayFunction
from faults.misbehaving import EVENTS, misbehaves
from playing import ENDED_AFTER_THE_LAST_EVENT

BROKEN = {
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",
    "closed": "os.close(2)",
    "closed at its other end": "r, w = os.pipe(); os.close(r); os.dup2(w, 2)",
    "full and not read": "r, w = os.pipe(); os.set_blocking(w, False); os.write(w, bytes(65536)); os.dup2(w, 2)",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_notice_that_cannot_be_written_is_lost(play: PlayFunction, broken: str) -> None:
    """A forked child that comes back from the handler ends with a notice, and with exit code 1."""
    bad = f"""
        {broken}
        if child := os.fork():
            return os.waitpid(child, 0)[1]
    """
    run = play(misbehaves(bad, ""), events=EVENTS)
    assert run.responses == [256, [1, "rid-2"], [2, "rid-3"]]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_panic_that_cannot_be_told_has_its_exit_code(play: PlayFunction, broken: str) -> None:
    run = play(misbehaves(f"{broken}\nos.closerange(3, 1000)", ""), events=EVENTS)
    assert (run.calls, run.ending) == (["GET next"], "exit code 1")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2> >(exec true)"])
@pytest.mark.parametrize("level", ["trace", "nonsense"])
def test_a_function_is_served_where_our_own_log_cannot_be_written(
    play: PlayFunction, bootstrap: Path, redirection: str, level: str
) -> None:
    command = ["bash", "-c", f'exec "$0" {redirection}', str(bootstrap)]
    files = {"app.py": "def handler(event, context): return event"}
    run = play(files, events=EVENTS, command=command, environment={"WHIPSNAKE_LOG": level})
    assert (run.responses, run.ending) == (EVENTS, ENDED_AFTER_THE_LAST_EVENT)


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_start_that_fails_has_its_exit_code(play: PlayFunction, bootstrap: Path, redirection: str) -> None:
    command = ["bash", "-c", f'exec "$0" {redirection}', str(bootstrap)]
    run = play({}, command=command, environment={"AWS_LAMBDA_MAX_CONCURRENCY": "many"})
    assert run.ending == "exit code 1"
