"""Processes and threads of the function that outlive the invocation, or come back where they should not."""

import pytest

from conftest import CompareBoth, PlayFunction
from faults.handlers import HANDLERS, assert_served, served
from faults.misbehaving import EVENTS, misbehaves

ANSWERED = [[number, f"rid-{number + 1}"] for number in EVENTS]

CAME_BACK = "whipsnake: a process that the function has forked came back from the handler, and ends: end it with os._exit\n"

IN_THE_CHILD = {
    "goes on": "",
    "returns": "return 'from the child'",
    "fails": "raise ValueError('in the child')",
}


@pytest.mark.parametrize("line", IN_THE_CHILD.values(), ids=IN_THE_CHILD)
def test_a_forked_process_that_comes_back_answers_nothing(play: PlayFunction, line: str) -> None:
    bad = f"""
        if os.fork() == 0:
            print("child")
            {line}
        else:
            print("code", os.waitstatus_to_exitcode(os.wait()[1]))
    """
    run = play(misbehaves(bad, ""), events=EVENTS)
    assert run.responses == ANSWERED
    assert run.calls.count("GET next") == 4
    assert run.stdout.startswith("child\n")
    assert run.stdout.endswith("code 1\n")
    assert ("ValueError: in the child" in run.stdout) == line.startswith("raise")
    assert run.stderr == CAME_BACK


def test_a_forked_process_of_a_stream_answers_nothing(play: PlayFunction) -> None:
    source = """
        import os
        def handler(event, context):
            yield "a"
            if event == 0 and os.fork(): os.wait()
            yield str(event)
    """
    run = play({"app.py": source}, events=EVENTS)
    assert [answer.body for answer in run.answers.values()] == [b"a0", b"a1", b"a2"]
    assert run.stderr == CAME_BACK


def test_a_forked_process_of_a_worker_answers_nothing(play: PlayFunction) -> None:
    run = play(
        misbehaves("if os.fork(): os.wait()", ""),
        events=EVENTS,
        environment={"AWS_LAMBDA_MAX_CONCURRENCY": "2"},
        end="SIGTERM",
        end_after_answers=True,
    )
    assert sorted(run.responses) == ANSWERED
    assert run.stderr == CAME_BACK


def test_a_forked_process_that_exits_leaves_its_parents_connection_alone(both: CompareBoth) -> None:
    bad = """
        if os.fork() == 0: sys.exit(3)
        print("code", os.waitstatus_to_exitcode(os.wait()[1]))
    """
    pair = both(misbehaves(bad, ""), events=EVENTS)
    assert pair.whipsnake.responses == ANSWERED
    assert pair.whipsnake.stdout == "code 3\n"


DAEMON = """
import asyncio, json, os, time
def outcome(event):
    if event == "daemon":
        child = os.fork()
        if not child:
            os.setsid()
            if not os.fork():
                os.closerange(0, 256)
                time.sleep(0.1)
            os._exit(0)
        os.waitpid(child, 0)
    return event
"""


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_daemon_that_closes_what_it_inherited_takes_nothing_from_its_parent(play: PlayFunction, handler: str) -> None:
    run = served(play, handler, ["daemon", "after", "next"], source=DAEMON)
    assert_served(run, "rid-1", "rid-2", "rid-3")
    assert {request.connection for request in run.requests} == {1}
    assert (run.stdout, run.stderr) == ("", "")


def test_processes_that_outlive_the_invocation_are_left_alone(both: CompareBoth) -> None:
    bad = """
        if os.fork() == 0:
            os.setsid()
            time.sleep(0.1)
            print("child", flush=True)
            os._exit(0)
    """
    then = "if event == 2: os.wait()"
    pair = both(misbehaves(bad, then), events=EVENTS)
    assert pair.whipsnake.responses == ANSWERED
    assert pair.whipsnake.stdout == "child\n"


def test_threads_that_outlive_the_invocation_go_on(both: CompareBoth) -> None:
    bad = """
        global threads
        def work(): [time.sleep(0.001) for _ in range(20)]
        threads = [threading.Thread(target=work, daemon=n % 2 == 0) for n in range(50)]
        for thread in threads: thread.start()
    """
    pair = both(misbehaves(bad, "if event == 2: [thread.join() for thread in threads]"), events=EVENTS)
    assert pair.whipsnake.responses == ANSWERED


def test_an_exception_in_a_thread_is_told_and_fails_nothing(both: CompareBoth) -> None:
    pair = both(misbehaves("thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()", ""), events=EVENTS)
    assert pair.whipsnake.responses == ANSWERED
    assert pair.whipsnake.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_an_async_handler_is_served_where_no_thread_can_be_started(play: PlayFunction) -> None:
    """The wait for the next event has a thread of its own otherwise."""
    source = """
        import _thread, asyncio, os, resource
        async def handler(event, context):
            if event == 0:
                resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
                if os.getuid() == 0: os.setuid(65534)
            await asyncio.sleep(0)
            try:
                _thread.start_new_thread(int, ())
            except RuntimeError as error:
                return [event, str(error)]
    """
    assert play({"app.py": source}, events=EVENTS).responses == [[number, "can't start new thread"] for number in EVENTS]
