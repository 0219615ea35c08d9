"""Handlers that return an iterator: what it yields goes out as it yields it."""

import base64
import json
import signal
import statistics

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, Files, Request, Run, event, lines

BYTES = "application/octet-stream"


def app(source: str) -> Files:
    return {"app.py": source}


def trailers(request: Request) -> tuple[str, object]:
    """The error type and the report behind a body."""
    (_, error_type), (_, report) = request.trailers
    assert [name for name, _ in request.trailers] == [
        "lambda-runtime-function-error-type",
        "lambda-runtime-function-error-body",
    ]
    return error_type.decode(), json.loads(base64.b64decode(report))


def test_each_item_is_a_chunk_of_its_own_and_leaves_before_the_next_is_asked_for(play: PlayFunction) -> None:
    source = "import time\ndef handler(event, context):\n    yield 'é'\n    time.sleep(0.2)\n    yield b'\\xff\\x00'"
    run = play(app(source), events=[1, 2])
    for request_id in ("rid-1", "rid-2"):
        request = run.answers[request_id]
        assert request.call == f"POST {request_id}/response"
        assert request.pieces == ["é".encode(), b"\xff\x00"]
        assert request.chunks[1].at_us - request.chunks[0].at_us > 100_000
        assert request.trailers == []
        assert request.header("lambda-runtime-function-response-mode") == "streaming"
        assert request.header("transfer-encoding") == "chunked"
        assert request.header("content-length") is None
        assert request.header("content-type") == BYTES
        assert request.header("trailer") == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    assert {request.connection for request in run.requests} == {1}
    assert (run.stdout, run.stderr) == ("", "")


def test_the_invocation_id_is_echoed(play: PlayFunction) -> None:
    headers = {"Lambda-Runtime-Invocation-Id": "inv-1"}
    run = play(app("def handler(event, context): yield 'a'"), events=[event(1, headers=headers)])
    assert run.answers["rid-1"].header("lambda-runtime-invocation-id") == "inv-1"


ITERATORS = {
    "a generator function": "def handler(event, context):\n    yield 'a'\n    yield 'b'",
    "a generator": "def handler(event, context): return (letter for letter in 'ab')",
    "an iterator of the standard library": "def handler(event, context): return map(str.lower, 'AB')",
    "an iterator of the function's own": """
class Letters:
    left = ["b", "a"]
    def __iter__(self): return self
    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()
def handler(event, context): return Letters()
""",
    "a coroutine that comes to a generator": "async def handler(event, context): return iter(['a', 'b'])",
    "an async generator function": "async def handler(event, context):\n    yield 'a'\n    yield 'b'",
    "an async generator": """
async def letters():
    yield 'a'
    yield 'b'
def handler(event, context): return letters()
""",
    "a coroutine that comes to an async generator": """
async def letters():
    yield 'a'
    yield 'b'
async def handler(event, context): return letters()
""",
    "an async iterator of the function's own": """
class Letters:
    left = ["b", "a"]
    def __aiter__(self): return self
    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()
def handler(event, context): return Letters()
""",
}


@pytest.mark.parametrize("name", ITERATORS)
def test_every_iterator_streams(play: PlayFunction, name: str) -> None:
    run = play(app(ITERATORS[name]), events=[{}])
    assert run.answers["rid-1"].pieces == [b"a", b"b"]
    assert run.stderr == ""


NO_ITERATORS = {
    "a list": "['a']",
    "a tuple": "('a',)",
    "a dict": "{'a': 1}",
    "None": "None",
    "bytes": "b'a'",
    "a range": "range(2)",
    "a set": "{1}",
    "a file": "open(__file__)",
    "a dictionary's view": "{}.keys()",
    "a dict with __next__": "type('D', (dict,), {'__next__': lambda self: 1})(a=1)",
    "a str with __next__": "type('S', (str,), {'__next__': lambda self: 1})('text')",
    "something with _asdict": "type('A', (), {'__next__': lambda self: 1, '_asdict': lambda self: {'a': 1}})()",
    "something that can be iterated": "type('I', (), {'__iter__': lambda self: iter('a')})()",
}


@pytest.mark.parametrize("name", NO_ITERATORS)
def test_what_is_no_iterator_is_what_it_is_on_the_managed_runtime(both: CompareBoth, name: str) -> None:
    both(app(f"def handler(event, context): return {NO_ITERATORS[name]}"), events=[{}])


def test_bytearrays_and_memoryviews_are_bytes(play: PlayFunction) -> None:
    source = "def handler(event, context):\n    yield bytearray(b'a')\n    yield memoryview(b'bc')[1:]"
    assert play(app(source), events=[{}]).answers["rid-1"].pieces == [b"a", b"c"]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_an_empty_item_is_no_end(play: PlayFunction, prefix: str) -> None:
    source = f"{prefix}def handler(event, context):\n    for item in ('', b'', 'a', '', 'b', ''): yield item"
    assert play(app(source), events=[{}]).answers["rid-1"].pieces == [b"a", b"b"]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_no_items_are_an_empty_response(play: PlayFunction, prefix: str) -> None:
    run = play(app(f"{prefix}def handler(event, context):\n    return\n    yield"), events=[1, 2])
    assert run.calls == ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]
    assert [answer.body for answer in run.answers.values()] == [b"", b""]
    assert run.answers["rid-1"].trailers == []


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_failure_before_the_first_item_is_an_ordinary_fault(play: PlayFunction, prefix: str) -> None:
    source = f"{prefix}def handler(event, context):\n    if event:\n        yield event\n    raise ValueError('v')"
    run = play(app(source), events=["", "x"])
    error = run.errors[0]
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("ValueError", "v", "rid-1")
    assert [entry.rpartition("in ")[2] for entry in error["stackTrace"]] == ["handler\n    raise ValueError('v')\n"]
    assert run.answers["rid-1"].trailers == []


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_failure_after_it_goes_out_behind_the_body_and_into_the_log(play: PlayFunction, prefix: str) -> None:
    source = f"""
{prefix}def handler(event, context):
    try:
        yield "a"
        if event:
            raise ValueError("é")
    finally:
        print("finally")
"""
    run = play(app(source), events=[1, 0])
    failed = run.answers["rid-1"]
    assert (failed.call, failed.body) == ("POST rid-1/response", b"a")
    error_type, report = trailers(failed)
    assert error_type == "ValueError"
    assert isinstance(report, dict)
    assert list(report) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (report["errorMessage"], report["errorType"], report["requestId"]) == ("é", "ValueError", "rid-1")
    assert [entry.rpartition("in ")[2] for entry in report["stackTrace"]] == ['handler\n    raise ValueError("é")\n']
    assert run.stdout.startswith("finally\n[ERROR] ValueError: é\rTraceback (most recent call last):\r")
    assert run.answers["rid-2"].trailers == []
    assert {request.connection for request in run.requests} == {1}


def test_a_report_that_no_trailer_holds_is_cropped(play: PlayFunction) -> None:
    """Lambda's HTTP stack takes 4 KB of them."""
    dive = "".join(f"def dive{depth}(): dive{depth - 1}()\n" for depth in range(1, 90))
    source = f"def dive0(): 1 / 0\n{dive}def handler(event, context):\n    yield 'a'\n    dive89()"
    request = play(app(source), events=[{}]).answers["rid-1"]
    assert sum(len(name) + len(value) + 4 for name, value in request.trailers) < 4000
    _, report = trailers(request)
    assert isinstance(report, dict)
    assert len(report["stackTrace"]) > 5
    assert report["stackTrace"][-1].endswith("in dive0\n    def dive0(): 1 / 0\n")


WRONG = "Unable to marshal response: a streamed chunk must be bytes or str, not "


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize(("chunk", "name"), [("1", "int"), ("None", "NoneType"), ("{'a': 1}", "dict"), ("['a']", "list")])
def test_a_chunk_of_another_type_is_named_and_closes_the_generator(
    play: PlayFunction, prefix: str, chunk: str, name: str
) -> None:
    source = f"""
{prefix}def handler(event, context):
    try:
        for item in event:
            yield item
        yield {chunk}
        print("never")
    finally:
        print("finally")
"""
    run = play(app(source), events=["", "a", ""])
    assert [error["errorMessage"] for error in run.errors] == [WRONG + name, WRONG + name]
    assert [error["errorType"] for error in run.errors] == ["Runtime.MarshalError"] * 2
    error_type, report = trailers(run.answers["rid-2"])
    assert error_type == "Runtime.MarshalError"
    assert isinstance(report, dict)
    assert report["errorMessage"] == WRONG + name
    assert run.stdout.count("finally\n") == 3
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT


def test_text_that_is_not_unicode_is_a_fault(play: PlayFunction) -> None:
    run = play(app("def handler(event, context): yield '\\ud800'"), events=[{}])
    assert run.errors[0]["errorMessage"].startswith("Unable to marshal response: 'utf-8' codec can't encode character")


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("code", [0, 3])
def test_sys_exit_on_the_way_breaks_the_response_off(play: PlayFunction, prefix: str, code: int) -> None:
    source = f"import sys\n{prefix}def handler(event, context):\n    yield 'a'\n    sys.exit({code})"
    run = play(app(source), events=[{"key1": {"key2": 1}}])
    assert (run.answers["rid-1"].truncated, run.ending) == (True, f"exit code {code}")


# Lambda answers or hangs up after the first chunk, and reads no more.
GOING_AWAY = {
    "refused": {"status": 413, "body": "too large", "after_chunks": 1, "close": "after"},
    "content": {"after_chunks": 1, "close": "after"},
    "gone": {"after_chunks": 1, "close": "before"},
    "reset": {"after_chunks": 1, "close": "before", "reset": True},
}
WORDS = {
    "refused": "the Runtime API answered 413 Payload Too Large to ",
    "content": "the Runtime API answered before it",
    "gone": "no answer from the Runtime API: ",
    "reset": "no answer from the Runtime API: ",
}
ENDLESS = """
import asyncio, time
{prefix}def handler(event, context):
    if event == "next":
        yield "served"
        return
    try:
        while True:
            yield b"x" * 65536
    finally:
        print("finally")
"""


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("name", GOING_AWAY)
def test_when_nobody_reads_any_more_the_generator_is_closed_and_the_next_invocation_served(
    play: PlayFunction, prefix: str, name: str
) -> None:
    run = play(app(ENDLESS.format(prefix=prefix)), events=["endless", "next"], response=[GOING_AWAY[name]])
    assert run.calls == ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]
    log, finally_ = lines(run.stdout)
    assert log.startswith("[ERROR] Runtime.LambdaRuntimeClientError: could not stream the response to its end: ")
    assert WORDS[name] in log
    assert finally_ == "finally"
    assert run.answers["rid-2"].body == b"served"
    assert run.stderr == ""


def test_what_a_closing_generator_raises_is_told_and_the_next_invocation_served(play: PlayFunction) -> None:
    source = ENDLESS.format(prefix="") + "        raise ValueError('while closing')"
    run = play(app(source), events=["endless", "next"], response=[GOING_AWAY["gone"]])
    assert run.answers["rid-2"].body == b"served"
    assert "ValueError: while closing" in run.stderr


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_slow_reader_slows_the_generator(play: PlayFunction, prefix: str) -> None:
    """What the two sockets hold is on its way, and not more than an item of ours."""
    source = f"""
import os
count = 0
{prefix}def handler(event, context):
    global count
    if event == "count":
        yield str(count)
        return
    while True:
        count += 1
        yield bytes(65536)
"""
    gone = {**GOING_AWAY["gone"], "delay_ms": 300}
    run = play(app(source), events=["endless", "count"], response=[gone])
    assert 1 < int(run.answers["rid-2"].body) < 200


@pytest.mark.parametrize("prefix", ["", "async "])
def test_200_megabytes_flow_in_flat_memory(play: PlayFunction, prefix: str) -> None:
    source = f"""
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
{prefix}def handler(event, context):
    if event:
        before = peak()
        yield bytes(65536)
        for _ in range(event):
            yield bytes(65536)
        print(peak() - before)
    else:
        yield ""
"""
    run = play(app(source), events=[0, 3200], record_requests=False)
    assert int(run.stdout) < 4096


@pytest.mark.parametrize("prefix", ["", "async "])
def test_signals_are_handled_while_the_reader_is_slow(play: PlayFunction, prefix: str) -> None:
    source = f"""
import os, signal
def clean_up(*_):
    print("handled", flush=True)
    os._exit(7)
signal.signal(signal.SIGTERM, clean_up)
{prefix}def handler(event, context):
    yield bytes(65536)
    while event:
        yield bytes(65536)
"""
    stuck = {**GOING_AWAY["gone"], "delay_ms": 15_000}
    # The first one imports what it takes: the signal is to meet a process that waits for its reader, also on a busy machine.
    events = [0, event(1, signal={"name": "SIGTERM", "after_ms": 1000})]
    run = play(app(source), events=events, response=[{}, stuck])
    assert (run.stdout, run.ending) == ("handled\n", "exit code 7")


@pytest.mark.parametrize("prefix", ["", "async "])
def test_sigterm_while_the_reader_is_slow_is_an_orderly_end(play: PlayFunction, prefix: str) -> None:
    source = f"""
import atexit
atexit.register(print, "at exit")
{prefix}def handler(event, context):
    yield bytes(65536)
    while event:
        yield bytes(65536)
"""
    stuck = {**GOING_AWAY["gone"], "delay_ms": 15_000}
    # The first one imports what it takes: the signal is to meet a process that waits for its reader, also on a busy machine.
    events = [0, event(1, signal={"name": "SIGTERM", "after_ms": 1000})]
    run = play(app(source), events=events, response=[{}, stuck])
    assert (run.stdout, run.ending) == ("at exit\n", f"signal {signal.SIGTERM}")


def test_a_signal_handler_that_raises_ends_the_response(play: PlayFunction) -> None:
    """A function's own time-out, as with `signal.alarm`."""
    source = """
import signal
def give_up(*_): raise TimeoutError("too slow")
signal.signal(signal.SIGALRM, give_up)
def handler(event, context):
    if event == "next":
        yield "served"
        return
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        while True:
            yield bytes(65536)
    finally:
        print("finally", flush=True)
"""
    stuck = {**GOING_AWAY["gone"], "delay_ms": 1000}
    run = play(app(source), events=["endless", "next"], response=[stuck])
    assert "[ERROR] TimeoutError: too slow" in run.stdout
    assert "finally\n" in run.stdout
    assert run.answers["rid-2"].body == b"served"


def test_a_connection_that_lambda_closed_meanwhile_is_made_anew(play: PlayFunction) -> None:
    source = "import time\ndef handler(event, context):\n    time.sleep(0.05)\n    yield 'a'\n    yield 'b'"
    run = play(app(source), events=[event(1, close="after"), event(2, close="after")])
    assert [answer.pieces for answer in run.answers.values()] == [[b"a", b"b"]] * 2
    assert run.stdout == ""


def test_prints_and_streamed_chunks_do_not_wait_for_each_other(play: PlayFunction) -> None:
    source = "def handler(event, context):\n    print('one')\n    yield 'a'\n    print('two', end='')"
    run = play(app(source), events=[{}])
    assert (run.stdout, run.answers["rid-1"].body) == ("one\ntwo", b"a")


def test_one_task_asks_for_all_items_of_an_async_generator(play: PlayFunction) -> None:
    """Context variables, time-outs and task groups live across `yield`."""
    source = """
import asyncio, contextvars
variable = contextvars.ContextVar("variable", default="unset")
async def handler(event, context):
    task = asyncio.current_task()
    variable.set("set")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        other = group.create_task(asyncio.sleep(0.01, "done"))
        yield variable.get()
        yield await other
    yield str(asyncio.current_task() is task)
    yield variable.get()
"""
    run = play(app(source), events=[1, 2])
    assert [answer.pieces for answer in run.answers.values()] == [[b"set", b"done", b"True", b"set"]] * 2


def test_an_async_generator_is_closed_in_its_task(play: PlayFunction) -> None:
    source = """
import asyncio
async def handler(event, context):
    task = asyncio.current_task()
    try:
        yield "a"
        while True:
            yield bytes(65536)
    finally:
        await asyncio.sleep(0.01)
        print(asyncio.current_task() is task)
"""
    run = play(app(source), events=[1], response=[GOING_AWAY["gone"]])
    assert [*lines(run.stdout)][1:] == ["True"]


def test_the_event_loop_goes_on_while_the_reader_is_slow(play: PlayFunction) -> None:
    source = """
import asyncio
count = 0
async def work():
    global count
    while True:
        await asyncio.sleep(0.01)
        count += 1
async def handler(event, context):
    if event == "count":
        yield str(count)
        return
    handler.task = asyncio.create_task(work())
    while True:
        yield bytes(65536)
"""
    gone = {**GOING_AWAY["gone"], "delay_ms": 400}
    run = play(app(source), events=["endless", "count"], response=[gone])
    assert int(run.answers["rid-2"].body) >= 5


def test_a_cancelled_stream_fails_that_invocation_alone(play: PlayFunction) -> None:
    source = """
import asyncio
async def handler(event, context):
    if event == "stop":
        asyncio.get_running_loop().stop()
        await asyncio.sleep(1)
    if event == "first":
        raise asyncio.CancelledError
    yield "a"
    if event == "cancel":
        asyncio.current_task().cancel()
        await asyncio.sleep(1)
"""
    run = play(app(source), events=["first", "cancel", "stop", "fine"])
    assert run.errors[0]["errorType"] == "CancelledError"
    assert trailers(run.answers["rid-2"])[0] == "CancelledError"
    assert run.errors[1]["errorMessage"] == "Event loop stopped before the next item came."
    assert run.answers["rid-4"].body == b"a"


NAMES = "import awslambdaric.lambda_runtime_client as names\nimport awslambdaric.lambda_runtime_marshaller as marshaller\n"


@pytest.mark.parametrize("name", ITERATORS)
def test_streams_go_through_the_names_of_awslambdaric(play: PlayFunction, name: str) -> None:
    run = play(app(NAMES + ITERATORS[name]), events=[{}])
    assert run.answers["rid-1"].pieces == [b"a", b"b"]
    assert run.stderr == ""


@pytest.mark.parametrize("prefix", ["", "async "])
def test_failures_of_a_stream_go_through_the_names(play: PlayFunction, prefix: str) -> None:
    source = f"""{NAMES}
post = names.LambdaRuntimeClient.post_invocation_error
def post_invocation_error(self, invoke_id, report, *rest):
    print("seen", invoke_id)
    return post(self, invoke_id, report, *rest)
names.LambdaRuntimeClient.post_invocation_error = post_invocation_error
{prefix}def handler(event, context):
    for item in event:
        yield item
    raise ValueError("v")
"""
    run = play(app(source), events=["", "a"])
    assert [error["errorType"] for error in run.errors] == ["ValueError"]
    assert run.stdout.count("seen") == 1
    assert trailers(run.answers["rid-2"])[0] == "ValueError"


def test_a_tool_may_change_the_content_type_on_the_way(play: PlayFunction) -> None:
    source = f"""{NAMES}
post = names.LambdaRuntimeClient.post_invocation_result
def post_invocation_result(self, invoke_id, result, content_type, *rest):
    return post(self, invoke_id, result, content_type + "+seen", *rest)
names.LambdaRuntimeClient.post_invocation_result = post_invocation_result
def handler(event, context): yield "a"
"""
    run = play(app(source), events=[{}])
    assert run.answers["rid-1"].header("content-type") == BYTES + "+seen"


def test_an_encoder_of_the_functions_own_decides_what_iterators_are(both: CompareBoth) -> None:
    source = f"""{NAMES}
class Encoder(marshaller.Encoder):
    def default(self, value):
        return list(value) if hasattr(value, "__next__") else super().default(value)
names.BaseLambdaRuntimeClient.marshaller.jsonEncoder = Encoder()
def handler(event, context): return iter("ab")
"""
    assert both(app(source), events=[{}]).whipsnake.response == ["a", "b"]


def test_a_plain_function_loads_nothing_of_this(play: PlayFunction) -> None:
    source = "import sys\ndef handler(event, context): return 'whipsnake.http' in sys.modules"
    assert play(app(source), events=[1, 2]).responses == [False, False]


def latencies(run: Run, request_id: str) -> list[int]:
    """Microseconds from each `yield` to the arrival of its chunk; the chunks are texts of `time.monotonic_ns()`."""
    request = run.answers[request_id]
    return [chunk.at_us - int(piece) // 1000 for chunk, piece in zip(request.chunks, request.pieces, strict=True)]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_chunk_is_there_soon_after_its_yield(play: PlayFunction, prefix: str) -> None:
    """How soon is shown by `pytest -rP`: it is the machine's business, too."""
    source = f"""
import time
{prefix}def handler(event, context):
    for _ in range(50):
        yield str(time.monotonic_ns())
        time.sleep(0.001)
"""
    run = play(app(source), events=[1, 2])
    cold, warm = latencies(run, "rid-1"), latencies(run, "rid-2")
    figures = {"first of a process": cold[0], "first": warm[0], "median": round(statistics.median(warm)), "worst": max(warm)}
    print(f"{prefix}generator, microseconds from yield to arrival: {figures}")
    assert len(warm) == 50
    assert min(warm) >= 0
