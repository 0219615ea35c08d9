"""How soon a process ends that was asked to, and what wakes it."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from conftest import PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, Run, event, step

LIMIT = 2.0
"""Seconds. What a process gets that was asked to end, in docs/guides/shutdown.md."""

SOON = 1.0
"""Seconds that a busy machine may take for what takes none."""


@pytest.fixture
def timed(play: PlayFunction) -> Callable[..., tuple[Run, float]]:
    """A run, and the seconds from the signal that ends it to the end. The signal comes with the last request of the function."""

    def timed(source: str, **script: Any) -> tuple[Run, float]:
        run = play({"app.py": source}, **{"events": [{"key1": 1}], "end": "SIGTERM", **script})
        return run, (run.ended_at_us - run.requests[-1].at_us) / 1_000_000

    return timed


SLOW_TO_TAKE_APART = """
import atexit, time
class Slow:
    def __del__(self, sleep=time.sleep): sleep(20)
slow = Slow()
atexit.register(print, "at exit")
def handler(event, context): print("half a line, ", end="")
"""

PRINTS_WITHOUT_PAUSE = """
import atexit, threading, sys
def work():
    while True: print("x" * 100, file=sys.stderr)
threading.Thread(target=work, daemon=True).start()
atexit.register(print, "at exit")
def handler(event, context): return event
"""


def test_sigterm_does_not_take_the_interpreter_apart(timed: Callable[..., tuple[Run, float]]) -> None:
    run, seconds = timed(SLOW_TO_TAKE_APART)
    assert (run.stdout, run.ending) == ("half a line, at exit\n", "signal 15")
    assert seconds < SOON


@pytest.mark.ordinary_start("the import starts a thread", kinds=["init"])
def test_sigterm_beside_a_daemon_thread_that_prints_without_pause_is_no_crash(timed: Callable[..., tuple[Run, float]]) -> None:
    run, seconds = timed(PRINTS_WITHOUT_PAUSE)
    assert (run.stdout, run.ending) == ("at exit\n", "signal 15")
    assert seconds < SOON


ENDLESS = {
    "an exit function": "import atexit, time\natexit.register(time.sleep, 20)\n",
    "an exit function in C": "import atexit, re\natexit.register(re.match, '(a?){40}a{40}', 'a' * 40)\n",
    "a thread": "import threading\nthreading.Thread(target=threading.Event().wait, args=[20]).start()\n",
    "a flush": "import sys, time\nclass Slow:\n    def flush(self): time.sleep(20)\nsys.stdout = Slow()\n",
}


FLUSHES = pytest.mark.not_from_checkpoint("standard output is flushed before the dump, which takes as long", kinds=["init"])


@pytest.mark.parametrize(
    "name",
    [
        "an exit function",
        "an exit function in C",
        pytest.param("a thread", marks=pytest.mark.ordinary_start("the import starts a thread", kinds=["init"])),
        pytest.param("a flush", marks=FLUSHES),
    ],
)
def test_there_is_a_limit_for_what_a_function_does_at_sigterm(timed: Callable[..., tuple[Run, float]], name: str) -> None:
    run, seconds = timed(ENDLESS[name] + "def handler(event, context): return event\n")
    assert run.ending == "signal 15"
    assert LIMIT * 0.9 < seconds < LIMIT + SOON


def test_there_is_a_limit_where_the_event_loop_does_not_come_back(timed: Callable[..., tuple[Run, float]]) -> None:
    source = """
import asyncio, time
async def work():
    await asyncio.sleep(0.2)
    time.sleep(20)
async def handler(event, context):
    handler.task = asyncio.create_task(work())
"""
    run, seconds = timed(source, events=[1, step(idle_signal={"name": "SIGTERM", "after_ms": 500, "until_output": "never"})])
    assert run.ending == "signal 15"
    assert seconds < 0.5 + LIMIT + SOON


RETURNED = {"until_output": "returns\n", "after_ms": 300}
"""When a signal comes that meets the response on its way."""

UNACKNOWLEDGED: dict[str, Any] = {
    "response": [{"delay_ms": 20_000}],
    "end": "wait",
}


@pytest.mark.parametrize(
    ("name", "source", "ending", "stderr"),
    [
        ("SIGTERM", "", "signal 15", ""),
        ("SIGTERM", "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))", "exit code 5", ""),
        ("SIGINT", "", f"signal {signal.SIGINT}", "KeyboardInterrupt\n"),
    ],
)
@pytest.mark.parametrize("kind", ["", "async "])
def test_there_is_a_limit_while_a_response_is_not_acknowledged(
    play: PlayFunction, name: str, source: str, ending: str, stderr: str, kind: str
) -> None:
    function = f"import signal, sys\n{source}\n{kind}def handler(event, context):\n    print('returns')\n    return event\n"
    began = time.monotonic()
    run = play({"app.py": function}, events=[event(1, signal=RETURNED | {"name": name})], **UNACKNOWLEDGED)
    assert time.monotonic() - began < LIMIT + 4 * SOON
    assert (run.responses, run.ending) == ([1], ending)
    assert run.stderr.endswith(stderr)


def test_a_signal_that_comes_while_the_result_is_encoded_is_not_left_until_the_response_is_acknowledged(
    play: PlayFunction,
) -> None:
    """No code of Python's runs after it, which would look for it, and the runtime does not wait yet."""
    source = """
import ctypes, signal
from functools import partial
class Interrupts(int):
    __int__ = staticmethod(partial(ctypes.CDLL(None)["raise"], signal.SIGINT))
def handler(event, context): return Interrupts()
"""
    began = time.monotonic()
    run = play({"app.py": source}, events=[1], **UNACKNOWLEDGED)
    assert time.monotonic() - began < LIMIT + 4 * SOON
    assert (run.responses, run.ending) == ([0], f"signal {signal.SIGINT}")
    assert run.stderr.endswith("KeyboardInterrupt\n")


@pytest.mark.parametrize("kind", ["tasks", "threads", "processes"])
def test_there_is_a_limit_with_several_invocations_at_once(play: PlayFunction, kind: str) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": kind}
    function = f"{'async ' if kind == 'tasks' else ''}def handler(event, context):\n    print('returns')\n    return event\n"
    began = time.monotonic()
    steps = [event(1, signal=RETURNED | {"name": "SIGTERM"})]
    run = play({"app.py": function}, events=steps, environment=variables, **UNACKNOWLEDGED)
    assert time.monotonic() - began < LIMIT + 4 * SOON
    assert "POST rid-1/response" in run.calls
    assert run.ending == "signal 15"


@pytest.mark.parametrize(
    ("source", "ending"), [("", "signal 15"), ("signal.signal(15, lambda *_: sys.exit(5))", "exit code 5")]
)
def test_a_response_that_is_acknowledged_within_the_limit_counts(play: PlayFunction, source: str, ending: str) -> None:
    function = f"import signal, sys\n{source}\ndef handler(event, context):\n    print('returns')\n    return event\n"
    steps = [event(1, signal=RETURNED | {"name": "SIGTERM"}), 2]
    run = play({"app.py": function}, events=steps, response=[{"delay_ms": 1000}])
    assert (run.calls, run.ending) == (["GET next", "POST rid-1/response"], ending)


def test_a_signal_handler_that_returns_runs_while_a_response_is_not_acknowledged(play: PlayFunction) -> None:
    source = "import os, signal\nsignal.signal(15, lambda *_: os.write(1, b'handled\\n'))\n"
    function = source + "def handler(event, context):\n    print('returns')\n    return event\n"
    steps = [event(1, signal=RETURNED | {"name": "SIGTERM"}), 2]
    run = play({"app.py": function}, events=steps, response=[{"delay_ms": int(LIMIT * 1500)}])
    assert (run.responses, run.stdout, run.ending) == ([1, 2], "returns\nhandled\nreturns\n", ENDED_AFTER_THE_LAST_EVENT)


@pytest.mark.parametrize("descriptor", range(3, 9))
def test_sigterm_ends_a_process_whose_function_has_closed_a_descriptor_of_ours(
    timed: Callable[..., tuple[Run, float]], descriptor: int
) -> None:
    """With some of them there is no other way to go on than to end at once, which the next wait says."""
    run, seconds = timed(f"import os\ndef handler(event, context):\n    os.close({descriptor})\n    return event\n")
    assert run.ending in ("signal 15", "exit code 1")
    assert seconds < LIMIT + SOON
    if run.ending == "exit code 1":
        assert run.stderr.startswith("whipsnake: cannot go on: ")


@pytest.mark.parametrize("descriptor", [3, 4])
@pytest.mark.parametrize("kind", ["", "async "])
def test_signal_handlers_run_in_a_process_whose_function_has_closed_what_wakes_us(
    play: PlayFunction, descriptor: int, kind: str
) -> None:
    source = f"""
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
{kind}def handler(event, context):
    if event == 1: os.close({descriptor})
    return event
"""
    waits = step(idle_signal={"name": "SIGUSR1", "after_ms": 200, "until_output": "handled\n"})
    run = play({"app.py": source}, events=[1, waits, 2])
    assert (run.responses, run.stdout, run.stderr) == ([1, 2], "handled\n", "")


def test_the_wake_up_descriptor_is_ours_while_we_wait_and_at_no_other_time(play: PlayFunction) -> None:
    source = """
import signal
at_import = signal.set_wakeup_fd(-1)
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
def handler(event, context):
    yield str([at_import, signal.set_wakeup_fd(-1)])
    yield str(signal.set_wakeup_fd(-1))
"""
    waits = step(idle_signal={"name": "SIGUSR1", "after_ms": 200, "until_output": "handled\n"})
    run = play({"app.py": source}, events=[1, waits, 2])
    assert [answer.body.decode() for answer in run.answers.values()] == ["[-1, -1]-1"] * 2
