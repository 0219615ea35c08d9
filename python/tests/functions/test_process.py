"""Signals and the end of the process where the managed runtime does otherwise, and what many invocations leave behind."""

import signal
from pathlib import Path

import pytest

from conftest import CompareBoth, PlayFunction
from playing import event


def test_a_second_sigterm_ends_exit_functions_that_take_too_long(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import atexit, os, signal, threading
            @atexit.register
            def slow():
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Event().wait(15)
                print("never")
            def handler(event, context): pass
        """
    }
    run = play(files, events=[{}], end="SIGTERM")
    assert run.ending == f"signal {signal.SIGTERM}"
    assert run.stdout == ""


def test_sigint_is_a_keyboard_interrupt(play: PlayFunction) -> None:
    """Where the managed runtime would wait for the next event first."""
    run = play({"app.py": "def handler(event, context): return event"}, events=[1], end="SIGINT")
    assert run.ending == f"signal {signal.SIGINT}"
    assert run.stderr.endswith("KeyboardInterrupt\n")
    assert "panicked" not in run.stderr


def test_signals_that_come_with_an_event_do_not_harm_its_answer(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import signal
            signal.signal(signal.SIGUSR1, lambda *_: None)
            def handler(event, context): return event
        """
    }
    events = [event(number, signal={"name": "SIGUSR1"}) for number in range(200)]
    assert play(files, events=events).responses == list(range(200))


@pytest.mark.parametrize("event_count", [1000])
def test_an_invocation_leaves_nothing_behind(play: PlayFunction, event_count: int) -> None:
    """Objects that Python counts; what the first ones warm up is not."""
    files = {
        "app.py": """
            import gc, sys
            def handler(event, context):
                if event is None:
                    raise ValueError("é")
                gc.collect()
                return [len(gc.get_objects()), len(__import__("os").listdir("/proc/self/fd"))]
        """
    }
    warm = [{"a": [1.5, "x"]}, None, {}]
    run = play(files, events=[*warm, *warm, {}, *([{}] * 5), *([None] * (event_count // 10)), {}])
    counts = [response for response in run.responses if isinstance(response, list)]
    assert counts[-1] == counts[-2]
    assert counts[-1][1] == counts[0][1]


LARGE_EVENTS = {
    "one text": "x" * 5_000_000,
    "many objects": [{"number": number, "text": f"text {number}", "list": [number]} for number in range(80_000)],
}


@pytest.mark.parametrize("large", LARGE_EVENTS.values(), ids=LARGE_EVENTS)
def test_memory_of_a_large_event_is_given_back(play: PlayFunction, large: object) -> None:
    files = {
        "app.py": """
            import sys
            def handler(event, context):
                line = next(l for l in open("/proc/self/status") if l.startswith("VmRSS"))
                return [int(line.split()[1]), getattr(sys, "_is_gil_enabled", lambda: True)()]
        """
    }
    (before, has_gil), *_, (after, _) = play(files, events=[1, *([large] * 6), 1, 1]).responses
    if isinstance(large, list) and not has_gil:
        pytest.skip("a CPython without a GIL keeps the memory of objects as mimalloc does")
    assert after - before < 16_000


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").is_dir(), reason="a kernel without huge pages")
def test_huge_pages_are_for_many_objects_alone(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import sys
            def handler(event, context):
                advised = any("VmFlags" in line and " hg" in line for line in open("/proc/self/smaps"))
                return [advised, getattr(sys, "_is_gil_enabled", lambda: True)()]
        """
    }
    small = [{"number": number} for number in range(10_000)]
    (before, _), (large, has_gil) = play(files, events=[small, LARGE_EVENTS["many objects"]]).responses
    assert not before
    # A CPython without a GIL has an allocator of its own.
    assert large == has_gil


@pytest.mark.parametrize("hold", ["event['own'] = Last()", "context.own = Last()", "return Result(own='answered')"])
def test_what_an_invocation_was_served_with_is_there_until_it_has_been_answered(both: CompareBoth, hold: str) -> None:
    files = {
        "app.py": f"""
            import os
            class Last:
                def __del__(self): os._exit(3)
            class Result(Last, dict): pass
            def handler(event, context):
                {hold}
                return "answered"
        """
    }
    run = both(files, events=[{}]).whipsnake
    assert [request.method for request in run.requests] == ["GET", "POST"]
    assert run.ending == "exit code 3"


NAMES = "import os\ndef handler(event, context): return [os.environ['_HANDLER'], os.environ['LAMBDA_TASK_ROOT'] == os.getcwd(), event]"
IN_AN_IMAGE: dict[str, str | None] = {"_HANDLER": None, "LAMBDA_TASK_ROOT": None}


IMAGE = pytest.mark.ordinary_start("a container image names the handler on the command line, and has no checkpoint")


@IMAGE
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_LAMBDA_EXEC_WRAPPER": "./wrapper"},
        {"AWS_LAMBDA_MAX_CONCURRENCY": "1"},
        {"AWS_LAMBDA_MAX_CONCURRENCY": "1", "WHIPSNAKE_CONCURRENCY": "isolated"},
        {"_HANDLER": "another.handler"},
    ],
)
def test_the_command_of_a_container_image_is_the_handler(
    play: PlayFunction, bootstrap: Path, tmp_path: Path, environment: dict[str, str | None]
) -> None:
    (tmp_path / "wrapper").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "wrapper").chmod(0o755)
    (tmp_path / "app.py").write_text(NAMES)
    run = play(task_root=tmp_path, events=[1], command=[str(bootstrap), "app.handler"], environment=IN_AN_IMAGE | environment)
    assert run.response == ["app.handler", True, 1], run.story()


def test_a_file_is_a_script_and_an_option_one_of_pythons(play: PlayFunction, bootstrap: Path) -> None:
    """Also where a Runtime API is to be served: functions start the interpreter that they find in `sys.executable`."""
    files = {"app.handler": "print('a script')", "app.py": NAMES}
    assert play(files, command=[str(bootstrap), "app.handler"]).stdout == "a script\n"
    assert play(files, command=[str(bootstrap), "-V"]).stdout.startswith("Python 3.")
    assert play(files, command=[str(bootstrap), "-c", "print('a command')"]).stdout == "a command\n"


@IMAGE
def test_a_handler_on_the_command_line_that_is_not_there_is_reported(play: PlayFunction, bootstrap: Path) -> None:
    run = play({}, command=[str(bootstrap), "app.handler"], environment=IN_AN_IMAGE)
    assert run.init_error["errorType"] == "Runtime.ImportModuleError"
