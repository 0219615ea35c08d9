"""Streamed responses as their callers see them: boto3's `invoke_with_response_stream`, and whoever asks a Function URL."""

import base64
import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulators.serving import Endpoints, boto3_client, serving
from playing import write_files

# The function goes on when the caller has seen what there is: it waits for a file that only the test makes.
FUNCTION = """
    import json, os, time
    from whipsnake import HttpResponse, StreamingResponse

    def wait_for(path):
        while not os.path.exists(path):
            time.sleep(0.01)
        os.unlink(path)

    def in_steps(path):
        yield "one"
        wait_for(path)
        yield "two"

    def fail():
        yield "one"
        raise ValueError("on the way")

    def megabytes(count):
        for _ in range(16 * count):
            yield bytes(65536)

    def large(count):
        yield "x" * count

    def peak():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def handler(event, context):
        if "rawPath" in event:
            return from_http(event)
        kind, argument = event
        if kind == "peak":
            return peak()
        if kind == "plain":
            return argument
        if kind == "raise":
            raise ValueError("at once")
        if kind == "exit":
            return leave()
        if kind == "http":
            return HttpResponse(201, {"X-A": "b"}, body="body")
        return {"steps": in_steps, "fail": fail_with, "megabytes": megabytes, "large": large}[kind](argument)

    def fail_with(argument):
        return fail()

    def leave():
        yield "one"
        # Taken when the one before is on its way.
        yield "two"
        os._exit(7)

    def from_http(event):
        what = event["rawPath"].strip("/")
        if what == "event":
            return event
        if what == "object":
            return {"statusCode": 404, "headers": {"Content-Type": "text/plain"}, "cookies": ["a=b"], "body": "gone"}
        if what == "binary":
            return {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}
        if what == "raise":
            raise ValueError
        if what == "stream":
            return StreamingResponse(in_steps(event["queryStringParameters"]["path"]), content_type="text/event-stream")
        if what == "http":
            body = in_steps(event["queryStringParameters"]["path"])
            return HttpResponse(201, {"Content-Type": "text/html", "X-A": "b"}, ["c=d; Secure", "e=f"], body)
        if what == "fail":
            return fail()
        if what == "bare":
            return HttpResponse(204)
"""


@pytest.fixture(scope="module")
def endpoints(cli: Path, bootstrap: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    task = tmp_path_factory.mktemp("task")
    write_files(task, {"app.py": FUNCTION})
    with serving(cli, bootstrap, task) as served:
        yield served


@pytest.fixture(scope="module")
def client(endpoints: Endpoints) -> Any:
    return boto3_client(endpoints.invoke_api)


def events(client: Any, *event: object, **arguments: object) -> Iterator[Any]:
    """The events of a streamed response, as they come."""
    answer = client.invoke_with_response_stream(FunctionName="greeter", Payload=json.dumps(event), **arguments)
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    yield from answer["EventStream"]


def chunk(payload: bytes) -> object:
    return {"PayloadChunk": {"Payload": payload}}


def assert_served(client: Any, number: int) -> None:
    """Whatever was before, the next invocation is served."""
    assert list(events(client, "plain", number)) == [chunk(str(number).encode()), {"InvokeComplete": {}}]


def test_boto3_reads_a_chunk_while_the_function_is_at_the_next(client: Any, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    stream = events(client, "steps", str(go_on))
    assert next(stream) == chunk(b"one")
    go_on.touch()
    assert list(stream) == [chunk(b"two"), {"InvokeComplete": {}}]


def test_a_response_that_is_not_streamed_is_one_chunk(client: Any) -> None:
    assert list(events(client, "plain", "é")) == [chunk('"é"'.encode()), {"InvokeComplete": {}}]


def test_a_prelude_is_part_of_what_is_streamed(client: Any) -> None:
    (payload, complete) = events(client, "http", None)
    prelude, body = payload["PayloadChunk"]["Payload"].split(b"\0" * 8)
    assert (json.loads(prelude)["statusCode"], body) == (201, b"body")
    assert complete == {"InvokeComplete": {}}


def test_a_failure_on_the_way_is_told_in_the_last_event(client: Any) -> None:
    *payload, complete = events(client, "fail", None)
    assert payload == [chunk(b"one")]
    assert complete["InvokeComplete"]["ErrorCode"] == "ValueError"
    details = json.loads(complete["InvokeComplete"]["ErrorDetails"])
    assert (details["errorType"], details["errorMessage"]) == ("ValueError", "on the way")
    assert_served(client, 1)


def test_a_failure_before_the_first_chunk_is_told_there_too(client: Any) -> None:
    (complete,) = events(client, "raise", None)
    assert complete["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert json.loads(complete["InvokeComplete"]["ErrorDetails"])["errorMessage"] == "at once"


def test_a_process_that_exits_on_the_way_is_told_and_replaced(client: Any) -> None:
    *payload, complete = events(client, "exit", None)
    assert payload in ([chunk(b"one")], [chunk(b"one"), chunk(b"two")])
    assert json.loads(complete["InvokeComplete"]["ErrorDetails"])["errorType"] == "Runtime.ExitError"
    assert_served(client, 2)


def test_the_tail_of_the_log_comes_in_the_last_event(client: Any) -> None:
    *_, complete = events(client, "plain", 1, LogType="Tail")
    assert b"REPORT RequestId: " in base64.b64decode(complete["InvokeComplete"]["LogResult"])


def test_200_megabytes_reach_boto3_and_the_function_stays_small(client: Any) -> None:
    list(events(client, "megabytes", 1))
    before = int(client.invoke(FunctionName="greeter", Payload='["peak", 0]')["Payload"].read())
    received = sum(len(event.get("PayloadChunk", {}).get("Payload", b"")) for event in events(client, "megabytes", 200))
    assert received == 200 * 2**20
    after = int(client.invoke(FunctionName="greeter", Payload='["peak", 0]')["Payload"].read())
    assert after - before < 4096


def test_a_caller_that_goes_away_leaves_the_function_alone(client: Any, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    answer = client.invoke_with_response_stream(FunctionName="greeter", Payload=json.dumps(["steps", str(go_on)]))
    assert next(iter(answer["EventStream"])) == chunk(b"one")
    answer["EventStream"].close()
    go_on.touch()
    assert_served(client, 3)
    assert not go_on.exists()


def test_an_ordinary_invocation_gets_the_whole(client: Any) -> None:
    answer = client.invoke(FunctionName="greeter", Payload='["megabytes", 1]')
    assert "FunctionError" not in answer
    assert answer["Payload"].read() == bytes(2**20)


def test_an_ordinary_invocation_gets_no_more_than_of_any_response(client: Any) -> None:
    answer = client.invoke(FunctionName="greeter", Payload='["large", 6291557]')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_stream_without_end_ends_at_the_time_out(cli: Path, bootstrap: Path, tmp_path: Path) -> None:
    source = "def handler(event, context):\n    while event: yield bytes(65536)\n    yield 'served'"
    write_files(tmp_path, {"app.py": source})
    with serving(cli, bootstrap, tmp_path, "--timeout", "0.5") as endpoints:
        client = boto3_client(endpoints.invoke_api)
        answer = client.invoke_with_response_stream(FunctionName="greeter", Payload=b"1")
        *chunks, complete = answer["EventStream"]
        assert chunks[-1] == chunk(bytes(65536))
        details = json.loads(complete["InvokeComplete"]["ErrorDetails"])
        assert details["errorType"] == "Sandbox.Timedout"
        assert details["errorMessage"].endswith("Error: Task timed out after 0.50 seconds")
        answer = client.invoke_with_response_stream(FunctionName="greeter", Payload=b"0")
        assert list(answer["EventStream"]) == [chunk(b"served"), {"InvokeComplete": {}}]


def test_an_unknown_function_is_not_found(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_with_response_stream(FunctionName="somebody-else", Payload=b"{}")


@pytest.fixture
def browser(endpoints: Endpoints) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(endpoints.function_url).netloc, timeout=20)
    yield connection
    connection.close()


def ask(browser: http.client.HTTPConnection, path: str) -> http.client.HTTPResponse:
    browser.request("GET", path)
    return browser.getresponse()


@pytest.mark.parametrize(("what", "status", "kind"), [("stream", 200, "text/event-stream"), ("http", 201, "text/html")])
def test_a_function_url_streams(browser: http.client.HTTPConnection, tmp_path: Path, what: str, status: int, kind: str) -> None:
    go_on = tmp_path / "go on"
    answer = ask(browser, f"/{what}?path={str(go_on).replace(' ', '%20')}")
    assert (answer.status, answer.headers["Content-Type"]) == (status, kind)
    assert answer.read(3) == b"one"
    go_on.touch()
    assert answer.read() == b"two"
    if what == "http":
        assert answer.headers["X-A"] == "b"
        assert answer.headers.get_all("Set-Cookie") == ["c=d; Secure", "e=f"]
    assert ask(browser, "/object").read() == b"gone"


def test_curl_shows_it_live(endpoints: Endpoints, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    go_on = tmp_path / "go-on"
    command = [curl, "-sN", "--noproxy", "*", f"{endpoints.function_url}/stream?path={go_on}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.read(3) == b"one"
        go_on.touch()
        assert running.stdout.read() == b"two"
    assert running.returncode == 0


def test_invoke_prints_a_stream_as_it_comes(cli: Path, bootstrap: Path, tmp_path: Path) -> None:
    go_on, event = tmp_path / "go on", tmp_path / "event.json"
    write_files(tmp_path, {"app.py": FUNCTION, "event.json": json.dumps(["steps", str(go_on)])})
    command: list[str | Path] = [cli, "invoke", "app.handler", "--task", tmp_path, "--bootstrap", bootstrap, "--event", event]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        assert running.stdout.read(3) == b"one"
        go_on.touch()
        assert running.stdout.read() == b"two"
    assert running.returncode == 0


def test_invoke_prints_what_a_stream_failed_with(cli: Path, bootstrap: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"app.py": FUNCTION, "event.json": '["fail", 0]'})
    event = tmp_path / "event.json"
    command: list[str | Path] = [cli, "invoke", "app.handler", "--task", tmp_path, "--bootstrap", bootstrap, "--event", event]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=20)
    assert ran.returncode == 1
    assert ran.stdout.startswith(b'one\n{"errorMessage": "on the way", "errorType": "ValueError", ')


def test_a_body_that_breaks_off_does_not_look_whole(browser: http.client.HTTPConnection) -> None:
    answer = ask(browser, "/fail")
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == b"one"


def test_what_is_not_streamed_is_interpreted(browser: http.client.HTTPConnection) -> None:
    answer = ask(browser, "/object")
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Set-Cookie"]) == (404, "text/plain", "a=b")
    assert answer.read() == b"gone"
    assert ask(browser, "/binary").read() == b"\x00\xff"
    assert ask(browser, "/none").read() == b"null"
    failed = ask(browser, "/raise")
    assert (failed.status, failed.read()) == (502, b"Internal Server Error")


def test_a_status_may_have_no_body(browser: http.client.HTTPConnection) -> None:
    answer = ask(browser, "/bare")
    assert (answer.status, answer.read()) == (204, b"")
    assert ask(browser, "/object").read() == b"gone"


def test_the_event_has_payload_format_2(browser: http.client.HTTPConnection) -> None:
    headers = {"Cookie": "a=b; c=d", "X-A": "1", "User-Agent": "test", "Content-Type": "application/json"}
    browser.request("POST", "/event?q=1&q=2&%C3%A9=a+b", body='{"é": 1}'.encode(), headers=headers)
    event = json.loads(browser.getresponse().read())
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/event")
    assert event["rawQueryString"] == "q=1&q=2&%C3%A9=a+b"
    assert event["queryStringParameters"] == {"q": "1,2", "é": "a b"}
    assert event["cookies"] == ["a=b", "c=d"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-a"] == "1"
    assert (event["body"], event["isBase64Encoded"]) == ('{"é": 1}', False)
    request = event["requestContext"]["http"]
    assert (request["method"], request["path"], request["userAgent"]) == ("POST", "/event", "test")
    browser.request("POST", "/event", body=b"\xff", headers={"Content-Type": "image/png"})
    event = json.loads(browser.getresponse().read())
    assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)
    assert "queryStringParameters" not in event
