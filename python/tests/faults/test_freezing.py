"""Between two invocations Lambda stops the process, for as long as it likes. What it finds then: dead connections, another
time of day, or that it is a copy. The next invocation is served, and costs one new connection.

`WHIPSNAKE_FREEZE_SECONDS` is how long the process is stopped [0.3].
"""

import os
import time

import pytest

from conftest import PlayFunction
from faults.handlers import HANDLERS, assert_served, served, served_at_once
from playing import SECONDS_TO_ANSWER, Step, event, step

SECONDS = float(os.environ.get("WHIPSNAKE_FREEZE_SECONDS") or 0.3)
TIME_OUT = int((SECONDS_TO_ANSWER + 2 * SECONDS) * 1000)

STOPPED = step(idle_signal={"name": "SIGSTOP"})


def thawed(**broken: object) -> Step:
    """What happens to the poll of a stopped process, which goes on after its time."""
    return step(**broken, signal={"name": "SIGCONT", "after_ms": int(SECONDS * 1000)})


ENDS: dict[str, dict[str, object]] = {
    "closed": {"close": "before"},
    "reset": {"close": "before", "reset": True},
    "broken in an event": {"event": "lost", "content_length": 1000, "close": "after"},
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", ENDS)
def test_a_connection_that_died_while_the_process_was_stopped_costs_one_reconnect(
    play: PlayFunction, name: str, handler: str
) -> None:
    run = served(play, handler, ["first", STOPPED, thawed(**ENDS[name]), "after", "next"], timeout_ms=TIME_OUT)
    assert_served(run, "rid-1", "rid-3", "rid-4")
    assert [answer.body for answer in run.answers.values()] == [b'"first"', b'"after"', b'"next"']
    assert [request.connection for request in run.requests] == [1, 1, 1, 2, 2, 2, 2, 2]
    asked_again = run.requests[3].at_us - run.requests[2].at_us
    assert asked_again >= SECONDS * 900_000, "it was stopped"
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_event_that_came_while_the_process_was_stopped_is_served(play: PlayFunction, handler: str) -> None:
    thaw = event("meanwhile", signal={"name": "SIGCONT", "after_ms": int(SECONDS * 1000)})
    run = served(play, handler, ["first", STOPPED, thaw, "next"], timeout_ms=TIME_OUT)
    assert_served(run, "rid-1", "rid-2", "rid-3")
    assert {request.connection for request in run.requests} == {1}


@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_with_several_at_once_a_dead_connection_costs_one_reconnect(play: PlayFunction, kind: str) -> None:
    run = served_at_once(play, kind, [1, 2, STOPPED, thawed(close="before", reset=True), 3, 4, 5], timeout_ms=TIME_OUT)
    assert sorted(run.responses) == [1, 2, 3, 4, 5], run.story()
    assert len({request.connection for request in run.requests}) == 3
    assert (run.stdout, run.stderr) == ("", "")


STOPS_ITSELF = f"""
import asyncio, json, os, signal, sys, time
def outcome(event):
    if event == "stop":
        os.posix_spawn("/bin/sh", ["sh", "-c", "sleep {SECONDS}; kill -CONT " + str(os.getpid())], os.environ)
        os.kill(os.getpid(), signal.SIGSTOP)
    return event
"""


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_stopped_in_the_middle_of_an_invocation_it_answers_over_a_new_connection(
    play: PlayFunction, handler: str, reset: bool
) -> None:
    run = served(play, handler, [event("stop", close="after", reset=reset), "next"], source=STOPS_ITSELF, timeout_ms=TIME_OUT)
    assert_served(run, "rid-1", "rid-2")
    assert run.answers["rid-1"].body == b'"stop"'
    assert [request.connection for request in run.requests] == [1, 2, 2, 2, 2]
    assert (run.stdout, run.stderr) == ("", "")


SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}

RESTORES: dict[str, dict[str, object]] = {
    "closed": {"close": "after"},
    "reset": {"close": "after", "reset": True},
    "closed in the answer": {"content_length": 1000, "close": "after"},
    "open, but nobody there": {},
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", RESTORES)
def test_after_a_restore_the_next_invocation_costs_one_reconnect(play: PlayFunction, name: str, handler: str) -> None:
    run = served(play, handler, ["first", "next"], environment=SNAP_START, restore_next=[RESTORES[name]])
    assert run.calls[:2] == ["GET restore/next", "GET next"]
    assert_served(run, "rid-1", "rid-2")
    assert [request.connection for request in run.requests] == [1, 2, 2, 2, 2, 2]
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("answer", [{"close": "before"}, {"close": "before", "reset": True}, {"truncate_at": 20}])
def test_where_the_answer_to_restore_is_lost_it_is_asked_for_once_more(play: PlayFunction, answer: dict[str, object]) -> None:
    run = served(play, "plain", ["first"], environment=SNAP_START, restore_next=[answer])
    assert run.calls == ["GET restore/next"] * 2 + ["GET next", "POST rid-1/response", "GET next"]
    assert (run.stdout, run.stderr) == ("", "")


REMAINING = """
import asyncio, json, os, sys, time
def outcome(event):
    return sys._getframe(1).f_locals["context"].get_remaining_time_in_millis()
"""
HOUR = 3600


def deadline_in(seconds: float) -> dict[str, str]:
    """What a clock that is wrong by so much makes of a deadline."""
    return {"Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000))}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_clock_that_is_wrong_changes_the_remaining_time_and_nothing_else(play: PlayFunction, handler: str) -> None:
    offsets = [HOUR, -HOUR, 30 * 365 * 24 * HOUR, -30 * 365 * 24 * HOUR]
    run = served(play, handler, [event(0, headers=deadline_in(offset)) for offset in offsets], source=REMAINING)
    assert_served(run, "rid-1", "rid-2", "rid-3", "rid-4")
    for offset, remaining in zip(offsets, run.responses, strict=True):
        assert max(0, offset) * 1000 - 20_000 <= remaining <= max(0, offset) * 1000 + 1000
    assert (run.stdout, run.stderr) == ("", "")


JUMPS = """
import asyncio, json, os, sys, time
true_time = time.time
def outcome(event):
    time.time = lambda: true_time() + event
    return sys._getframe(1).f_locals["context"].get_remaining_time_in_millis() > 0
"""


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_clock_that_jumps_during_an_invocation_ends_nothing(play: PlayFunction, handler: str) -> None:
    run = served(play, handler, [-HOUR, HOUR, 0], source=JUMPS)
    assert run.responses == [True, False, True]
    assert (run.stdout, run.stderr) == ("", "")


SLEEPS = {
    "a coroutine": "async def handler(event, context):\n    await asyncio.sleep(0.05)\n    return outcome(event, context)",
    "a stream": "async def handler(event, context):\n    for _ in range(2):\n        await asyncio.sleep(0.05)\n"
    "    yield json.dumps(outcome(event, context))",
}
JUMPS_AHEAD = """
import asyncio, json, time
true_time = time.time
time.time = lambda: true_time() + ahead
ahead = 0
def outcome(event, context):
    global ahead
    ahead = event
    return context.get_remaining_time_in_millis() > 0
"""


@pytest.mark.parametrize("name", SLEEPS)
def test_with_several_at_once_a_clock_that_jumped_ahead_cancels_nothing(play: PlayFunction, name: str) -> None:
    """Neither what is served when it jumps, nor what comes afterwards with a deadline that seems to have passed."""
    run = play(
        {"app.py": JUMPS_AHEAD + SLEEPS[name]},
        events=[HOUR] * 4,
        environment={"AWS_LAMBDA_MAX_CONCURRENCY": "2"},
        end="SIGTERM",
        end_after_answers=True,
        end_after_ms=100,
    )
    assert [answer.json() for answer in run.answers.values()] == [False] * 4, run.story()
    assert (run.stdout, run.stderr) == ("", "")
