"""Several invocations at once under AWS's own emulator, in its mode of Lambda Managed Instances."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emulators.aws_emulator import AwsEmulator, managed_instance, program, running
from layer.sandbox import missing
from playing import lambda_variables, write_files

type Emulate = Callable[..., contextlib.AbstractContextManager[AwsEmulator]]

WAITS = {
    "tasks": "async def handler(event, context):\n    await asyncio.sleep({seconds})\n    return {result}",
    "threads": "def handler(event, context):\n    time.sleep({seconds})\n    return {result}",
    "processes": "def handler(event, context):\n    time.sleep({seconds})\n    return {result}",
}


@pytest.fixture
def emulate(bootstrap: Path, tmp_path: Path) -> Emulate:
    if reason := missing():
        pytest.skip(reason)
    found = program()
    if isinstance(found, str):
        pytest.skip(found)

    @contextlib.contextmanager
    def start(module: str, kind: str, **more: str) -> Iterator[AwsEmulator]:
        task = tmp_path / "task"
        task.mkdir()
        imports = "import asyncio, logging, os, sys, threading, time\nlogging.getLogger().setLevel('INFO')\n"
        write_files(task, {"app.py": imports + module})
        variables = {name: str(value) for name, value in lambda_variables(task, tmp_path, "app.handler").items()}
        variables |= {"LAMBDA_TASK_ROOT": "/var/task", "AWS_LAMBDA_MAX_CONCURRENCY": "4", "WHIPSNAKE_CONCURRENCY": kind}
        before = managed_instance(bootstrap, task)
        variables["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        with running(found, bootstrap, tmp_path, {**variables, **more}, before) as emulator:
            yield emulator

    return start


def at_once(emulator: AwsEmulator, events: list[Any]) -> list[Any]:
    """It refuses an invocation for which no place waits yet."""

    def invoke(event: Any) -> Any:
        until = time.monotonic() + 10
        while (answer := emulator.invoke(event)) == {"errorType": "Runtime.Unavailable"} and time.monotonic() < until:
            time.sleep(0.01)
        return answer

    with ThreadPoolExecutor(len(events)) as callers:
        return [*callers.map(invoke, events)]


@pytest.mark.parametrize("kind", WAITS)
def test_invocations_are_served_at_the_same_time(emulate: Emulate, kind: str) -> None:
    result = "[event, context.aws_request_id, logging.info('event %s', event)]"
    with emulate(WAITS[kind].format(seconds=0.7, result=result), kind) as emulator:
        begun = time.monotonic()
        answers = at_once(emulator, [1, 2, 3, 4])
        assert time.monotonic() - begun < 2.5, emulator.log
        assert [event for event, *_ in answers] == [1, 2, 3, 4], emulator.log
        told = dict(record for line in emulator.log.splitlines() if (record := logged(line)))
    assert told == {f"event {event}": request_id for event, request_id, _ in answers}


def logged(line: str) -> tuple[str, str] | None:
    """Message and request id of a record of the function's."""
    with contextlib.suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict) and str(record.get("message")).startswith("event "):
            return record["message"], record["requestId"]
    return None


@pytest.mark.parametrize("kind", WAITS)
def test_a_late_answer_is_refused_and_ends_nothing(emulate: Emulate, kind: str) -> None:
    module = WAITS[kind].format(seconds="event", result="event")
    with emulate(module, kind, AWS_LAMBDA_FUNCTION_TIMEOUT="1") as emulator:
        late, other = at_once(emulator, [1.5, 0.1])
        assert "Sandbox.Timedout" in str(late)
        assert other == 0.1
        time.sleep(1)
        assert at_once(emulator, [0.1, 0.2, 0.3, 0.4]) == [0.1, 0.2, 0.3, 0.4], "all places serve again"
        assert "the Runtime API answered 410 Gone to " in emulator.log


def test_a_worker_that_dies_fails_its_own_invocation_and_is_replaced(emulate: Emulate) -> None:
    module = WAITS["processes"].format(seconds=0.2, result="os._exit(3) if event == 0 else event")
    with emulate(module, "processes") as emulator:
        died, *others = at_once(emulator, [0, 1, 2, 3])
        assert died["errorType"] == "Runtime.ExitError", emulator.log
        assert died["errorMessage"].endswith("Runtime exited with error: exit status 3")
        assert others == [1, 2, 3]
        assert at_once(emulator, [4, 5, 6, 7]) == [4, 5, 6, 7]


def test_a_failed_init_phase_is_told(emulate: Emulate) -> None:
    with emulate("raise ValueError('as asked')", "isolated") as emulator:
        assert "as asked" in str(emulator.invoke(1)) or "as asked" in emulator.log
