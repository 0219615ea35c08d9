"""Several invocations at once in one execution environment: `whipsnake emulate --concurrency`."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emulators.serving import boto3_client, serving
from playing import write_files

FUNCTION = """
    import os, time

    def handler(event, context):
        if event == "exit":
            os._exit(3)
        time.sleep(event)
        return [event, os.getpid(), context.aws_request_id]
"""


@pytest.fixture(scope="module")
def client(cli: Path, bootstrap: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    task = tmp_path_factory.mktemp("task")
    write_files(task, {"app.py": FUNCTION})
    with serving(cli, bootstrap, task, "--concurrency", "3", "--timeout", "2") as endpoints:
        yield boto3_client(endpoints.invoke_api)


def invoke(client: Any, event: object) -> tuple[Any, str | None]:
    """The decoded payload, and the function error."""
    answer = client.invoke(FunctionName="greeter", Payload=json.dumps(event))
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_invocations_go_on_at_once_and_each_caller_gets_its_own(client: Any) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(6) as callers:
        outcomes = [*callers.map(lambda event: invoke(client, event), [0.5, 0.501, 0.502, 0.503, 0.504, 0.505])]
    assert time.monotonic() - begun < 2.5, "six of half a second, three at once"
    assert [payload[0] for payload, _ in outcomes] == [0.5, 0.501, 0.502, 0.503, 0.504, 0.505]
    assert len({payload[1] for payload, _ in outcomes}) == 3
    assert len({payload[2] for payload, _ in outcomes}) == 6


def test_a_worker_that_dies_fails_its_own_invocation_alone(client: Any) -> None:
    with ThreadPoolExecutor(3) as callers:
        (exited, fault), (first, _), (second, _) = callers.map(lambda event: invoke(client, event), ["exit", 0.3, 0.31])
    assert fault == "Unhandled"
    assert exited["errorType"] == "Runtime.ExitError"
    assert exited["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert (first[0], second[0]) == (0.3, 0.31)


def test_a_time_out_is_told_and_the_environment_goes_on(client: Any) -> None:
    """Lambda ends no process for it; the late answer is refused."""
    with ThreadPoolExecutor(2) as callers:
        (late, fault), (other, _) = callers.map(lambda event: invoke(client, event), [2.5, 0.2])
    assert fault == "Unhandled"
    assert late["errorType"] == "Sandbox.Timedout"
    time.sleep(0.7)
    again = {invoke(client, 0)[0][1] for _ in range(9)}
    assert other[1] in again or len(again) > 1
