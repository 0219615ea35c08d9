"""Memory to its limit, recursion without end, and handlers without end."""

import itertools
import signal
import time
from pathlib import Path

import pytest

from conftest import CompareBoth, PlayFunction
from emulators.serving import boto3_client, serving
from faults.misbehaving import EVENTS, misbehaves
from playing import ENDED_AFTER_THE_LAST_EVENT, event, payload, write_files

RECURSIONS = {
    "in Python": "def deeper(): deeper()\ndeeper()",
    "through C": "class Deep:\n    def __getattr__(self, name): return getattr(self, name)\nDeep().x",
    "in C alone": "nested = []\nfor _ in range(60_000): nested = [nested]\nrepr(nested)",
    "through C, with no limit of Python's": (
        "sys.setrecursionlimit(10**8)\nclass Deep:\n    def __getattr__(self, name): return getattr(self, name)\nDeep().x"
    ),
}


@pytest.mark.parametrize("recursion", RECURSIONS.values(), ids=RECURSIONS)
def test_recursion_without_end_fails_its_own_invocation(both: CompareBoth, recursion: str) -> None:
    where = "how deep a recursion may go depends on the frames of the runtime itself"
    free = dict.fromkeys(("rid-1/body", "rid-1/x-ray", "stdout"), where)
    pair = both(misbehaves(recursion, ""), events=EVENTS, free=free)
    assert [error["errorType"] for error in pair.whipsnake.errors] == ["RecursionError"]
    assert pair.whipsnake.responses == [[1, "rid-2"], [2, "rid-3"]]


LIMITED = """
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20,) * 2)
"""


def test_memory_to_its_limit_fails_its_own_invocation_and_has_its_stack(both: CompareBoth) -> None:
    bad = f"{LIMITED}\n    kept = []\n    while True: kept.append(bytearray(2**20))"
    pair = both(misbehaves(bad, ""), events=EVENTS)
    (error,) = pair.whipsnake.errors
    assert error["errorType"] == "MemoryError"
    assert "in handler" in error["stackTrace"][0]
    assert pair.whipsnake.responses == [[1, "rid-2"], [2, "rid-3"]]


def test_memory_that_stays_at_its_limit_leaves_enough_for_small_invocations(play: PlayFunction) -> None:
    bad = f"""{LIMITED}
    kept = []
    try:
        while True: kept.append(bytearray(2**14))
    except MemoryError:
        print("full")
    """
    run = play(misbehaves(bad, "", "kept = None"), events=EVENTS)
    assert run.responses == [[number, f"rid-{number + 1}"] for number in EVENTS]
    assert run.stdout == "full\n"


LARGEST = 6 * 1024 * 1024
MEGABYTES = 128


def test_the_largest_events_fit_into_the_smallest_function(play: PlayFunction) -> None:
    """Lambda's smallest has 128 MB. What counts there is resident memory, of which the process tells its highest."""
    source = """
        def handler(event, context):
            # Not ru_maxrss: that has the memory of the program which started the process, too.
            highest = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
            return [int(highest) // 1024, len(event)]
    """
    text = b'"' + b"x" * (LARGEST - 2) + b'"'
    objects = b"[" + b",".join([b'{"key":"some value"}'] * (LARGEST // 21)) + b"]"
    run = play({"app.py": source}, events=[payload(text), payload(objects)] * 3)
    assert [length for _, length in run.responses] == [LARGEST - 2, LARGEST // 21] * 3
    assert max(peak for peak, _ in run.responses) < MEGABYTES


@pytest.mark.parametrize("megabytes", [8, 16, 28, 48])
def test_an_event_that_does_not_fit_is_never_answered_wrongly(play: PlayFunction, megabytes: int) -> None:
    """Its invocation fails, or the process ends: Lambda itself kills a process that has no memory left."""
    numbers = payload(b"[" + b",".join([b"1.5"] * 1_500_000) + b"]")
    run = play(
        misbehaves(LIMITED.replace("64", str(megabytes)), "if event not in (0, 1): event = 'large'"), events=[0, numbers, 1]
    )
    if run.ending == ENDED_AFTER_THE_LAST_EVENT:
        assert run.responses == [[0, "rid-1"], [1, "rid-3"]]
        assert [error["requestId"] for error in run.errors] == ["rid-2"]
    else:
        assert run.ending in (f"signal {signal.SIGABRT}", "exit code 1")
        assert run.calls == ["GET next", "POST rid-1/response", "GET next"]


def test_a_handler_that_hangs_ends_at_its_deadline_and_the_next_invocation_has_a_new_process(
    cli: Path, bootstrap: Path, tmp_path: Path
) -> None:
    write_files(tmp_path, misbehaves("threading.Event().wait()", "return [event, os.getpid()]"))
    with serving(cli, bootstrap, tmp_path, "--timeout", "1") as endpoints:
        client = boto3_client(endpoints.invoke_api)

        def invoke(number: int) -> str:
            return str(client.invoke(FunctionName="greeter", Payload=str(number))["Payload"].read().decode())

        first, hangs, last = invoke(1), invoke(0), invoke(2)
    assert "Task timed out after 1.00 seconds" in hangs
    assert (first[:3], last[:3]) == ("[1,", "[2,")
    assert first[3:] != last[3:]


def test_an_answer_after_the_deadline_is_for_its_own_invocation(both: CompareBoth) -> None:
    """Lambda refuses it, if it has not ended the process by then."""
    late = event(0, headers={"lambda-runtime-deadline-ms": str(int(time.time() * 1000))})
    pair = both(misbehaves("time.sleep(0.2)", ""), events=[late, 1])
    assert pair.whipsnake.calls == ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]


def test_an_extension_that_answers_late_or_never_delays_nothing_but_the_start(play: PlayFunction) -> None:
    """Its registration is waited for, its poll never comes back."""
    run = play(
        misbehaves("pass", ""),
        events=EVENTS,
        environment={"WHIPSNAKE_GRACEFUL_SHUTDOWN": "1"},
        extension_register=[{"delay_ms": 500}],
    )
    assert run.responses == [[number, f"rid-{number + 1}"] for number in EVENTS]
    polled = [request.at_us for request in run.requests if request.call == "GET next"]
    assert polled[0] >= 500_000
    assert all(later - earlier < 400_000 for earlier, later in itertools.pairwise(polled))
