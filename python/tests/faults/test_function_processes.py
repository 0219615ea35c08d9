"""Processes and threads of the function that outlive the invocation, or come back where they should not."""

import pytest

from conftest import CompareBoth, PlayFunction
from faults.handlers import HANDLERS, assert_served, served
from faults.misbehaving import EVENTS, misbehaves
from playing import event, when_asked_by

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


@pytest.mark.ordinary_start("ctypes leaves the file of libffi open, so each worker has to import the function")
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


IN_THE_CHILD_OF_A_TASK = {
    "returns": "return 'from the child'",
    "fails": "raise ValueError('in the child')",
    "suspends": "await asyncio.sleep(0)",
    "waits for a thread": "await asyncio.to_thread(print, 'thread')",
}


@pytest.mark.not_from_checkpoint("the function keeps the process id that it had when it was imported", kinds=["init"])
@pytest.mark.parametrize("line", IN_THE_CHILD_OF_A_TASK.values(), ids=IN_THE_CHILD_OF_A_TASK)
def test_a_forked_process_of_a_task_ends_when_it_comes_back_to_the_event_loop(play: PlayFunction, line: str) -> None:
    """It has its parent's event loop, with all the other tasks that are ready to run."""
    source = f"""
        import asyncio, os
        parent = os.getpid()
        async def handler(event, context):
            await asyncio.sleep(0.05)
            if os.getpid() != parent: print("another task runs in the child", flush=True)
            if event == 0:
                child = os.fork()
                if not child:
                    print("child")
                    {line}
                print("code", os.waitstatus_to_exitcode(await asyncio.to_thread(lambda: os.waitpid(child, 0)[1])))
            return [event, context.aws_request_id]
    """
    environment = {"AWS_LAMBDA_MAX_CONCURRENCY": "3"}
    events = when_asked_by(3, EVENTS)
    run = play({"app.py": source}, events=events, environment=environment, end="SIGTERM", end_after_answers=True)
    assert sorted(run.responses) == ANSWERED
    assert run.stdout == "child\ncode 1\n"
    assert (run.stderr, run.ending) == (CAME_BACK, "signal 15")


@pytest.mark.parametrize("kind", ["one at a time", "tasks"])
def test_a_forked_process_of_a_background_task_ends_when_it_comes_back_to_the_event_loop(play: PlayFunction, kind: str) -> None:
    source = """
        import asyncio, os
        async def fork():
            await asyncio.sleep(0.05)
            child = os.fork()
            if child:
                status = await asyncio.to_thread(lambda: os.waitpid(child, 0)[1])
                print("code", os.waitstatus_to_exitcode(status), flush=True)
        async def handler(event, context):
            global task
            if event == 0: task = asyncio.create_task(fork())
            return [event, context.aws_request_id]
    """
    environment = {"AWS_LAMBDA_MAX_CONCURRENCY": "1"} if kind == "tasks" else {}
    events = [0, event(1, delay_ms=300), 2]
    run = play({"app.py": source}, events=events, environment=environment, end="SIGTERM", end_after_answers=True)
    assert run.responses == ANSWERED
    assert (run.stdout, run.stderr, run.ending) == ("code 1\n", CAME_BACK, "signal 15")


@pytest.mark.parametrize("way", ["asyncio", "multiprocessing"])
def test_a_forked_process_of_a_task_can_have_an_event_loop_of_its_own(play: PlayFunction, way: str) -> None:
    in_the_child = {
        "asyncio": "child = os.fork()\n    if not child: work(); os._exit(0)\n    os.waitpid(child, 0)",
        "multiprocessing": "p = multiprocessing.get_context('fork').Process(target=work)\n    p.start(); p.join()",
    }
    source = f"""
import asyncio, multiprocessing, os
async def wait():
    await asyncio.sleep(0.01)
    await asyncio.to_thread(print, "own loop", flush=True)
def work(): asyncio.run(wait())
async def handler(event, context):
    {in_the_child[way]}
    return [event, context.aws_request_id]
"""
    environment = {"AWS_LAMBDA_MAX_CONCURRENCY": "2"}
    run = play({"app.py": source}, events=EVENTS, environment=environment, end="SIGTERM", end_after_answers=True)
    assert sorted(run.responses) == ANSWERED, run.story()
    assert (run.stdout, run.stderr) == ("own loop\n" * 3, "")


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
