"""The emulator's Invoke API, through the client that people have: boto3's."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.serving import boto3_client, serving
from playing import write_files

FUNCTION = """
    import sys

    def handler(event, context):
        print("got", event)
        if event == "fail":
            raise ValueError("as asked")
        if event == "exit":
            sys.exit(7)
        if event == "bytes":
            return b"\\x00\\xff"
        if event == "large":
            return "x" * 7_000_000
        sent = context.client_context
        return {"event": event, "name": context.function_name, "custom": sent and sent.custom}
"""

type Invoke = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def client(cli: Path, bootstrap: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    task = tmp_path_factory.mktemp("task")
    write_files(task, {"app.py": FUNCTION})
    with serving(cli, bootstrap, task) as endpoints:
        yield boto3_client(endpoints.invoke_api)


@pytest.fixture
def invoke(client: Any) -> Invoke:
    def call(event: object, **arguments: object) -> dict[str, Any]:
        answer = client.invoke(FunctionName="greeter", Payload=json.dumps(event), **arguments)
        return {**answer, "Payload": answer["Payload"].read()}

    return call


def test_the_response_comes_back_with_the_version_that_ran(invoke: Invoke) -> None:
    answer = invoke({"é": 1})
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert answer["Payload"].decode() == '{"event": {"é": 1}, "name": "greeter", "custom": null}'


def test_a_fault_is_told_as_lambda_tells_it_and_the_next_invocation_is_served(invoke: Invoke) -> None:
    answer = invoke("fail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"])
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "as asked")
    assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert json.loads(invoke(1)["Payload"])["event"] == 1


def test_a_process_that_exits_is_told_and_replaced(invoke: Invoke) -> None:
    answer = invoke("exit")
    error = json.loads(answer["Payload"])
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")
    assert json.loads(invoke(2)["Payload"])["event"] == 2


def test_a_response_that_is_too_large_is_told_and_the_next_invocation_is_served(invoke: Invoke) -> None:
    error = json.loads(invoke("large")["Payload"])
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert json.loads(invoke(3)["Payload"])["event"] == 3


def test_bytes_come_back_as_they_are(invoke: Invoke) -> None:
    assert invoke("bytes")["Payload"] == b"\x00\xff"


def test_the_client_context_arrives(invoke: Invoke) -> None:
    context = base64.b64encode(b'{"custom": {"k": [1]}}').decode()
    assert json.loads(invoke(1, ClientContext=context)["Payload"])["custom"] == {"k": [1]}


def test_the_tail_of_the_log_comes_along_when_asked_for(invoke: Invoke) -> None:
    answer = invoke("hello", LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = log.splitlines()
    assert lines[-4:-1] == [f"START RequestId: {request_id} Version: $LATEST", "got hello", f"END RequestId: {request_id}"]
    assert lines[-1].startswith(f"REPORT RequestId: {request_id}\tDuration: ")


def test_an_event_that_is_not_json_is_the_clients_error(client: Any) -> None:
    with pytest.raises(client.exceptions.InvalidRequestContentException, match="Could not parse request body into json"):
        client.invoke(FunctionName="greeter", Payload=b"{")


def test_an_unknown_function_is_not_found(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="somebody-else", Payload=b"{}")


def test_asynchronous_and_dry_invocations_are_accepted(client: Any) -> None:
    asked = {"FunctionName": "greeter", "Payload": b"{}"}
    assert client.invoke(InvocationType="Event", **asked)["StatusCode"] == 202
    assert client.invoke(InvocationType="DryRun", **asked)["StatusCode"] == 204
