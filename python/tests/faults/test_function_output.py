"""Standard output that takes nothing: full, closed at its other end, not read."""

import pytest

from conftest import CompareBoth, PlayFunction
from faults.misbehaving import EVENTS, misbehaves
from playing import ENDED_AFTER_THE_LAST_EVENT
from reference import Better

AWAY = {
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)",
    "closed at its other end": "r, w = os.pipe(); os.close(r); os.dup2(w, 1)",
    "full and not read": "r, w = os.pipe(); os.set_blocking(w, False); os.write(w, bytes(65536)); os.dup2(w, 1)",
}
SERVED_ON = {
    "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/error", "GET next", "POST rid-3/response", "GET next"],
    "ending": ENDED_AFTER_THE_LAST_EVENT,
    "rid-1": {"body": '[0, "rid-1"]'},
    "rid-2": {"error-type": None, "call": "POST rid-2/error"},
    "rid-3": {"body": '[2, "rid-3"]'},
    "stdout": "",
    "stderr": "",
}


@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY)
def test_a_failure_that_cannot_be_logged_is_reported_and_the_next_invocation_served(both: CompareBoth, away: str) -> None:
    better = Better("the managed runtime's process ends, as it cannot log the failure", SERVED_ON)
    pair = both(misbehaves(away), events=EVENTS, better=better)
    assert pair.whipsnake.errors[0]["errorType"] == "ZeroDivisionError"


@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY)
def test_a_print_that_cannot_be_written_fails_its_own_invocation(play: PlayFunction, away: str) -> None:
    run = play(misbehaves(f"keep = os.dup(1)\n{away}\nprint('lost')", "", "keep = None"), events=[0, 1, 2])
    assert [error["requestId"] for error in run.errors] == ["rid-1"]
    assert run.responses == [[1, "rid-2"], [2, "rid-3"]]


def test_what_could_not_be_written_is_written_when_it_can_be(both: CompareBoth) -> None:
    """And not again: whoever caught the error has its line."""
    bad = """
        keep = os.dup(1)
        os.dup2(os.open('/dev/full', os.O_WRONLY), 1)
        try:
            sys.stdout.write('x\\n')
        except OSError as error:
            print(error.strerror, file=sys.stderr)
        os.dup2(keep, 1)
    """
    pair = both(misbehaves(bad, "print('line', event)"), events=EVENTS)
    assert pair.whipsnake.stdout == "x\nline 0\nline 1\nline 2\n"


def test_a_pipe_that_is_read_late_loses_nothing(play: PlayFunction) -> None:
    bad = """
        r, w = os.pipe()
        out = os.dup(1)
        os.dup2(w, 1)
        os.close(w)
        def read():
            while piece := os.read(r, 65536):
                while piece: piece = piece[os.write(out, piece):]
        threading.Timer(0.2, read).start()
        for number in range(30_000): print('line', number)
        os.dup2(out, 1)
    """
    run = play(misbehaves(bad, ""), events=EVENTS)
    assert run.responses == [[number, f"rid-{number + 1}"] for number in EVENTS]
    assert run.stdout == "".join(f"line {number}\n" for number in range(30_000))


def test_streams_that_raise_cost_nothing(play: PlayFunction) -> None:
    for error in ("RuntimeError", "KeyboardInterrupt", "SystemExit"):
        bad = f"""
            class Raises:
                def __getattr__(self, name): raise {error}(name)
            sys.stdout = sys.stderr = Raises()
        """
        run = play(misbehaves(bad), events=EVENTS)
        assert run.calls == SERVED_ON["calls"], run.story()
        assert run.stdout.startswith("[ERROR] ZeroDivisionError: division by zero\r")
