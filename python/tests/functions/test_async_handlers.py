"""Handlers that return something to await: one event loop for as long as the process lives."""

import json
import re
import signal

import pytest

from conftest import PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, Files, step


def app(source: str) -> Files:
    return {"app.py": f"import asyncio\n{source}"}


def test_a_coroutine_is_awaited(play: PlayFunction) -> None:
    run = play(
        app("async def handler(event, context):\n    await asyncio.sleep(0)\n    return [event, context.aws_request_id]"),
        events=["a", "b"],
    )
    assert run.responses == [["a", "rid-1"], ["b", "rid-2"]]
    assert run.stderr == ""


@pytest.mark.parametrize(
    "source",
    [
        "def handler(event, context):\n    return work(event)",
        "import functools\nhandler = functools.partial(lambda function, e, c: function(e), work)",
        "class Handler:\n    async def __call__(self, event, context): return await work(event)\nhandler = Handler()",
        "class Awaitable:\n    def __await__(self): return work('x').__await__()\ndef handler(event, context): return Awaitable()",
    ],
)
def test_anything_that_returns_an_awaitable_is_an_async_handler(play: PlayFunction, source: str) -> None:
    run = play(app(f"async def work(value):\n    await asyncio.sleep(0)\n    return [value]\n{source}"), events=["x"])
    assert run.response == ["x"]


def test_an_exception_has_the_stack_of_the_function_and_nothing_else(play: PlayFunction) -> None:
    run = play(
        app(
            "async def inner(): raise ValueError('v')\n"
            "async def handler(event, context):\n    await asyncio.sleep(0)\n    await inner()"
        ),
        events=[1, 2],
    )
    assert [error["errorType"] for error in run.errors] == ["ValueError", "ValueError"]
    assert [re.sub(r".*, in (\w+)\n.*", r"\1", entry, flags=re.DOTALL) for entry in run.errors[1]["stackTrace"]] == [
        "handler",
        "inner",
    ]
    assert run.stderr == ""


def test_what_was_made_at_import_and_in_earlier_invocations_keeps_working(play: PlayFunction) -> None:
    """Locks, queues and clients are bound to the loop that first used them."""
    run = play(
        app(
            """
lock, queue = asyncio.Lock(), asyncio.Queue()
loops = set()
async def handler(event, context):
    loops.add(id(asyncio.get_running_loop()))
    async with lock:
        await queue.put(event)
    return [queue.qsize(), len(loops)]
"""
        ),
        events=[1, 2, 3],
    )
    assert run.responses == [[1, 1], [2, 1], [3, 1]]


def test_a_loop_that_the_function_has_set_is_the_one(play: PlayFunction) -> None:
    run = play(
        app(
            """
class Loop(asyncio.SelectorEventLoop): pass
loop = Loop()
asyncio.set_event_loop(loop)
async def handler(event, context): return asyncio.get_running_loop() is loop
"""
        ),
        events=[{}, {}],
    )
    assert run.responses == [True, True]


def test_background_tasks_go_on_between_invocations(play: PlayFunction) -> None:
    source = """
count = 0
async def work():
    global count
    while True:
        await asyncio.sleep(0.01)
        count += 1
async def handler(event, context):
    if event == "start":
        handler.task = asyncio.create_task(work())
    return count
"""
    run = play(app(source), events=["start", step(body='"look"', delay_ms=300)])
    before, after = run.responses
    assert before == 0
    assert after >= 5


def test_a_handler_that_runs_a_loop_of_its_own_is_as_before(play: PlayFunction) -> None:
    run = play(app("async def work(): return 1\ndef handler(event, context): return asyncio.run(work())"), events=[{}, {}])
    assert run.responses == [1, 1]


def test_handlers_of_both_kinds_take_turns(play: PlayFunction) -> None:
    source = """
async def work(event): return ["async", event]
def handler(event, context): return work(event) if event % 2 else ["plain", event]
"""
    run = play(app(source), events=[1, 2, 3, 4])
    assert run.responses == [["async", 1], ["plain", 2], ["async", 3], ["plain", 4]]


def test_context_variables_of_an_invocation_are_its_own(play: PlayFunction) -> None:
    """As in every asyncio task: what was set outside is seen, what is set inside stays inside."""
    source = """
import contextvars
variable = contextvars.ContextVar("variable", default="default")
variable.set("at import")
async def handler(event, context):
    seen = variable.get()
    variable.set(event)
    return seen
"""
    assert play(app(source), events=[1, 2]).responses == ["at import", "at import"]


CANCELLED = """
async def handler(event, context):
    if event:
        return "served"
    asyncio.current_task().cancel()
    await asyncio.sleep(1)
"""


def test_a_cancelled_invocation_is_a_fault_and_the_process_goes_on(play: PlayFunction) -> None:
    run = play(app(CANCELLED), events=[0, 1])
    assert run.errors[0]["errorType"] == "CancelledError"
    assert run.responses == ["served"]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT


def test_a_function_that_stops_the_loop_fails_that_invocation_alone(play: PlayFunction) -> None:
    source = """
async def handler(event, context):
    if event:
        return "served"
    asyncio.get_running_loop().stop()
    await asyncio.sleep(1)
"""
    run = play(app(source), events=[0, 1])
    assert run.errors[0]["errorMessage"] == "Event loop stopped before Future completed."
    assert run.errors[0]["stackTrace"] == []
    assert run.responses == ["served"]


def test_after_a_loop_was_closed_there_is_a_new_one(play: PlayFunction) -> None:
    source = """
async def work(): return id(asyncio.get_running_loop())
loops = []
def handler(event, context):
    if loops:
        loops[-1].close()
    async def invocation():
        loops.append(asyncio.get_running_loop())
        return len({id(loop) for loop in loops})
    return invocation()
"""
    assert play(app(source), events=[1, 2, 3]).responses == [1, 2, 3]


@pytest.mark.parametrize("code", [0, 3])
def test_sys_exit_ends_the_process(play: PlayFunction, code: int) -> None:
    source = f"""
import atexit, sys
atexit.register(print, "at exit")
async def handler(event, context):
    await asyncio.sleep(0)
    sys.exit({code})
"""
    run = play(app(source), events=[{"key1": {"key2": 1}}])
    assert (run.calls, run.ending, run.stdout, run.stderr) == (["GET next"], f"exit code {code}", "at exit\n", "")


ENDED_IN_ORDER = """
import sys
async def work():
    try:
        await asyncio.sleep(100)
    finally:
        print("task cancelled")
async def numbers():
    try:
        yield 1
        yield 2
    finally:
        print("generator closed")
generator = numbers()
async def handler(event, context):
    handler.task = asyncio.create_task(work())
    await anext(generator)
    if event == "exit":
        await asyncio.sleep(0)
        sys.exit(0)
    return event
"""


def test_at_the_end_tasks_are_cancelled_and_generators_closed(play: PlayFunction) -> None:
    run = play(app(ENDED_IN_ORDER), events=["exit"])
    assert sorted(run.stdout.split("\n")) == ["", "generator closed", "task cancelled"]
    assert (run.stderr, run.ending) == ("", "exit code 0")


def test_sigterm_while_idle_is_an_orderly_end(play: PlayFunction) -> None:
    run = play(app(ENDED_IN_ORDER), events=["served"], end="SIGTERM")
    assert sorted(run.stdout.split("\n")) == ["", "generator closed", "task cancelled"]
    assert (run.stderr, run.ending) == ("", f"signal {signal.SIGTERM}")


@pytest.mark.parametrize("way", ["signal.signal(signal.SIGTERM, lambda *_: said())", "add(signal.SIGTERM, said)"])
def test_a_signal_handler_of_the_functions_runs_while_idle(play: PlayFunction, way: str) -> None:
    source = f"""
import os, signal
def said():
    print("handled")
    os._exit(7)
async def handler(event, context):
    add = asyncio.get_running_loop().add_signal_handler
    {way}
"""
    run = play(app(source), events=[{}, {}], end="SIGTERM")
    assert (run.stdout, run.ending) == ("handled\n", "exit code 7")


def test_a_signal_while_the_handler_waits_is_handled_at_once(play: PlayFunction) -> None:
    source = """
import os, signal
async def handler(event, context):
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, done.set)
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(done.wait(), 5)
    return "woken"
"""
    assert play(app(source), events=[{}, {}]).responses == ["woken", "woken"]


def test_log_records_name_their_invocation(play: PlayFunction) -> None:
    source = """
import logging
async def handler(event, context):
    await asyncio.sleep(0)
    logging.error("m")
"""
    run = play(app(source), events=[1, 2], environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    assert [json.loads(line)["requestId"] for line in run.stdout.splitlines()] == ["rid-1", "rid-2"]


def test_a_tool_that_wraps_the_handler_sees_its_exceptions(play: PlayFunction) -> None:
    """As Sentry does it."""
    source = """
import sys
bootstrap = sys.modules["__main__"].awslambdaricmain.bootstrap
original = bootstrap.handle_event_request
def handle_event_request(client, request_handler, *args, **kwargs):
    def wrapped(event, context):
        try:
            return [request_handler(event, context), request_handler.__name__]
        except ValueError as error:
            return f"seen {error}"
    return original(client, wrapped, *args, **kwargs)
bootstrap.handle_event_request = handle_event_request
async def handler(event, context):
    await asyncio.sleep(0)
    if event == "cancel":
        raise asyncio.CancelledError
    if event:
        raise ValueError(event)
    return "result"
"""
    run = play(app(source), events=["", "v", "cancel", ""])
    assert run.responses == [["result", "handler"], "seen v", ["result", "handler"]]
    assert run.errors[0]["errorType"] == "CancelledError"


def test_a_plain_function_never_imports_asyncio(play: PlayFunction) -> None:
    run = play({"app.py": "import sys\ndef handler(event, context): return 'asyncio' in sys.modules"}, events=[1, 2])
    assert run.responses == [False, False]
