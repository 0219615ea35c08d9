"""Many invocations at once in the threads of one interpreter: each gets its own answer, whatever the others do meanwhile.

With the GIL as well, where threads take turns after every few instructions. Without it they run truly at the same time.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from conftest import PlayFunction
from playing import Run, event, payload, step

AT_ONCE = 8


def threads(play: PlayFunction, source: str, events: Sequence[object], **script: object) -> Run:
    environment = {
        "AWS_LAMBDA_MAX_CONCURRENCY": str(AT_ONCE),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "WHIPSNAKE_CONCURRENCY": "threads",
    }
    script = {"end": "SIGTERM", "end_after_answers": True, "end_after_ms": 100, **script}
    files = {"app.py": "import sys\nsys.setswitchinterval(1e-6)\n" + source}
    return play(files, events=events, environment=environment, **script)  # type: ignore[arg-type]


# What an invocation can do, and what then comes of it. Each says who it is: nothing of one may turn up with another.
WAYS = """
import contextvars, gc, json, logging, os, threading
import whipsnake

logging.getLogger().setLevel("INFO")
mine = contextvars.ContextVar("mine")
lock = threading.Lock()
common = {"sum": 0}

class Broke(Exception):
    pass

def me(event, context):
    client = context.client_context and context.client_context.custom["number"]
    return [event["number"], context.aws_request_id, context.tenant_id, os.environ["_X_AMZN_TRACE_ID"], client, mine.get()]

def responds(event, context):
    return me(event, context)

def raises(event, context):
    raise Broke(json.dumps(me(event, context)))

def cannot_be_encoded(event, context):
    return {event["number"]: object()}

def exits(event, context):
    sys.exit(json.dumps(me(event, context)))

def streams(event, context):
    for _ in range(3):
        yield json.dumps(me(event, context)) + "\\n"

def breaks_off(event, context):
    yield json.dumps(me(event, context)) + "\\n"
    raise Broke(json.dumps(me(event, context)))

def answers_over_http(event, context):
    return whipsnake.HttpResponse(200, {"x-number": str(event["number"])}, body=json.dumps(me(event, context)) + "\\n")

def logs(event, context):
    for _ in range(3):
        logging.info("%s", event["number"])
    return me(event, context)

def prints(event, context):
    for _ in range(3):
        print("printed", event["number"], "by", event["number"])
    return me(event, context)

def makes_garbage(event, context):
    for _ in range(200):
        ring = []
        ring.append([ring])
    if event["number"] % 5 == 0:
        gc.collect()
    return me(event, context)

def changes_the_environment(event, context):
    name = f"OF_{event['number']}"
    os.environ[name] = "1"
    names = list(os.environ)
    assert (names.count(name), names.count("_X_AMZN_TRACE_ID")) == (1, 1)
    del os.environ[name]
    return me(event, context)

def counts_together(event, context):
    for _ in range(100):
        with lock:
            common["sum"] += 1
    return me(event, context)

def handler(event, context):
    if event == "the sum":
        return common["sum"]
    mine.set(event["number"])
    return globals()[event["way"]](event, context)
"""
RESPONDING = ["responds", "logs", "prints", "makes_garbage", "changes_the_environment", "counts_together"]
FAILING = {"raises": "Broke", "cannot_be_encoded": "Runtime.MarshalError", "exits": "Runtime.ExitError"}
STREAMING = ["streams", "breaks_off", "answers_over_http"]
NOT_JSON = "not JSON"


def invocation(number: int, way: str) -> object:
    headers = {"lambda-runtime-trace-id": f"Root={number}", "lambda-runtime-aws-tenant-id": f"tenant-{number}"}
    if number % 3 == 0:
        headers["lambda-runtime-client-context"] = json.dumps({"custom": {"number": number}})
    if way == NOT_JSON:
        return payload(b"{", headers=headers)
    return event({"number": number, "way": way}, headers=headers)


def test_each_of_a_thousand_invocations_gets_its_own_answer(play: PlayFunction) -> None:
    ways = [*RESPONDING, *FAILING, *STREAMING, NOT_JSON]
    plan = {number: ways[number % len(ways)] for number in range(1, 1001)}
    order = random.Random(8).sample(sorted(plan), len(plan))
    events = [invocation(number, plan[number]) for number in order]
    run = threads(play, WAYS, [*events, "the sum"])
    assert len(run.answers) == 1001, run.story()[-5000:]

    def who(number: int, request_id: str) -> list[object]:
        client = number if number % 3 == 0 else None
        return [number, request_id, f"tenant-{number}", f"Root={number}", client, number]

    for position, number in enumerate(order, 1):
        request_id, way = f"rid-{position}", plan[number]
        answer, expected = run.answers[request_id], who(number, request_id)
        if way in RESPONDING:
            assert (answer.call, answer.json()) == (f"POST {request_id}/response", expected)
        elif way in STREAMING:
            told = [json.loads(line) for line in answer.body.rpartition(b"\0")[2].splitlines()]
            assert told == [expected] * (3 if way == "streams" else 1), way
            broke = {"lambda-runtime-function-error-type": b"Broke"}
            assert dict(answer.trailers).items() >= broke.items() if way == "breaks_off" else not answer.trailers
        else:
            assert (answer.call, answer.json()["requestId"]) == (f"POST {request_id}/error", request_id)
            assert answer.json()["errorType"] == FAILING.get(way, "Runtime.UnmarshalError")
            if way in ("raises", "exits"):
                assert json.dumps(expected) in answer.json()["errorMessage"]

    each = Counter(plan.values())
    # What is asked for last is served beside others that still count.
    assert 100 * (each["counts_together"] - AT_ONCE) < run.answers["rid-1001"].json() <= 100 * each["counts_together"]
    lines = run.stdout.splitlines()
    printed = Counter(line for line in lines if line.startswith("printed"))
    assert printed == {f"printed {n} by {n}": 3 for n, way in plan.items() if way == "prints"}
    told = [json.loads(line) for line in lines if not line.startswith("printed")]
    logged = Counter((entry["message"], entry["requestId"], entry["tenantId"]) for entry in told if entry["level"] == "INFO")
    places = {number: f"rid-{position}" for position, number in enumerate(order, 1)}
    assert logged == {(str(n), places[n], f"tenant-{n}"): 3 for n, way in plan.items() if way == "logs"}
    faults = Counter(entry["requestId"] for entry in told if entry["level"] == "ERROR")
    assert faults == {places[n]: 1 for n, way in plan.items() if way in {*FAILING, NOT_JSON, "breaks_off"}}
    assert run.stderr == ""
    assert run.ending == "signal 15"


@pytest.mark.parametrize("way", [*RESPONDING, *FAILING, *STREAMING, NOT_JSON])
def test_what_is_made_for_the_first_invocation_is_made_for_eight_at_once(play: PlayFunction, way: str) -> None:
    """Much is made or imported when it is needed for the first time: here by all threads in the same moment."""
    source = f"{WAYS}\nbarrier = threading.Barrier({AT_ONCE})\nway = {way!r}\n" + (
        "of_one = globals().get(way)\ndef together(event, context):\n    barrier.wait(10)\n    return of_one(event, context)\n"
        "if of_one: globals()[way] = together\n"
    )
    for _ in range(2):
        run = threads(play, source, [invocation(number, way) for number in range(1, AT_ONCE + 1)])
        assert len(run.answers) == AT_ONCE, run.story()
        succeeded = [answer for answer in run.answers.values() if answer.path.endswith("/response")]
        assert len(succeeded) == (AT_ONCE if way in [*RESPONDING, *STREAMING] else 0), run.story()
        assert {error["errorType"] for error in run.errors} <= {FAILING.get(way, "Runtime.UnmarshalError")}
        assert (run.stderr, run.ending) == ("", "signal 15")


def test_the_end_comes_in_order_while_threads_are_at_work(play: PlayFunction) -> None:
    """SIGTERM with some at work: no further invocation is asked for, and what is being served is waited for."""
    source = """
import atexit, time
atexit.register(print, "atexit")
def handler(event, context):
    end = time.monotonic() + event
    while time.monotonic() < end: str(object())
    return event
"""
    for _ in range(2):
        events = [0.01] * 40 + [1] * (AT_ONCE - 2)
        sigterm = step(idle_signal={"name": "SIGTERM", "after_ms": 100})
        run = threads(play, source, [*events, sigterm], end_after_ms=10_000)
        assert (run.stdout, run.stderr, run.ending) == ("atexit\n", "", "signal 15"), run.story()
        assert sorted(run.responses) == events


PROCESSES = pytest.param(
    "processes",
    marks=pytest.mark.ordinary_start("ctypes leaves the file of libffi open, so each worker has to import the function"),
)
KINDS = ["one at a time", "threads", PROCESSES]


def served_as(kind: str) -> dict[str, str]:
    return {} if kind == "one at a time" else {"AWS_LAMBDA_MAX_CONCURRENCY": "1", "WHIPSNAKE_CONCURRENCY": kind}


INJECTS = """
import asyncio, ctypes, signal, sys, threading, time
class Late(Exception): pass
def inject(thread, seconds):
    time.sleep(seconds)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Late))
kept = []
def limit(seconds):
    # Without the GIL, a thread's object may be destroyed in the main thread, which would get the exception there and ignore it.
    kept.append(threading.Thread(target=inject, args=[threading.get_ident(), seconds]))
    kept[-1].start()
"""
DROPPED = "whipsnake: dropped Late, which was raised in this thread when its invocation had ended already\n"


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_that_is_injected_after_its_invocation_fails_no_other(play: PlayFunction, kind: str) -> None:
    source = f"""{INJECTS}
def handler(event, context):
    if event == 0: limit(0.1)
    return event
"""
    events = [0, event(1, delay_ms=300), 2]
    run = play({"app.py": source}, events=events, environment=served_as(kind), end="SIGTERM", end_after_answers=True)
    assert run.responses == [0, 1, 2]
    assert (run.stdout, run.stderr, run.ending) == ("", DROPPED, "signal 15")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_that_is_injected_into_its_invocation_fails_that(play: PlayFunction, kind: str) -> None:
    source = f"""{INJECTS}
def handler(event, context):
    if event == 1:
        limit(0.1)
        for _ in range(200): time.sleep(0.01)
    return event
"""
    run = play({"app.py": source}, events=[0, 1, 2], environment=served_as(kind), end="SIGTERM", end_after_answers=True)
    assert run.responses == [0, 2]
    assert [error["errorType"] for error in run.errors] == ["Late"]
    assert (run.stderr, run.ending) == ("", "signal 15")


@pytest.mark.parametrize("kind", ["one at a time", PROCESSES])
def test_what_c_code_keeps_of_the_environment_never_becomes_another_invocations(play: PlayFunction, kind: str) -> None:
    """A pointer that `getenv` returned shows its own text, or none any more."""
    source = """
import ctypes
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_void_p
kept = []
def handler(event, context):
    kept.append((b"Root=%060d" % event, getenv(b"_X_AMZN_TRACE_ID")))
    texts = [(expected, ctypes.string_at(place)) for expected, place in kept]
    return [len(texts), all(text in (expected, b"") for expected, text in texts), sum(text == b"" for _, text in texts)]
"""
    events = [event(n, headers={"lambda-runtime-trace-id": f"Root={n:060}"}) for n in range(3000)]
    run = play({"app.py": source}, events=events, environment=served_as(kind), end="SIGTERM", end_after_answers=True)
    assert all(is_own for _, is_own, _ in run.responses)
    assert {gone for number, _, gone in run.responses if number < 500} == {0}
    assert run.responses[-1][0] == 3000
    assert run.responses[-1][2] > 1000
