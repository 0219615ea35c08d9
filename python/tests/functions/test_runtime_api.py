"""The requests that Lambda gets, and what happens when Lambda answers otherwise than usual."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, Run, Step, event, step

ECHO = {
    "app.py": """
        def handler(event, context):
            if event == "fail":
                raise ValueError("failed")
            return event
    """
}

INVOCATION_ID = "Lambda-Runtime-Invocation-Id"


def test_requests_are_plain_http_on_one_connection(play: PlayFunction) -> None:
    run = play(ECHO, events=["a", "fail", "b"])
    assert [f"{request.method} {request.path}" for request in run.requests] == [
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-1/response",
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-2/error",
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-3/response",
        "GET /2018-06-01/runtime/invocation/next",
    ]
    assert {request.connection for request in run.requests} == {1}
    for request in run.requests:
        assert request.header("host")
        assert (request.header("user-agent") or "").startswith("whipsnake/")
        for name in ("expect", "transfer-encoding", "connection"):
            assert request.header(name) is None
        if request.method == "POST":
            assert request.header("content-length") == str(len(request.body))


@pytest.mark.parametrize("value", ["a", "fail"])
@pytest.mark.parametrize("sent", ["inv-1", "", None, "a b/c"])
def test_the_invocation_id_is_echoed(both: CompareBoth, value: str, sent: str | None) -> None:
    pair = both(ECHO, events=[event(value, headers={INVOCATION_ID: sent}), event(value)])
    answer = pair.whipsnake.answers["rid-1"]
    assert answer.header("lambda-runtime-invocation-id") == (sent or None)
    assert pair.whipsnake.answers["rid-2"].header("lambda-runtime-invocation-id") is None


def test_an_init_error_has_its_type_in_a_header(play: PlayFunction) -> None:
    request = play({"app.py": "1 / 0"}).requests[0]
    assert request.path == "/2018-06-01/runtime/init/error"
    assert request.header("lambda-runtime-function-error-type") == "ZeroDivisionError"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(both: CompareBoth, status: int) -> None:
    both(ECHO, events=["a", "fail", "b"], response=[{"status": status}], error=[{"status": status}])


REFUSALS = {
    "too large": (413, '{"errorMessage":"Exceeded maximum allowed payload size","errorType":"RequestEntityTooLarge"}'),
    "timed out": (410, '{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"}'),
    "a wrong id": (400, '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}'),
    "a wrong state": (403, '{"errorMessage":"State transition is not allowed","errorType":"InvalidStateTransition"}'),
}


@pytest.mark.parametrize("value", ["refused", "fail"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_answer_is_logged_and_the_next_invocation_is_served(play: PlayFunction, name: str, value: str) -> None:
    """The managed runtime's process ends, and the next invocation pays for a cold start."""
    status, body = REFUSALS[name]
    refusal = [{"status": status, "body": body}]
    run = play(ECHO, events=[value, "b"], response=refusal if value != "fail" else [], error=refusal)
    verb = "error" if value == "fail" else "response"
    assert run.calls == ["GET next", f"POST rid-1/{verb}", "GET next", "POST rid-2/response", "GET next"]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT
    assert str(status) in run.stdout.split("\n")[-2]
    assert body in run.stdout
    assert run.stderr == ""


def test_the_size_of_a_refused_answer_is_told(play: PlayFunction) -> None:
    files = {"app.py": "def handler(event, context): return 'x' * (7 * 1024 * 1024)"}
    run = play(files, events=[{}], response=[{"status": 413}])
    assert str(7 * 1024 * 1024 + 2) in run.stdout
    assert len(run.answers["rid-1"].body) == 7 * 1024 * 1024 + 2


def ends_with_a_sentence(run: Run) -> None:
    """Exit code 1, and standard error is one sentence of ours."""
    assert run.ending == "exit code 1", run.story()
    assert run.stderr.startswith("whipsnake: "), run.story()
    assert run.stderr.count("\n") == 1, run.story()
    for word in ("panicked", "Traceback", "RUST_BACKTRACE", "Error {", "Kind("):
        assert word not in run.stderr


BAD_ANSWERS: dict[str, Step] = {
    "500": step(status=500, body='{"errorMessage":"Container error","errorType":"Container"}'),
    "403": step(status=403, body="Forbidden"),
    "410": step(status=410),
    "302": step(status=302, headers=[["Location", "/elsewhere"]]),
    "204 without an id": step(status=204, headers=[]),
    "200 without an id": event({}, headers={"Lambda-Runtime-Aws-Request-Id": None}),
    "an empty id": event({}, headers={"Lambda-Runtime-Aws-Request-Id": ""}),
    "a connection that is closed": step(close="before"),
    "a connection that is reset": step(close="before", reset=True),
    "half a head": step(event={}, truncate_at=40),
    "half a body": step(event={"a": 1}, content_length=1000, close="after"),
    "what is not HTTP": step(raw="hello\r\n\r\n", close="after"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_when_no_event_can_be_had_the_process_ends_and_says_why(play: PlayFunction, name: str) -> None:
    run = play(ECHO, events=["first", BAD_ANSWERS[name]], end="close")
    assert run.calls[:2] == ["GET next", "POST rid-1/response"]
    assert "POST" not in "".join(run.calls[2:])
    ends_with_a_sentence(run)


LOST_ANSWERS: dict[str, Mapping[str, object]] = {
    "a connection that is closed": {"close": "before"},
    "a connection that is reset": {"close": "before", "reset": True},
    "half an answer": {"truncate_at": 20},
}


@pytest.mark.parametrize("value", ["a", "fail"])
@pytest.mark.parametrize("name", LOST_ANSWERS)
def test_when_nobody_knows_whether_an_answer_arrived_it_is_sent_once_more(play: PlayFunction, name: str, value: str) -> None:
    """The managed runtime's process ends. Lambda refuses a second answer if it had the first."""
    run = play(ECHO, events=[value, "b"], response=[LOST_ANSWERS[name]], error=[LOST_ANSWERS[name]])
    first, second = (request for request in run.requests if request.path.split("/")[-2] == "rid-1")
    assert (first.path, second.path, second.body) == (first.path, first.path, first.body)
    assert run.responses[-1] == "b"


@pytest.mark.parametrize("value", ["a", "fail"])
@pytest.mark.parametrize("name", LOST_ANSWERS)
def test_an_answer_that_is_lost_twice_ends_the_process(play: PlayFunction, name: str, value: str) -> None:
    run = play(ECHO, events=[value, "b"], response=[LOST_ANSWERS[name]] * 2, error=[LOST_ANSWERS[name]] * 2)
    assert run.calls == ["GET next", *["POST rid-1/response" if value == "a" else "POST rid-1/error"] * 2]
    ends_with_a_sentence(run)


@pytest.mark.parametrize("value", ["a", "fail"])
def test_when_lambda_answers_500_the_process_ends_as_it_is_asked_to(play: PlayFunction, value: str) -> None:
    run = play(ECHO, events=[value, "b"], response=[{"status": 500}], error=[{"status": 500}])
    assert run.calls == ["GET next", "POST rid-1/response" if value == "a" else "POST rid-1/error"]
    ends_with_a_sentence(run)


def test_exit_functions_run_when_lambda_cannot_be_talked_to(both: CompareBoth) -> None:
    files = {"app.py": "import atexit\natexit.register(print, 'at exit', flush=True)\ndef handler(event, context): pass"}
    pair = both(files, events=[{}], end="close", free={"stdout": "its own words", "calls": "its client tries again"})
    assert pair.whipsnake.stdout == "at exit\n"
    ends_with_a_sentence(pair.whipsnake)


def test_a_connection_that_lambda_announces_to_close_is_made_anew(both: CompareBoth) -> None:
    closing = {"Connection": "close"}
    events = [event("a", headers=closing, close="after"), event("b"), event("fail", headers=closing, close="after"), event("c")]
    answer = {"headers": [["Connection", "close"]], "close": "after"}
    pair = both(ECHO, events=events, response=[answer], error=[answer])
    assert len(pair.whipsnake.answers) == 4


def test_a_connection_that_was_closed_while_the_function_ran_is_made_anew(both: CompareBoth) -> None:
    """The function waits until the hang-up has arrived."""
    files = {
        "app.py": """
            import os, select, socket, stat
            def is_lambdas(descriptor):
                try:
                    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                        return False
                except OSError:  # the listing's own
                    return False
                with socket.socket(fileno=os.dup(descriptor)) as connection:
                    return connection.family == socket.AF_INET
            def handler(event, context):
                for descriptor in map(int, os.listdir("/proc/self/fd")):
                    if is_lambdas(descriptor):
                        poll = select.poll()
                        poll.register(descriptor, select.POLLRDHUP)
                        assert poll.poll(5000), "no hang-up came"
                return event
        """
    }
    pair = both(files, events=[event(number, close="after") for number in range(20)])
    assert pair.whipsnake.responses == [*range(20)]


def test_a_slow_poll_is_waited_for(both: CompareBoth) -> None:
    both(ECHO, events=[event("a", delay_ms=1500), "b"])


def test_an_answer_in_chunks_is_read(play: PlayFunction) -> None:
    raw = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: chunked\r\n"
        'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 12}\r\n0\r\n\r\n'
    )
    run = play(ECHO, events=[step(raw=raw), "b"])
    assert run.calls[1] == "POST chunked/response"
    assert run.responses == [{"a": 12}, "b"]


def test_proxies_are_not_asked(play: PlayFunction) -> None:
    proxy = "http://127.0.0.1:1"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
    assert play(ECHO, events=["a"], environment=dict.fromkeys(names, proxy)).response == "a"


def test_headers_nobody_knows_are_ignored(both: CompareBoth) -> None:
    both(ECHO, events=[event("a", headers={"Lambda-Runtime-Something-New": "x", "X-Other": "y" * 4000})])


NO_RUNTIME_API = {
    "empty": "",
    "a path": "/path",
    "a sentence": "not a host",
    "a closed port": "127.0.0.1:1",
    "a bad port": "127.0.0.1:port",
}


@pytest.mark.parametrize("name", NO_RUNTIME_API)
def test_without_a_runtime_api_there_is_one_clear_sentence(play: PlayFunction, name: str) -> None:
    run = play(ECHO, environment={"AWS_LAMBDA_RUNTIME_API": NO_RUNTIME_API[name]})
    ends_with_a_sentence(run)
    assert name == "a closed port" or "AWS_LAMBDA_RUNTIME_API" in run.stderr


def test_a_bootstrap_that_lambda_did_not_start_says_so(play: PlayFunction, bootstrap: Path) -> None:
    run = play(ECHO, command=["/usr/bin/env", "-u", "AWS_LAMBDA_RUNTIME_API", str(bootstrap)])
    ends_with_a_sentence(run)
    assert "AWS_LAMBDA_RUNTIME_API is not set" in run.stderr
    run = play(ECHO, command=["/usr/bin/env", "-i", str(bootstrap)])
    ends_with_a_sentence(run)


def test_lambdas_address_and_the_handler_are_all_that_is_needed(play: PlayFunction, bootstrap: Path) -> None:
    """The function is in the working directory only if PYTHONPATH says so."""
    command = ["/bin/sh", "-c", 'exec /usr/bin/env -i "A=$0" AWS_LAMBDA_RUNTIME_API="$AWS_LAMBDA_RUNTIME_API" '
               f"_HANDLER=app.handler PYTHONPATH=. {bootstrap}"]  # fmt: skip
    assert play(ECHO, events=["a"], command=command).response == "a"
