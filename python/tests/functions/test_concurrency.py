"""Several invocations at once in one execution environment: AWS_LAMBDA_MAX_CONCURRENCY."""

import base64
import json
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from checkpoint_starts import SECONDS_TO_MAKE
from conftest import CompareBoth, PlayFunction
from playing import Files, Run, event, payload, step, when_asked_by

KINDS = {
    "tasks": "async def handler(event, context):\n    await asyncio.sleep({seconds})\n    return {result}",
    "threads": "def handler(event, context):\n    time.sleep({seconds})\n    return {result}",
    "processes": "def handler(event, context):\n    time.sleep({seconds})\n    return {result}",
    "isolated": "def handler(event, context):\n    time.sleep({seconds})\n    return {result}",
}
IMPORTS = "import asyncio, atexit, contextvars, logging, os, signal, sys, threading, time\n"


def several(
    play: PlayFunction,
    source: str,
    events: Sequence[object],
    *,
    at_once: int | str = 4,
    kind: str | None = None,
    environment: Mapping[str, str] | None = None,
    files: Files | None = None,
    **script: object,
) -> Run:
    """Plays until every event is answered; then the process gets SIGTERM."""
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": str(at_once), "AWS_LAMBDA_LOG_FORMAT": "JSON", **(environment or {})}
    if kind:
        variables["WHIPSNAKE_CONCURRENCY"] = kind
    script = {"end": "SIGTERM", "end_after_answers": True, "end_after_ms": 100, **script}
    whole: Files = {"app.py": IMPORTS + source, **(files or {})}
    return play(whole, events=events, environment=variables, **script)  # type: ignore[arg-type]


def records(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def by_id(run: Run) -> dict[str, Any]:
    return {name: answer.json() for name, answer in run.answers.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_invocations_are_served_at_the_same_time(play: PlayFunction, kind: str) -> None:
    source = KINDS[kind].format(seconds=0.5, result="[event, context.aws_request_id]")
    run = several(play, source, when_asked_by(4, range(4)), kind=kind)
    assert by_id(run) == {f"rid-{number + 1}": [number, f"rid-{number + 1}"] for number in range(4)}
    begun = max(request.at_us for request in run.requests[:4])
    assert max(answer.at_us for answer in run.answers.values()) - begun < 1_500_000
    polled = [request for request in run.requests if request.call == "GET next"]
    assert len({request.connection for request in polled}) >= 4, "each asks on its own"
    assert run.ending == "signal 15"


WHERE = "[os.getpid(), threading.current_thread().name]"


@pytest.mark.parametrize(
    ("source", "processes", "threads"),
    [
        (KINDS["tasks"], 1, {"MainThread"}),
        ("class Handler:\n    async def __call__(self, *_): return {result}\nhandler = Handler()", 1, {"MainThread"}),
        ("import functools\nasync def f(x, *_): return {result}\nhandler = functools.partial(f, 1)", 1, {"MainThread"}),
        (
            "import inspect\n@inspect.markcoroutinefunction\ndef handler(*_): return f()\nasync def f(): return {result}",
            1,
            {"MainThread"},
        ),
    ],
)
def test_the_function_decides_what_serves_it(play: PlayFunction, source: str, processes: int, threads: set[str]) -> None:
    run = several(play, source.format(seconds=0.3, result=WHERE), when_asked_by(4, range(4)))
    assert len({pid for pid, _ in run.responses}) == processes, run.story()
    assert {name for _, name in run.responses} == threads


def test_a_plain_handler_is_served_by_processes_and_without_a_gil_by_threads(play: PlayFunction) -> None:
    where = f"[sys._is_gil_enabled(), *{WHERE}]"
    run = several(play, KINDS["processes"].format(seconds=0.3, result=where), when_asked_by(4, range(4)))
    (has_gil,) = {has_gil for has_gil, *_ in run.responses}
    assert len({pid for _, pid, _ in run.responses}) == (4 if has_gil else 1), run.story()
    assert len({name for *_, name in run.responses}) == (1 if has_gil else 4)


def test_a_handler_with_a_tools_names_around_it_is_served_by_processes(play: PlayFunction) -> None:
    source = f"import awslambdaric.lambda_runtime_client\n{KINDS['tasks'].format(seconds=0.3, result='os.getpid()')}"
    assert len({*several(play, source, when_asked_by(4, range(4))).responses}) == 4


def test_threads_have_one_copy_of_the_function(play: PlayFunction) -> None:
    run = several(play, KINDS["threads"].format(seconds=0.3, result=WHERE), when_asked_by(4, range(4)), kind="threads")
    assert len({pid for pid, _ in run.responses}) == 1
    assert {name for _, name in run.responses} == {f"invocations-{number}" for number in range(1, 5)}


OWN = """
logging.getLogger().setLevel("INFO")
variable = contextvars.ContextVar("variable", default=None)
def look(place, event):
    logging.info(place)
    return [os.environ.get("_X_AMZN_TRACE_ID"), os.getenv("_X_AMZN_TRACE_ID"), dict(os.environ).get("_X_AMZN_TRACE_ID"), variable.get()]
"""
OWN_ASYNC = (
    OWN
    + """
async def handler(event, context):
    variable.set(event)
    seen = [look("first", event)]
    await asyncio.sleep(0.1)
    seen.append(look("second", event))
    seen.append(await asyncio.create_task(asyncio.to_thread(look, "thread", event)))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.to_thread(look, "group", event)) for _ in range(2)]
    return [context.aws_request_id, context.tenant_id, seen + [task.result() for task in tasks]]
"""
)
OWN_PLAIN = (
    OWN
    + """
def handler(event, context):
    variable.set(event)
    seen = [look("first", event)]
    time.sleep(0.1)
    seen.append(look("second", event))
    carried = contextvars.copy_context()
    thread = threading.Thread(target=lambda: seen.append(carried.run(look, "thread", event)))
    thread.start()
    thread.join()
    return [context.aws_request_id, context.tenant_id, seen]
"""
)


@pytest.mark.parametrize(
    ("kind", "source", "places"),
    [("tasks", OWN_ASYNC, 5), ("threads", OWN_PLAIN, 3), ("processes", OWN_PLAIN, 3), ("isolated", OWN_PLAIN, 3)],
)
def test_request_trace_tenant_log_lines_and_context_variables_are_each_invocations_own(
    play: PlayFunction, kind: str, source: str, places: int
) -> None:
    numbers = range(1, 13)
    headers = [{"lambda-runtime-trace-id": f"Root={n}", "lambda-runtime-aws-tenant-id": f"tenant-{n}"} for n in numbers]
    run = several(play, source, [event(n, headers=extra) for n, extra in zip(numbers, headers, strict=True)], kind=kind)
    assert by_id(run) == {f"rid-{n}": [f"rid-{n}", f"tenant-{n}", [[*[f"Root={n}"] * 3, n]] * places] for n in numbers}
    lines = Counter((record["requestId"], record["tenantId"]) for record in records(run))
    assert lines == {(f"rid-{n}", f"tenant-{n}"): places for n in numbers}


COUNTS = """
variable = contextvars.ContextVar("variable", default="nothing")
{before}
{handler}
    seen = [variable.get(), {other}]
    variable.set(event)
    return seen
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_invocation_starts_with_the_context_variables_as_the_import_left_them(play: PlayFunction, kind: str) -> None:
    source = COUNTS.format(
        before="variable.set('of the import')",
        handler=KINDS[kind].partition("\n")[0],
        other="sorted(v.name for v in contextvars.copy_context() if not v.name.startswith('whipsnake.'))",
    )
    run = several(play, source, range(12), at_once=2, kind=kind)
    assert run.responses == [["of the import", ["variable"]]] * 12


def test_one_at_a_time_a_context_variable_stays_set_as_under_the_managed_runtime(both: CompareBoth) -> None:
    source = COUNTS.format(before="variable.set('of the import')", handler="def handler(event, context):", other="None")
    pair = both({"app.py": f"{IMPORTS}{source}"}, events=[1, 2, 3])
    assert [seen for seen, _ in pair.whipsnake.responses] == ["of the import", 1, 2]


ENVIRONMENT = """
NAME = "_X_AMZN_TRACE_ID"
def all_see(value):
    seen = [os.environ.get(NAME), os.getenv(NAME), dict(os.environ).get(NAME), os.environ.copy().get(NAME)]
    seen.append(os.environb.get(NAME.encode(), b"None").decode())
    names = list(os.environ)
    assert len(os.environ) == len(names) == len(set(names)), names
    assert (NAME in os.environ) == (NAME in names) == (value is not None) == (NAME in repr(os.environ)), value
    assert seen == [value] * 4 + [str(value)], seen
def refused(error, action, *arguments):
    try: action(*arguments)
    except error as raised: return str(raised)
    raise AssertionError("nothing was raised")
def change(event):
    all_see(f"Root={event}")
    os.environ[NAME] = f"Root={event};Parent=1"
    all_see(f"Root={event};Parent=1")
    yield
    all_see(f"Root={event};Parent=1")
    del os.environ[NAME]
    all_see(None)
    refused(KeyError, os.environ.__delitem__, NAME)
    refused(KeyError, os.environ.__getitem__, NAME)
    yield
    all_see(None)
    assert os.environ.setdefault(NAME, f"again {event}") == f"again {event}"
    all_see(f"again {event}")
    assert refused(TypeError, os.environ.__setitem__, NAME, 1) == "str expected, not int"
    assert refused(ValueError, os.environ.__setitem__, NAME, "a\\0b") == "embedded null byte"
    os.environ.update({NAME: "updated", "OTHER": "1"})
    yield
    all_see("updated")
    assert os.environ.pop(NAME) == "updated"
    assert os.environ.pop(NAME, None) is None
    os.environb[NAME.encode()] = b"bytes"
    all_see("bytes")
"""


@pytest.mark.parametrize(
    ("kind", "handler"),
    [
        (
            "tasks",
            "async def handler(event, context):\n    for _ in change(event): await asyncio.sleep(0.05)\n    return event",
        ),
        ("threads", "def handler(event, context):\n    for _ in change(event): time.sleep(0.05)\n    return event"),
        ("processes", "def handler(event, context):\n    for _ in change(event): time.sleep(0.05)\n    return event"),
    ],
)
def test_an_invocation_can_change_its_trace_id_in_the_environment(play: PlayFunction, kind: str, handler: str) -> None:
    events = [event(n, headers={"lambda-runtime-trace-id": f"Root={n}"}) for n in range(12)]
    run = several(play, ENVIRONMENT + handler, events, kind=kind)
    assert sorted(run.responses) == list(range(12)), run.story()


@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_a_trace_id_that_a_thread_of_the_invocation_sets_is_the_invocations(play: PlayFunction, kind: str) -> None:
    source = f"""
NAME = "_X_AMZN_TRACE_ID"
def change():
    thread = threading.Thread(target=contextvars.copy_context().run, args=[os.environ.__setitem__, NAME, "set"])
    thread.start(); thread.join()
    return os.environ[NAME]
{KINDS[kind].format(seconds=0, result="[change(), os.environ[NAME]]")}
"""
    events = [event(1, headers={"lambda-runtime-trace-id": "Root=1"})]
    assert several(play, source, events, kind=kind).responses == [["set", "set"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_may_replace_the_environment_at_import(play: PlayFunction, kind: str) -> None:
    source = f"os.environ = dict(os.environ)\n{KINDS[kind].format(seconds=0, result='event')}"
    assert sorted(several(play, source, range(4), kind=kind).responses) == list(range(4))


@pytest.mark.parametrize("kind", KINDS)
def test_printed_lines_stay_whole(play: PlayFunction, kind: str) -> None:
    source = f"""
sys.setswitchinterval(1e-6)
def tell(event):
    for number in range(100): print(event, number, "of", event)
    print("the end of", event, end="")
    return event
{KINDS[kind].format(seconds=0.2, result="tell(event)")}
"""
    run = several(play, source, range(8), kind=kind)
    assert sorted(run.responses) == list(range(8))
    whole = re.sub(r"the end of \d", "", run.stdout).splitlines()
    assert Counter(whole) == {f"{event} {number} of {event}": 1 for event in range(8) for number in range(100)}


def test_lines_that_the_threads_of_tasks_print_stay_whole(play: PlayFunction) -> None:
    source = """
sys.setswitchinterval(1e-6)
def tell(event):
    for number in range(200): print(event, number, "of", event)
async def handler(event, context): await asyncio.to_thread(tell, event)
"""
    run = several(play, source, range(12), at_once=6)
    expected = {f"{event} {number} of {event}": 1 for event in range(12) for number in range(200)}
    assert Counter(run.stdout.splitlines()) == expected


def test_outside_of_invocations_log_lines_belong_to_none(play: PlayFunction) -> None:
    source = """
logging.getLogger().setLevel("INFO")
logging.info("import")
async def handler(event, context):
    threading.Thread(target=logging.info, args=["thread without context"], **options).start()
options = {"context": contextvars.Context()} if sys.version_info >= (3, 14) else {}
"""
    told = {record["message"]: record["requestId"] for record in records(several(play, source, [1]))}
    assert told == {"import": "", "thread without context": ""}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_invocation_leaves_the_others_alone(play: PlayFunction, kind: str) -> None:
    source = KINDS[kind].format(seconds=0.1, result="[event][event % 2]")
    run = several(play, source, range(8), kind=kind)
    assert sorted(run.responses) == [0, 2, 4, 6]
    assert {(error["errorType"], error["requestId"]) for error in run.errors} == {
        ("IndexError", f"rid-{number}") for number in (2, 4, 6, 8)
    }
    assert {len(error["stackTrace"]) for error in run.errors} == {1}
    assert {record["requestId"] for record in records(run)} == {error["requestId"] for error in run.errors}


@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_a_handler_that_exits_ends_its_own_invocation(play: PlayFunction, kind: str) -> None:
    run = several(play, KINDS[kind].format(seconds=0.1, result="sys.exit(3) if event == 2 else event"), range(6), kind=kind)
    assert sorted(run.responses) == [0, 1, 3, 4, 5]
    assert [(error["errorType"], error["errorMessage"]) for error in run.errors] == [
        ("Runtime.ExitError", "The handler ended with SystemExit: 3")
    ]


@pytest.mark.parametrize(
    ("death", "message"),
    [
        ("os._exit(7)", "exit status 7"),
        ("sys.exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal: killed"),
        ("os.abort()", "signal: aborted"),
    ],
)
@pytest.mark.parametrize("kind", ["processes", "isolated"])
def test_a_worker_that_dies_fails_its_invocation_and_is_replaced(
    play: PlayFunction, kind: str, death: str, message: str
) -> None:
    source = KINDS[kind].format(seconds=0.1, result=f"{death} if event == 2 else event")
    guarded = event(2, headers={"lambda-runtime-invocation-id": "guard"})
    run = several(play, source, [0, 1, guarded, *range(3, 9)], at_once=2, kind=kind)
    assert sorted(run.responses) == [0, 1, 3, 4, 5, 6, 7, 8]
    assert run.errors == [
        {
            "errorMessage": f"RequestId: rid-3 Error: Runtime exited with error: {message}",
            "errorType": "Runtime.ExitError",
            "requestId": "rid-3",
            "stackTrace": [],
        }
    ]
    assert run.answers["rid-3"].header("lambda-runtime-invocation-id") == "guard"
    assert [(record["requestId"], record["errorType"]) for record in records(run)] == [("rid-3", "Runtime.ExitError")]


@pytest.mark.parametrize(
    "ignored",
    [
        "by the import",
        pytest.param(
            "when the process is started",
            marks=pytest.mark.not_from_checkpoint("the shell script that starts the bootstrap there resets SIGCHLD"),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["processes", "isolated"])
def test_workers_are_replaced_and_end_where_sigchld_is_ignored(
    play: PlayFunction, bootstrap: Path, kind: str, ignored: str
) -> None:
    before = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)" if ignored == "by the import" else ""
    source = f"""
{before}
{KINDS[kind].format(seconds=0.1, result="os._exit(7) if event % 2 else signal.getsignal(signal.SIGCHLD).name")}
"""
    ignore = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    command = [str(bootstrap)] if before else [sys.executable, "-c", ignore, str(bootstrap)]
    run = several(play, source, range(8), at_once=2, kind=kind, command=command)
    assert run.responses == ["SIG_IGN"] * 4
    assert sorted(error["errorMessage"] for error in run.errors) == [
        f"RequestId: rid-{number} Error: Runtime exited with error: exit status 7" for number in (2, 4, 6, 8)
    ]
    assert run.ending == "signal 15"


COUNTED_DEATHS = """
def count():
    with open("count", "a") as file: file.write("x")
    return os.path.getsize("count")
"""


COUNTS_STARTS = pytest.mark.not_from_checkpoint("counts forks and imports, of which a checkpoint needs more")


@COUNTS_STARTS
@pytest.mark.parametrize(
    ("kind", "source"),
    [
        # The first two are the workers that the process starts with, and four more die before they ask for an invocation.
        ("processes", "os.register_at_fork(after_in_child=lambda: 2 < count() < 7 and os._exit(9))"),
        ("isolated", "if 2 < count() < 7: raise OSError('no database')"),
    ],
)
def test_workers_that_die_before_they_ask_for_an_invocation_are_replaced(play: PlayFunction, kind: str, source: str) -> None:
    """Again and again, with a pause before each that grows."""
    dies = KINDS[kind].format(seconds=0.3, result="os._exit(1) if event == 'die' else os.getpid()")
    events = [*when_asked_by(2, ["die", "die"]), *when_asked_by(2, [1, 2])]
    run = several(play, f"{COUNTED_DEATHS}{source}\n{dies}", events, at_once=2, kind=kind)
    assert len(set(run.responses)) == 2, run.story()
    assert len(run.errors) == 2
    pauses = sorted(int(number) for number in re.findall(r"starting another one in (\d+) ms", run.stderr))
    assert len(pauses) == 4
    assert pauses[0] == 100 < pauses[-1]


def test_idle_workers_that_are_killed_are_all_replaced(play: PlayFunction) -> None:
    """Also those that had no time to ask for an invocation when they were killed."""
    source = """
def children(pid): return [int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()]
def handler(event, context):
    deaths = 0
    while deaths < 8:
        for pid in set(children(os.getppid())) - {os.getpid()}:
            os.kill(pid, signal.SIGKILL)
            deaths += 1
        time.sleep(0.01)
    end = time.monotonic() + 10
    while len(children(os.getppid())) < 4 and time.monotonic() < end: time.sleep(0.05)
    time.sleep(0.2)
    return len(children(os.getppid()))
"""
    run = several(play, source, when_asked_by(4, [0]), kind="processes")
    assert run.responses == [4], run.story()
    assert run.ending == "signal 15"


def test_a_report_that_lambda_does_not_acknowledge_holds_up_nothing(play: PlayFunction) -> None:
    source = KINDS["processes"].format(seconds=0.1, result="os._exit(event) if event else os.getpid()")
    unacknowledged = {"delay_ms": 15_000}
    run = several(play, source, [3, 4, *[0] * 6], at_once=2, kind="processes", error=[unacknowledged, unacknowledged])
    assert len(run.responses) == 6
    assert {error["errorMessage"][-13:] for error in run.errors} == {"exit status 3", "exit status 4"}
    assert run.ending == "signal 15"
    assert run.ended_at_us < 6_000_000


def test_a_standard_error_that_nobody_reads_holds_up_no_worker(play: PlayFunction, bootstrap: Path) -> None:
    """A pipe that is full, when the supervisor has something to say there."""
    fill = """
import os, sys
reader, writer = os.pipe()
os.set_blocking(writer, False)
try:
    while True: os.write(writer, bytes(4096))
except BlockingIOError: os.set_blocking(writer, True)
os.set_inheritable(reader, True)
os.dup2(writer, 2)
os.execv(sys.argv[1], sys.argv[1:])
"""
    source = """
def others():
    pids = open(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read().split()
    return {int(pid) for pid in pids} - {os.getpid()}
def handler(event, context):
    (killed,) = others()
    os.kill(killed, signal.SIGKILL)
    end = time.monotonic() + 5
    while others() in ({killed}, set()) and time.monotonic() < end: time.sleep(0.05)
    return len(others() - {killed})
"""
    command = [sys.executable, "-c", fill, str(bootstrap)]
    run = several(play, source, when_asked_by(2, [0]), at_once=2, kind="processes", command=command)
    assert run.responses == [1], run.story()
    assert run.ending == "signal 15"


REFUSED = step(status=500, repeat=5)


@pytest.mark.parametrize("kind", KINDS)
def test_when_one_gives_up_to_ask_the_others_finish_what_they_serve(play: PlayFunction, kind: str) -> None:
    source = f"""
atexit.register(print, "atexit", flush=True)
{KINDS[kind].format(seconds=3, result="event")}
"""
    run = several(play, source, [*when_asked_by(2, [1]), REFUSED, 2, 3], at_once=2, kind=kind, end_after_answers=False)
    assert run.responses == [1], run.story()
    assert run.errors == []
    assert run.stdout == "atexit\n" * (2 if kind in ("processes", "isolated") else 1)
    assert run.ending == "exit code 1"


def test_when_one_gives_up_to_ask_a_worker_that_hangs_has_time_until_its_deadline(play: PlayFunction) -> None:
    events = when_asked_by(2, [event(1, headers=deadline(3)), REFUSED])
    run = several(play, KINDS["processes"].format(seconds=60, result=1), events, at_once=2, kind="processes")
    assert [error["errorMessage"] for error in run.errors] == [
        "RequestId: rid-1 Error: Runtime exited with error: signal: killed"
    ]
    assert run.ending == "exit code 1"
    assert 3_000_000 < run.ended_at_us < 9_000_000 + SECONDS_TO_MAKE * 1_000_000


@COUNTS_STARTS
@pytest.mark.parametrize("kind", ["processes", "isolated"])
def test_sigterm_ends_an_environment_without_workers(play: PlayFunction, kind: str) -> None:
    """While none of them can be started."""
    before = {
        "processes": "os.register_at_fork(after_in_child=lambda: count() > 1 and os._exit(9))",
        "isolated": "if count() > 1: raise OSError('no database')",
    }
    source = f"""
{COUNTED_DEATHS}{before[kind]}
def handler(event, context):
    import subprocess
    subprocess.Popen(["sh", "-c", f"sleep 0.8; kill -TERM {{os.getppid()}}"])
    os._exit(1)
"""
    run = several(play, source, [1], at_once=1, kind=kind, end="wait")
    assert len(run.errors) == 1
    assert run.ending == "signal 15"
    assert "starting another one in" in run.stderr


def test_every_worker_may_die_one_after_the_other(play: PlayFunction) -> None:
    run = several(play, "def handler(event, context): os._exit(1)", range(20), at_once=3, kind="processes")
    assert len(run.errors) == 20
    assert run.ending == "signal 15"


def test_processes_share_what_was_imported_and_nothing_else(play: PlayFunction) -> None:
    """What the import made is there once; what it left open would be everybody's."""
    source = f"""
print("imported", flush=True)
import random
{KINDS["processes"].format(seconds=0.3, result="[os.getpid(), random.random()]")}
"""
    run = several(play, source, when_asked_by(4, range(4)), kind="processes")
    assert run.stdout.count("imported") == 1
    assert len({process for process, _ in run.responses}) == len({number for _, number in run.responses}) == 4


@pytest.mark.ordinary_start("each worker has to import the function, which is in the checkpoint", kinds=["init"])
@pytest.mark.parametrize(
    ("import_time", "reason"),
    [
        ("import socket\nkept = socket.create_server(('127.0.0.1', 0))", "socket:"),
        ("kept = open('data.txt')", "data.txt"),
        ("kept = asyncio.new_event_loop()", "open"),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "1 threads"),
    ],
)
def test_an_import_that_leaves_something_open_happens_in_each_worker(play: PlayFunction, import_time: str, reason: str) -> None:
    source = f"""
{import_time}
print("imported", os.environ.get("WHIPSNAKE_CONCURRENCY"), flush=True)
os.environ["SET_AT_IMPORT"] = str(int(os.environ.get("SET_AT_IMPORT", "0")) + 1)
{KINDS["processes"].format(seconds=0.2, result='[os.getpid(), os.environ["SET_AT_IMPORT"]]')}
"""
    events = when_asked_by(3, range(3))
    variables = {"WHIPSNAKE_LOG": "info"}
    run = several(play, source, events, at_once=3, kind="processes", environment=variables, files={"data.txt": "data"})
    assert run.stdout.splitlines() == ["imported processes", *["imported isolated"] * 3], run.story()
    assert len({process for process, _ in run.responses}) == 3
    assert {times for _, times in run.responses} == {"1"}
    assert re.search(f"import the function themselves: its import (left|started) .*{reason}", run.stderr)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("tasks", "tasks of one event loop"),
        ("threads", "threads"),
        ("processes", "worker processes, forked after the import"),
        ("isolated", "worker processes that each import the function"),
    ],
)
def test_the_diagnostic_log_names_the_mode(play: PlayFunction, kind: str, mode: str) -> None:
    source = KINDS[kind].format(seconds=0.1, result="event")
    run = several(play, source, when_asked_by(2, range(2)), at_once=2, kind=kind, environment={"WHIPSNAKE_LOG": "info"})
    assert run.stderr.count(f"serving up to 2 invocations at once with {mode}\n") == 1, run.story()


@pytest.mark.parametrize("kind", ["processes", "isolated"])
def test_workers_and_their_supervisor_end_in_order(play: PlayFunction, kind: str) -> None:
    source = f"""
atexit.register(lambda: print("atexit"))
{KINDS[kind].format(seconds=0.1, result="event")}
"""
    run = several(play, source, when_asked_by(4, range(4)), at_once=4, kind=kind)
    assert run.stdout.split() == ["atexit"] * 4, run.story()
    assert run.ending == "signal 15"


def test_a_signal_handler_of_the_functions_runs_once_in_each_worker(play: PlayFunction) -> None:
    source = f"""
def ends(number, frame):
    print("signal", number)
    sys.exit(5)
signal.signal(signal.SIGTERM, ends)
signal.signal(signal.SIGUSR1, lambda *_: print("usr1", flush=True))
{KINDS["processes"].format(seconds=0.1, result="event")}
"""
    usr1 = step(idle_signal={"name": "SIGUSR1", "after_ms": 50, "until_output": "usr1\nusr1\n"})
    run = several(play, source, [0, 1, usr1, 2, 3], at_once=2, kind="processes")
    assert sorted(run.responses) == [0, 1, 2, 3]
    assert sorted(run.stdout.splitlines()) == ["signal 15", "signal 15", "usr1", "usr1"]
    assert run.ending == "exit code 5"


def test_tasks_that_go_on_are_cancelled_and_reported_at_the_end(play: PlayFunction) -> None:
    source = """
async def handler(event, context):
    try:
        await asyncio.sleep(event)
    finally:
        print("finally", event)
"""
    run = several(play, source, [0, 20], at_once=2, end_after_answers=False)
    assert by_id(run)["rid-2"] == {"errorMessage": "", "errorType": "CancelledError", "requestId": "rid-2", "stackTrace": []}
    assert "finally 20" in run.stdout
    assert run.ending == "signal 15"


ENDED_WHILE_STARTING = {
    "a handler of SIGTERM that exits": ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))", "exit code 7"),
    "no handler of SIGTERM": ("", "signal 15"),
}


@pytest.mark.parametrize("case", ENDED_WHILE_STARTING)
@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_sigterm_ends_a_process_whose_threads_are_being_started(play: PlayFunction, kind: str, case: str) -> None:
    before, ending = ENDED_WHILE_STARTING[case]
    source = f"{before}\n{KINDS[kind].format(seconds=0.05, result='event')}"
    for milliseconds in (0, 3, 8):
        sigterm = event(5, signal={"name": "SIGTERM", "after_ms": milliseconds})
        run = several(play, source, [1, 2, 3, 4, sigterm, *range(20)], at_once=32, kind=kind, end="wait")
        assert run.ending == ending, run.story()


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 30, 100)", "Too many open files"),
        pytest.param(
            *("RLIMIT_AS, (int(open('/proc/self/statm').read().split()[0]) * 4096 + 40_000_000, -1)", "can't start new thread"),
            marks=pytest.mark.ordinary_start("no memory is left for the dump", kinds=["init"]),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_threads_that_cannot_all_be_started_end_the_process(play: PlayFunction, kind: str, limit: str, message: str) -> None:
    """Those that were started do not go on to serve."""
    source = f"""
import resource, traceback, linecache
resource.setrlimit(resource.{limit})
{KINDS[kind].format(seconds=0.05, result="event")}
"""
    run = several(play, source, [1, 2, 3], at_once=200, kind=kind, end="wait")
    assert message in run.stderr
    assert run.ending == "exit code 1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_timer_that_runs_does_not_end_a_process_that_ends(play: PlayFunction, kind: str) -> None:
    source = f"""
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
{KINDS[kind].format(seconds=0.05, result="signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005) and event")}
"""
    for _ in range(3):
        assert several(play, source, range(4), kind=kind).ending == "signal 15"


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_init_phase_is_reported(play: PlayFunction, kind: str) -> None:
    run = several(play, "raise ValueError('v')", [1], kind=kind, init_error=[{}, *[{"status": 403}] * 3])
    reports = [request for request in run.requests if request.call == "POST init/error"]
    assert {report.json()["errorMessage"] for report in reports} == {"v"}
    assert len(reports) == 1 or kind == "isolated"
    assert run.ending == "exit code 1"
    assert run.stderr == ""


def test_an_import_that_exits_ends_the_environment_with_its_code(play: PlayFunction) -> None:
    assert several(play, "sys.exit(3)", [1], kind="isolated").ending == "exit code 3"


@pytest.mark.parametrize("kind", KINDS)
def test_lambda_is_asked_again_when_it_has_no_answer(play: PlayFunction, kind: str) -> None:
    unable = step(status=500)
    events = when_asked_by(2, [1, unable, 2, unable, 3])
    run = several(play, KINDS[kind].format(seconds=0, result="event"), events, at_once=2, kind=kind)
    assert sorted(run.responses) == [1, 2, 3]
    refused = "whipsnake: could not get the next invocation: the Runtime API answered 500 Internal Server Error; asking again in {} ms"
    # 200 where both met the same of the two that ask.
    assert run.stderr.splitlines() in ([refused.format(100)] * 2, [refused.format(100), refused.format(200)])


@pytest.mark.parametrize("kind", ["tasks", "processes"])
def test_without_an_answer_the_process_ends(play: PlayFunction, kind: str) -> None:
    run = several(play, KINDS[kind].format(seconds=0, result="event"), [1, step(status=500, repeat=50)], at_once=2, kind=kind)
    assert run.responses == [1]
    assert run.ending == "exit code 1"
    assert [int(number) for number in re.findall(r"again in (\d+) ms", run.stderr)].count(800) in (1, 2)


@pytest.mark.parametrize("status", [410, 413, 500])
@pytest.mark.parametrize("kind", ["tasks", "processes"])
def test_an_answer_that_lambda_refuses_ends_nothing(play: PlayFunction, kind: str, status: int) -> None:
    source = KINDS[kind].format(seconds=0.05, result="event")
    run = several(play, source, range(4), at_once=2, kind=kind, response=[{"status": status}])
    assert len(run.answers) == 4
    (record,) = records(run)
    assert record["errorType"] == "Runtime.LambdaRuntimeClientError"
    assert str(status) in record["errorMessage"]


def deadline(seconds: float) -> dict[str, str]:
    return {"lambda-runtime-deadline-ms": str(int((time.time() + SECONDS_TO_MAKE + seconds) * 1000))}


def test_a_task_that_never_ends_is_cancelled_at_the_deadline(play: PlayFunction) -> None:
    """The caller has been told by then, and Lambda counts on the place."""
    source = KINDS["tasks"].format(seconds="event", result="event")
    run = several(play, source, [event(60, headers=deadline(3)), 0.1, 0.2, 0.3], at_once=2, response=[])
    assert run.responses == [0.1, 0.2, 0.3]
    (error,) = run.errors
    assert (error["errorType"], error["errorMessage"]) == ("TimeoutError", "the invocation was cancelled at its deadline")


def test_a_stream_that_never_ends_is_ended_at_the_deadline(play: PlayFunction) -> None:
    source = """
async def handler(event, context):
    try:
        while True:
            yield "tick"
            await asyncio.sleep(0.1)
    finally:
        print("closed")
"""
    run = several(play, source, [event(1, headers=deadline(3))], at_once=1)
    trailers = dict(run.answers["rid-1"].trailers)
    assert trailers["lambda-runtime-function-error-type"] == b"TimeoutError"
    assert run.stdout.startswith("closed\n")


def test_a_time_out_of_the_functions_own_is_its_own(play: PlayFunction) -> None:
    run = several(play, "async def handler(event, context):\n    async with asyncio.timeout(0): await asyncio.sleep(1)", [1])
    assert [(error["errorType"], error["errorMessage"]) for error in run.errors] == [("TimeoutError", "")]


def test_a_handler_that_blocks_the_loop_delays_the_others_and_loses_none(play: PlayFunction) -> None:
    source = """
async def handler(event, context):
    if event == 0: time.sleep(0.7)
    await asyncio.sleep(0)
    return event
"""
    assert sorted(several(play, source, range(12)).responses) == list(range(12))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("AWS_LAMBDA_MAX_CONCURRENCY", "abc", "a number from 1 to 65535"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "0", "a number from 1 to 65535"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "-1", "a number from 1 to 65535"),
        ("WHIPSNAKE_CONCURRENCY", "many", "tasks, threads, processes or isolated"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(play: PlayFunction, variable: str, value: str, expected: str) -> None:
    run = several(play, "def handler(event, context): pass", [1], environment={variable: value})
    assert run.stderr == f'whipsnake: {variable} is "{value}", and should be {expected}\n'
    assert (run.ending, run.calls) == ("exit code 1", [])


@pytest.mark.parametrize("kind", ["tasks", "processes"])
def test_one_at_once_is_served_by_the_same_rules(play: PlayFunction, kind: str) -> None:
    run = several(play, KINDS[kind].format(seconds=0, result="event"), [1, step(status=500), 2], at_once=1, kind=kind)
    assert run.responses == [1, 2]


@pytest.mark.parametrize(
    "kind",
    [
        "processes",
        pytest.param(
            "isolated",
            marks=pytest.mark.not_from_checkpoint(
                "the function is in the checkpoint, and no worker imports it", kinds=["init"]
            ),
        ),
    ],
)
def test_each_worker_writes_to_connections_of_its_own(play: PlayFunction, tmp_path: Path, kind: str) -> None:
    """Two: what becomes standard output, and what becomes standard error."""
    address = str(tmp_path / "provider")
    with socket.create_server(address, family=socket.AF_UNIX) as provider, ThreadPoolExecutor(8) as readers:

        def read() -> str:
            connection, _ = provider.accept()
            with connection, connection.makefile() as stream:
                return stream.read()

        reading = [readers.submit(read) for _ in range(4)]
        source = KINDS[kind].format(
            seconds=0.3, result="print('out', event, flush=True) or print('err', event, file=sys.stderr)"
        )
        variables = {"_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET": address}
        events = when_asked_by(2, [1, 2])
        run = several(play, f"print('imported')\n{source}", events, at_once=2, kind=kind, environment=variables)
        written = sorted(connection.result(10) for connection in reading)
    imported = "imported\n" if kind == "isolated" else ""
    assert written == sorted(["err 1\n", "err 2\n", f"{imported}out 1\n", f"{imported}out 2\n"]), run.story()
    assert run.stdout == ("imported\n" if kind == "processes" else "")


def test_a_log_provider_that_is_not_there_costs_nothing_but_a_word(play: PlayFunction) -> None:
    variables = {"_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET": "/nowhere"}
    source = KINDS["processes"].format(seconds=0, result="event")
    run = several(play, source, [1], at_once=1, kind="processes", environment=variables)
    assert run.response == 1
    assert run.stderr == (
        "whipsnake: could not reach /nowhere, where standard output is to go: No such file or directory (os error 2)\n"
    )


STREAMS = {
    "tasks": "async def handler(event, context):\n    for n in range(3):\n        await asyncio.sleep(0.1)\n        yield f'{event}{n} '",
    "threads": "def handler(event, context):\n    for n in range(3):\n        time.sleep(0.1)\n        yield f'{event}{n} '",
    "processes": "def handler(event, context):\n    for n in range(3):\n        time.sleep(0.1)\n        yield f'{event}{n} '",
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_go_out_side_by_side(play: PlayFunction, kind: str) -> None:
    run = several(play, STREAMS[kind], when_asked_by(4, "abcd"), kind=kind)
    assert sorted(answer.body for answer in run.answers.values()) == [f"{e}0 {e}1 {e}2 ".encode() for e in "abcd"]
    assert {len(answer.chunks) for answer in run.answers.values()} == {3}
    first_ends = min(answer.chunks[-1].at_us for answer in run.answers.values())
    assert all(answer.chunks[0].at_us < first_ends for answer in run.answers.values())


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_that_breaks_and_one_that_nobody_reads_leave_the_others_alone(play: PlayFunction, kind: str) -> None:
    body = STREAMS[kind].partition("\n")[2]
    pause = re.search(r"(await )?\w+\.sleep", body)
    assert pause is not None
    source = f"""
{STREAMS[kind].partition(chr(10))[0]}
    # The first answer is the one that nobody reads.
    while event != "a" and not os.path.exists("a"): {pause[0]}(0.02)
    try:
        for n in range(3):
            {pause[0]}(0.1)
            if event == "b" and n: raise ValueError("broke")
            yield event
    finally:
        print("closed", event)
        open(event, "w").close()
"""
    run = several(play, source, "abcd", kind=kind, response=[{"after_chunks": 1, "close": "after"}])
    assert sorted(re.findall(r"closed (\w)", run.stdout)) == ["a", "b", "c", "d"]
    trailers = [dict(answer.trailers) for answer in run.answers.values() if answer.trailers]
    assert [entry["lambda-runtime-function-error-type"] for entry in trailers] == [b"ValueError"]
    report = json.loads(base64.b64decode(trailers[0]["lambda-runtime-function-error-body"]))
    assert (report["errorMessage"], len(report["stackTrace"])) == ("broke", 1)


def test_an_event_that_is_no_json_fails_alone(play: PlayFunction) -> None:
    source = KINDS["tasks"].format(seconds=0.05, result="event")
    run = several(play, source, [1, payload(b"{"), 2])
    assert sorted(run.responses) == [1, 2]
    assert [error["errorType"] for error in run.errors] == ["Runtime.UnmarshalError"]


STRESS_ASYNC = """
logging.getLogger().setLevel("INFO")
def told(event, context):
    logging.info("n=%s", event)
    return [event, context.aws_request_id, context.tenant_id, os.environ["_X_AMZN_TRACE_ID"], context.client_context.custom]
async def handler(event, context):
    before = told(event, context)
    await asyncio.sleep(event % 7 / 1000)
    if event % 50 == 0: raise ValueError(event)
    assert told(event, context) == before
    return before
"""
STRESS_PLAIN = STRESS_ASYNC.replace("async def", "def").replace("await asyncio", "time")


@pytest.mark.parametrize(("kind", "source"), [("tasks", STRESS_ASYNC), ("threads", STRESS_PLAIN), ("processes", STRESS_PLAIN)])
def test_nothing_of_two_invocations_is_ever_mixed(play: PlayFunction, kind: str, source: str) -> None:
    """Many invocations at once: what each is answered, and what the log says of it, is its own."""
    number = 3000
    headers = [
        {
            "lambda-runtime-aws-request-id": f"id-{n:05}",
            "lambda-runtime-trace-id": f"Root={n}",
            "lambda-runtime-aws-tenant-id": f"tenant-{n}",
            "lambda-runtime-client-context": f'{{"custom": {n}}}',
        }
        for n in range(number)
    ]
    events = [event(n, headers=extra) for n, extra in enumerate(headers)]
    run = several(play, source, events, at_once=16, kind=kind)
    assert len(run.answers) == number
    for n in range(number):
        answer = run.answers[f"id-{n:05}"]
        if n % 50 == 0:
            assert answer.path.endswith("/error")
            assert (answer.json()["errorMessage"], answer.json()["requestId"]) == (str(n), f"id-{n:05}")
        else:
            assert answer.json() == [n, f"id-{n:05}", f"tenant-{n}", f"Root={n}", n]
    told = Counter((record.get("message"), record["requestId"], record.get("tenantId")) for record in records(run))
    for n in range(number):
        assert told[f"n={n}", f"id-{n:05}", f"tenant-{n}"] == (1 if n % 50 == 0 else 2)
    failures = Counter(record["requestId"] for record in records(run) if "errorMessage" in record)
    assert failures == {f"id-{n:05}": 1 for n in range(0, number, 50)}
