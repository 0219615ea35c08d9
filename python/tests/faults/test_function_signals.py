"""Signals by the thousand, blocked ones, and handlers that raise."""

import pytest

from conftest import CompareBoth, PlayFunction
from faults.misbehaving import EVENTS, IMPORTS, misbehaves
from playing import ENDED_AFTER_THE_LAST_EVENT, step

STORM = """
count = 0
def counted(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, counted)
"""

HANDLERS = {
    "plain": "def handler(event, context):\n    time.sleep(0.002)",
    "async": "async def handler(event, context):\n    await asyncio.sleep(0.002)",
    "a stream": "def handler(event, context):\n    yield ''\n    time.sleep(0.002)",
}


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_storm_of_signals_costs_no_answer(play: PlayFunction, kind: str) -> None:
    """5,000 a second: while the handler runs, while it is answered for, and while nothing goes on."""
    answer = "yield f'[{event}, true]'" if kind == "a stream" else "return [event, count > 0]"
    start = "signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)\n"
    run = play({"app.py": f"{IMPORTS}{STORM}{start}{HANDLERS[kind]}\n    {answer}\n"}, events=range(200))
    assert run.responses == [[number, True] for number in range(200)]
    assert (run.stderr, run.ending) == ("", ENDED_AFTER_THE_LAST_EVENT)


def test_a_signal_handler_that_raises_while_nothing_goes_on_ends_the_process_with_its_traceback(play: PlayFunction) -> None:
    """As the managed runtime's does, at the same moment: its traceback has frames of its own around the function's."""
    late = "def late(*_): raise ValueError('late')\nsignal.signal(signal.SIGALRM, late)\n"
    files = misbehaves("signal.setitimer(signal.ITIMER_REAL, 0.05)", "", late)
    run = play(files, events=[0, step(idle_signal={"name": "SIGCONT", "after_ms": 5000}), 1])
    assert (run.calls, run.ending) == (["GET next", "POST rid-1/response", "GET next"], "exit code 1")
    assert run.stderr.endswith("ValueError: late\n")


def test_a_function_that_blocks_all_signals_is_served(both: CompareBoth) -> None:
    pair = both(misbehaves("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"), events=EVENTS)
    assert pair.whipsnake.calls[-2:] == ["POST rid-3/response", "GET next"]


def test_a_function_that_takes_the_wake_up_descriptor_is_served(both: CompareBoth) -> None:
    bad = """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        os.close(writer)
    """
    pair = both(misbehaves(bad), events=EVENTS)
    assert pair.whipsnake.calls[-2:] == ["POST rid-3/response", "GET next"]
