"""No descriptor left, and descriptors closed that are not the function's."""

import re

import pytest

from conftest import CompareBoth, PlayFunction
from faults.misbehaving import EVENTS, misbehaves
from playing import event

USES_ALL = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True: os.open('/dev/null', os.O_RDONLY)
    except OSError as error:
        print(error.strerror)
"""


def test_without_a_descriptor_left_failures_have_their_stack(both: CompareBoth) -> None:
    pair = both(misbehaves(USES_ALL), events=EVENTS)
    assert pair.whipsnake.stdout.startswith("Too many open files\n[ERROR] ZeroDivisionError: division by zero\r")
    assert re.fullmatch(r'  File ".*/app.py", line \d+, in handler\n', pair.whipsnake.errors[0]["stackTrace"][0])


def test_without_a_descriptor_left_a_new_connection_has_that_of_the_old_one(play: PlayFunction) -> None:
    run = play(misbehaves(USES_ALL, ""), events=[0, event(1, close="after"), 2])
    assert run.responses == [[number, f"rid-{number + 1}"] for number in EVENTS]


def test_without_a_descriptor_left_an_async_handler_is_served(play: PlayFunction) -> None:
    files = misbehaves(USES_ALL, "await asyncio.sleep(0)")
    files = {"app.py": str(files["app.py"]).replace("def handler", "async def handler")}
    assert play(files, events=EVENTS).responses == [[number, f"rid-{number + 1}"] for number in EVENTS]


@pytest.mark.parametrize("first", [0, 3])
def test_a_function_that_closes_the_runtimes_descriptors_ends_its_process_with_exit_code_1(
    play: PlayFunction, first: int
) -> None:
    run = play(misbehaves(f"os.closerange({first}, 1000)", ""), events=EVENTS)
    assert (run.calls, run.ending) == (["GET next"], "exit code 1")
    if first:
        assert re.fullmatch(r"whipsnake: cannot go on: .*Bad file descriptor.* \(driver\.rs:\d+\)\n", run.stderr)


@pytest.mark.parametrize("descriptor", range(3, 12))
def test_a_function_that_closes_one_of_the_runtimes_descriptors_is_served_or_ends_with_exit_code_1(
    play: PlayFunction, descriptor: int
) -> None:
    """The runtime makes its connection again. Without its wake-up socket, or what waits for sockets, it cannot go on."""
    app = f"""
        import contextlib, os
        def handler(event, context):
            if event == 1:
                with contextlib.suppress(OSError):
                    os.close({descriptor})
            return [event, context.aws_request_id]
    """
    run = play({"app.py": app}, events=[0, 1, 2, 3])
    right = [[number, f"rid-{number + 1}"] for number in range(4)]
    assert run.responses == right[: len(run.responses)]
    if len(run.responses) < 4:
        assert (len(run.responses) >= 1, run.ending) == (True, "exit code 1"), run.story()
