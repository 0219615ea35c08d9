"""Connections that break before, during and after a response, and answers that are nobody's. An answer goes out again where it
may be lost, and is never another invocation's."""

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

import pytest

from conftest import PlayFunction
from faults.handlers import (
    AT_ONCE,
    BUFFERED,
    ECHO,
    HANDLERS,
    STREAMED,
    assert_ended_at_once,
    assert_one_record,
    assert_served,
    served,
    served_at_once,
)
from playing import SECONDS_TO_ANSWER, event, step

LARGE = """
import asyncio, json, os, sys, time
def outcome(event):
    if event == "fail":
        raise ValueError("failed")
    return "x" * 6_000_000 if event == "large" else event
"""

BEFORE: dict[str, Mapping[str, Any]] = {"closed": {"close": "after"}, "reset": {"close": "after", "reset": True}}
DURING: dict[str, Mapping[str, object]] = {
    "closed at the first byte": {"after_bytes": 0, "close": "before"},
    "closed halfway": {"after_bytes": 3_000_000, "close": "before"},
    "reset halfway": {"after_bytes": 3_000_000, "close": "before", "reset": True},
}
AFTER: dict[str, Mapping[str, object]] = {
    "closed": {"close": "before"},
    "reset": {"close": "before", "reset": True},
    "closed in the status line": {"truncate_at": 9},
    "closed in the headers": {"truncate_at": 40},
    "reset in the headers": {"truncate_at": 40, "reset": True},
    "what is not HTTP": {"raw": "thank you\r\n\r\n", "close": "after"},
}
ANSWERED: dict[str, Mapping[str, object]] = {
    "closed in the body": {"content_length": 1000, "close": "after"},
    "reset in the body": {"content_length": 1000, "close": "after", "reset": True},
    "a length that is too short": {"content_length": 3},
    "closed after it": {"close": "after"},
    "chunks that end nowhere": {
        "raw": "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "close": "after",
    },
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", BEFORE)
def test_a_connection_that_broke_before_the_response_is_made_anew(play: PlayFunction, name: str, handler: str) -> None:
    # So long that the end of the connection has come: of a stream nothing could be sent again.
    source = ECHO.replace("def outcome(event):", "def outcome(event):\n    time.sleep(0.05)")
    run = served(play, handler, [event("first", **BEFORE[name]), event("fail", **BEFORE[name]), "next"], source=source)
    assert [call for call in run.calls if call.startswith("POST")] == [
        "POST rid-1/response",
        "POST rid-2/error",
        "POST rid-3/response",
    ]
    assert [request.connection for request in run.requests] == [1, 2, 2, 3, 3, 3, 3]
    assert run.stderr == ""


@pytest.mark.parametrize("handler", BUFFERED)
@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("verb", ["response", "error"])
def test_a_connection_that_broke_before_the_response_does_not_use_up_the_retry(
    play: PlayFunction, verb: str, name: str, handler: str
) -> None:
    source = ECHO.replace("def outcome(event):", "def outcome(event):\n    time.sleep(0.05)")
    first = event("first" if verb == "response" else "fail", **BEFORE[name])
    lost: dict[str, Any] = {verb: [AFTER["closed"]]}
    run = served(play, handler, [first, "next"], source=source, **lost)
    assert run.calls == ["GET next", *[f"POST rid-1/{verb}"] * 2, "GET next", "POST rid-2/response", "GET next"]
    assert [request.connection for request in run.requests] == [1, 2, 3, 3, 3, 3]
    assert run.stderr == ""


@pytest.mark.parametrize("handler", BUFFERED)
@pytest.mark.parametrize("name", DURING)
def test_a_response_whose_connection_broke_on_the_way_is_sent_once_more(play: PlayFunction, name: str, handler: str) -> None:
    run = served(play, handler, ["large", "next"], source=LARGE, response=[DURING[name]])
    assert run.calls == ["GET next", *["POST rid-1/response"] * 2, "GET next", "POST rid-2/response", "GET next"]
    assert len(run.answers["rid-1"].body) == 6_000_002
    assert [request.connection for request in run.requests] == [1, 1, 2, 2, 2, 2]
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("handler", BUFFERED)
@pytest.mark.parametrize("name", AFTER)
def test_a_response_whose_answer_is_lost_is_sent_once_more(play: PlayFunction, name: str, handler: str) -> None:
    headers = {"Lambda-Runtime-Invocation-Id": "inv-1"}
    run = served(play, handler, [event("first", headers=headers), "next"], response=[AFTER[name]])
    assert run.calls == ["GET next", *["POST rid-1/response"] * 2, "GET next", "POST rid-2/response", "GET next"]
    first, second = (request for request in run.requests if request.call == "POST rid-1/response")
    assert (first.body, first.headers) == (second.body, second.headers)
    assert second.header("lambda-runtime-invocation-id") == "inv-1"
    assert {request.connection for request in run.requests} == {1, 2}
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("handler", BUFFERED)
@pytest.mark.parametrize("status", [400, 403])
def test_where_both_arrived_one_line_says_so(play: PlayFunction, status: int, handler: str) -> None:
    second = {"status": status, "body": '{"errorType":"InvalidStateTransition"}'}
    run = served(play, handler, ["first", "next"], response=[AFTER["closed"], second])
    assert run.calls == ["GET next", *["POST rid-1/response"] * 2, "GET next", "POST rid-2/response", "GET next"]
    assert_one_record(run, f"answered {status} ", "sent twice, and may have arrived the first time: ", "InvalidStateTransition")


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("verb", ["response", "error"])
def test_what_is_lost_twice_ends_the_process_with_code_1_and_a_sentence(play: PlayFunction, verb: str, handler: str) -> None:
    if handler in STREAMED and verb == "response":
        pytest.skip("of a stream nothing can be sent again: see below")
    lost: dict[str, Any] = {verb: [AFTER["reset"]] * 2}
    run = served(play, handler, ["first" if verb == "response" else "fail", "next"], **lost)
    assert run.calls == ["GET next", *[f"POST rid-1/{verb}"] * 2]
    assert_ended_at_once(run, f"could not post the {verb}: no answer from the Runtime API: ")


@pytest.mark.parametrize("handler", STREAMED)
@pytest.mark.parametrize("name", AFTER)
def test_a_stream_whose_answer_is_lost_is_told_of_in_one_line(play: PlayFunction, name: str, handler: str) -> None:
    run = served(play, handler, ["first", "next"], response=[AFTER[name]])
    assert run.calls == ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]
    assert run.answers["rid-2"].body == b'"next"'
    assert {request.connection for request in run.requests} == {1, 2}
    assert_one_record(run, "could not stream the response to its end: no answer from the Runtime API: ")


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", ANSWERED)
def test_a_response_that_was_accepted_is_not_sent_again(play: PlayFunction, name: str, handler: str) -> None:
    run = served(play, handler, ["first", "next"], response=[ANSWERED[name]])
    assert run.calls == ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]
    assert {request.connection for request in run.requests} == {1, 2}
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("name", ["closed", "reset"])
def test_with_several_at_once_a_broken_connection_costs_one(play: PlayFunction, name: str, kind: str) -> None:
    run = served_at_once(play, kind, range(8), response=[{}, AFTER[name]])
    assert {name: answer.json() for name, answer in run.answers.items()} == {f"rid-{n + 1}": n for n in range(8)}
    assert len([request for request in run.requests if request.method == "POST"]) == 9
    assert len({request.connection for request in run.requests}) == 3
    assert (run.stdout, run.stderr) == ("", "")


ACCEPTED = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
UNASKED = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n"
    'Content-Length: 9\r\n\r\n"unasked"'
)


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("unasked", [ACCEPTED, UNASKED.format(id="unasked"), "x"], ids=["an answer", "an event", "a byte"])
def test_what_follows_an_answer_is_never_taken_for_the_next_one(play: PlayFunction, handler: str, unasked: str) -> None:
    followed = UNASKED.format(id="rid-1").replace("unasked", "correct") + unasked
    run = served(play, handler, [step(raw=followed), "second", "third"], response=[{}, {"raw": ACCEPTED + unasked}])
    assert_served(run, "rid-1", "rid-2", "rid-3")
    assert [answer.body for answer in run.answers.values()] == [b'"correct"', b'"second"', b'"third"']
    assert len([request for request in run.requests if request.method == "POST"]) == 3
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_late_answer_is_dropped_and_the_same_request_delivered_again_gets_its_own(play: PlayFunction, handler: str) -> None:
    deliveries = [
        event(name, headers={"Lambda-Runtime-Aws-Request-Id": "same", "Lambda-Runtime-Invocation-Id": name})
        for name in ("late", "again")
    ]
    late = {"status": 410, "body": '{"errorType":"InvokeTimeout"}'}
    run = served(play, handler, [*deliveries, "other"], response=[late])
    answers = [request for request in run.requests if request.method == "POST"]
    assert [request.call for request in answers] == ["POST same/response"] * 2 + ["POST rid-3/response"]
    assert [request.header("lambda-runtime-invocation-id") for request in answers] == ["late", "again", None]
    assert [request.body for request in answers] == [b'"late"', b'"again"', b'"other"']
    assert_one_record(run, "410 Gone to ", "; the invocation had timed out: ")


@pytest.mark.parametrize("kind", AT_ONCE)
def test_with_several_at_once_late_answers_are_dropped_under_their_own_ids(play: PlayFunction, kind: str) -> None:
    late = [{"status": 410, "delay_ms": 50}] * 4
    headers = [{"Lambda-Runtime-Invocation-Id": f"inv-{number}"} for number in range(12)]
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    events = [event(number, headers=headers[number]) for number in range(12)]
    run = served_at_once(play, kind, events, places=4, response=late, environment=environment)
    answers = [request for request in run.requests if request.method == "POST"]
    assert len(answers) == 12
    for request in answers:
        number = request.json()
        assert request.call == f"POST rid-{number + 1}/response"
        assert request.header("lambda-runtime-invocation-id") == f"inv-{number}"
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert len({record["requestId"] for record in told}) == len(told) == 4


@pytest.mark.parametrize("answer", [{"close": "before"}, {"close": "before", "reset": True}, {"truncate_at": 20}])
def test_an_init_error_that_is_lost_is_sent_once_more_and_ends_with_code_1(
    play: PlayFunction, answer: dict[str, object]
) -> None:
    app = {"app.py": "1 / 0\ndef handler(event, context): pass"}
    run = play(app, init_error=[answer])
    assert (run.calls, run.ending, run.stderr) == (["POST init/error"] * 2, "exit code 1", "")
    run = play(app, init_error=[answer] * 2)
    assert run.calls == ["POST init/error"] * 2
    assert_ended_at_once(run, "could not post the init error: no answer from the Runtime API: ")


def test_a_runtime_api_that_takes_no_connection_is_given_a_second(play: PlayFunction) -> None:
    """Its queue is full: the kernel drops what comes."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        begun = time.monotonic()
        run = play(
            {"app.py": "def handler(event, context): pass"},
            environment={"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{deaf.getsockname()[1]}"},
        )
        seconds = time.monotonic() - begun
        for one in waiting:
            one.close()
    assert run.ending == "exit code 1"
    assert run.stderr.startswith("whipsnake: could not get the next invocation: no answer from the Runtime API: ")
    assert run.stderr.count("\n") == 1
    assert 1 <= seconds < 1 + SECONDS_TO_ANSWER / 10
