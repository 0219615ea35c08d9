"""What the Runtime API says to an answer instead of taking it. One line tells the reason, and the next invocation is served;
5xx ends the process within a second."""

import json
from collections.abc import Mapping

import pytest

from conftest import PlayFunction
from faults.handlers import (
    AT_ONCE,
    BUFFERED,
    HANDLERS,
    STREAMED,
    assert_ended_at_once,
    assert_one_record,
    assert_one_sentence,
    served,
    served_at_once,
)
from playing import Run

REASONS = {
    400: "400 Bad Request to ",
    403: "403 Forbidden to ",
    404: "404 Not Found to ",
    410: "410 Gone to ",
    413: "413 Payload Too Large to ",
}
WHY = '{"errorMessage":"why","errorType":"Why"}'


def posts(run: Run) -> list[str]:
    return [call for call in run.calls if call.startswith("POST")]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("status", REASONS)
def test_a_refused_response_is_told_in_one_line_and_the_next_invocation_served(
    play: PlayFunction, status: int, handler: str
) -> None:
    run = served(play, handler, ["first", "next"], response=[{"status": status, "body": WHY}])
    assert posts(run) == ["POST rid-1/response", "POST rid-2/response"]
    assert run.answers["rid-2"].body == b'"next"'
    doing = "could not stream the response to its end: " if handler in STREAMED else "could not post the response: "
    assert_one_record(run, doing, REASONS[status], WHY)


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_error_is_told_in_one_line_and_the_next_invocation_served(
    play: PlayFunction, status: int, handler: str
) -> None:
    run = served(play, handler, ["fail", "next"], error=[{"status": status, "body": WHY}])
    assert posts(run) == ["POST rid-1/error", "POST rid-2/response"]
    failure, refusal = run.stdout.splitlines()[0].split("\r")[0], run.stdout.split("\n")[1]
    assert failure == "[ERROR] ValueError: failed"
    assert "could not post the error: the Runtime API answered " + REASONS[status] in refusal
    assert (run.stdout.count("\n"), run.stderr) == (2, "")


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_the_reason_stays_one_line_whatever_it_is(play: PlayFunction, log_format: str) -> None:
    reasons: list[Mapping[str, object]] = [
        {"status": 400, "body": 'one\r\n[ERROR] two\n\x1b[31m\x85\0{"a": 1}\n'},
        {"status": 400, "body": {"base64": "//79/A=="}},
        {"status": 413, "body": "x" * 1_000_000},
        {"status": 410, "reason": "Of its own", "headers": [["X", "y"]]},
        {"status": 499},
    ]
    environment = {"AWS_LAMBDA_LOG_FORMAT": log_format}
    run = served(play, "plain", [1, 2, 3, 4, 5, 6], response=reasons, environment=environment)
    assert [answer.body for answer in run.answers.values()] == [b"1", b"2", b"3", b"4", b"5", b"6"]
    lines = run.stdout.removesuffix("\n").split("\n")
    assert len(lines) == 5, run.story()
    if log_format == "JSON":
        assert [json.loads(line)["requestId"] for line in lines] == [f"rid-{number}" for number in range(1, 6)]
        assert [json.loads(line)["errorType"] for line in lines] == ["Runtime.LambdaRuntimeClientError"] * 5
    else:
        assert {line.split(": ")[0] for line in lines} == {"[ERROR] Runtime.LambdaRuntimeClientError"}
    assert max(map(len, lines)) < 1500
    assert run.stderr == ""


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("status", [500, 503])
def test_what_is_answered_with_5xx_ends_the_process_with_code_1_and_a_sentence(
    play: PlayFunction, status: int, handler: str
) -> None:
    run = served(play, handler, ["first", "next"], response=[{"status": status, "body": WHY}])
    assert run.calls == ["GET next", "POST rid-1/response"]
    doing = "could not post the response: " if handler in BUFFERED else "could not stream the response to its end: "
    assert_ended_at_once(run, f"{doing}the Runtime API answered {status} ", WHY)


@pytest.mark.parametrize("handler", ["plain", "plain with names", "async"])
def test_so_it_does_after_an_error(play: PlayFunction, handler: str) -> None:
    run = served(play, handler, ["fail", "next"], error=[{"status": 500}])
    assert run.calls == ["GET next", "POST rid-1/error"]
    assert_ended_at_once(run, "could not post the error: the Runtime API answered 500 Internal Server Error")


@pytest.mark.parametrize("kind", AT_ONCE)
def test_with_several_at_once_no_refusal_ends_anything(play: PlayFunction, kind: str) -> None:
    statuses = [400, 403, 410, 413, 500]
    refusals = [{"status": status, "body": WHY} for status in statuses]
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    run = served_at_once(play, kind, range(8), response=refusals, environment=environment)
    assert {name: answer.json() for name, answer in run.answers.items()} == {f"rid-{n + 1}": n for n in range(8)}
    assert len(posts(run)) == 8
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(status for status in statuses for record in records if f" {status} " in record["errorMessage"]) == statuses
    # Each under the id of the invocation whose answer it was.
    refused = {request.path.split("/")[-2] for request in [r for r in run.requests if r.method == "POST"][:5]}
    assert {record["requestId"] for record in records} == refused
    assert run.stderr == ""


LARGE = """
import asyncio, json, os, sys, time
def outcome(event):
    return "x" * 6_000_000 if event == "large" else event
"""


@pytest.mark.parametrize("handler", BUFFERED)
def test_a_refusal_that_comes_before_the_end_of_the_response_is_heard(play: PlayFunction, handler: str) -> None:
    refusal = {"status": 413, "body": "too large", "after_bytes": 1000, "close": "after"}
    run = served(play, handler, ["large", "next"], source=LARGE, response=[refusal])
    assert posts(run) == ["POST rid-1/response", "POST rid-2/response"]
    assert_one_record(run, "413 Payload Too Large to 6000002 bytes; Lambda takes at most 6291556: too large")


FAILS_TO_START = {"app.py": "1 / 0\ndef handler(event, context): pass"}


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_refused_init_error_leaves_code_1_and_adds_a_sentence(play: PlayFunction, status: int) -> None:
    run = play(FAILS_TO_START, init_error=[{"status": status, "body": WHY}])
    assert run.calls == ["POST init/error"]
    assert run.stdout.startswith("[ERROR] ZeroDivisionError: division by zero\r")
    assert_ended_at_once(run, f"could not post the init error: the Runtime API answered {status} ", WHY)


SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


@pytest.mark.parametrize("answer", [{"status": 403, "body": WHY}, {"status": 500, "body": WHY}])
def test_a_refused_restore_ends_the_process_with_code_64_and_a_report(play: PlayFunction, answer: dict[str, object]) -> None:
    run = served(play, "plain", ["never"], environment=SNAP_START, restore_next=[answer])
    assert run.calls == ["GET restore/next", "POST init/error"]
    assert f"the Runtime API answered {answer['status']} " in run.requests[-1].json()["errorMessage"]
    assert run.ending == "exit code 64"
    assert_one_record(run, "could not wait for the restore of a snapshot: ", WHY)


@pytest.mark.parametrize("answer", [{"status": 403}, {"status": 500}, {"headers": []}])
def test_without_an_extension_of_ours_the_function_is_served_all_the_same(
    play: PlayFunction, answer: dict[str, object]
) -> None:
    environment = {"WHIPSNAKE_GRACEFUL_SHUTDOWN": "1"}
    run = served(play, "plain", ["a"], environment=environment, extension_register=[answer])
    assert run.answers["rid-1"].body == b'"a"'
    assert_one_sentence(run.stderr, "Lambda will end this process without a SIGTERM: could not register as an extension: ")
