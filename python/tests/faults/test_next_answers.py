"""What /next answers instead of an event. The process goes on where it can; else it ends within a second, and says why."""

import re

import pytest

from conftest import PlayFunction
from faults.handlers import (
    AT_ONCE,
    HANDLERS,
    assert_ended_at_once,
    assert_served,
    served,
    served_at_once,
)
from playing import Step, event, payload, step

ID = "Lambda-Runtime-Aws-Request-Id"
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{ID}: whole\r\n"

REFUSALS: dict[str, tuple[Step, str]] = {
    "500": (step(status=500, body='{"errorMessage":"Container error"}'), "500 Internal Server Error"),
    "403": (step(status=403, body="Forbidden"), "403 Forbidden"),
    "410": (step(status=410), "410 Gone"),
    "302": (step(status=302, headers=[["Location", "/elsewhere"]]), "302 Found"),
    "400 in many lines": (step(status=400, body="one\r\ntwo\n\x1b[31mthree\0"), "400 Bad Request: one  two  [31mthree"),
    "500 at length": (step(status=500, body="x" * 1_000_000), "500 Internal Server Error: xxx"),
    "204": (step(status=204, headers=[]), f"no {ID} header"),
    "an event without an id": (event("a", headers={ID: None}), f"no {ID} header"),
    "an event with an empty id": (event("a", headers={ID: " "}), f"no {ID} header"),
    "an id that no URL can have": (event("a", headers={ID: "a b"}), 'its request id cannot be part of a URL: "a b"'),
    "an id that would end the URL": (event("a", headers={ID: "a#b"}), "its request id cannot be part of a URL"),
    "an id that is not UTF-8": (event("a", headers={ID: b"a\xffb"}), "its request id cannot be part of a URL"),
    "an id of 64 KB": (event("a", headers={ID: "x" * 65_536}), "its request id cannot be part of a URL"),
}

BROKEN: dict[str, Step] = {
    "nothing": step(close="before"),
    "a reset": step(close="before", reset=True),
    "half a head": step(event="a", truncate_at=40),
    "half a head and a reset": step(event="a", truncate_at=40, reset=True),
    "half a body": event("a" * 100, content_length=1000, close="after"),
    "half a body and a reset": event("a" * 100, content_length=1000, close="after", reset=True),
    "no body": event("a", truncate_at=280, content_length=1000),
    "a Content-Length that is no number": step(raw=HEAD + 'Content-Length: three\r\n\r\n"a"', close="after"),
    "two Content-Lengths": step(raw=HEAD + 'Content-Length: 3\r\nContent-Length: 4\r\n\r\n"a"', close="after"),
    "half a chunk": step(raw=HEAD + 'Transfer-Encoding: chunked\r\n\r\n9\r\n"ab', close="after"),
    "chunks without an end": step(raw=HEAD + 'Transfer-Encoding: chunked\r\n\r\n3\r\n"a"\r\n', close="after"),
    "a chunk's size that is none": step(raw=HEAD + 'Transfer-Encoding: chunked\r\n\r\nzz\r\n"a"\r\n', close="after"),
    "NUL in a header": step(raw=HEAD + 'X: \0\r\nContent-Length: 3\r\n\r\n"a"', close="after"),
    "what is not HTTP": step(raw="hello\r\n\r\n", close="after"),
}

WHOLE: dict[str, Step] = {
    "in chunks": step(raw=HEAD + 'Transfer-Encoding: chunked\r\n\r\n1\r\n"\r\n2;x=y\r\na"\r\n0\r\nTrailer: x\r\n\r\n'),
    "in pieces": event("a" * 100, chunk={"size": 7, "pause_ms": 1}, headers={ID: "whole"}),
    "until the connection closes": step(raw=HEAD + '\r\n"a"', close="after"),
    "as HTTP/1.0": step(raw=HEAD.replace("1.1", "1.0") + 'Content-Length: 3\r\n\r\n"a"', close="after"),
    "with both a length and chunks": step(
        raw=HEAD + 'Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n"a"\r\n0\r\n\r\n'
    ),
    "behind 100 Continue": step(raw=f'HTTP/1.1 100 Continue\r\n\r\n{HEAD}Content-Length: 3\r\n\r\n"a"'),
    "behind 103 Early Hints": step(raw=f'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{HEAD}Content-Length: 3\r\n\r\n"a"'),
    "with status 201": event("a", status=201, headers={ID: "whole"}),
    "with status 202": event("a", status=202, headers={ID: "whole"}),
    "with words of its own": event("a", reason="Fine by me", headers={ID: "whole"}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_ends_the_process_with_code_1_and_a_sentence(play: PlayFunction, name: str) -> None:
    refusal, words = REFUSALS[name]
    run = served(play, "plain", ["first", refusal])
    assert run.calls == ["GET next", "POST rid-1/response", "GET next"]
    assert_ended_at_once(run, "could not get the next invocation: ", words)
    assert len(run.stderr) < 1300
    assert run.stdout == ""


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", ["500", "204"])
def test_so_it_does_whatever_the_handler(play: PlayFunction, handler: str, name: str) -> None:
    refusal, words = REFUSALS[name]
    run = served(play, handler, ["first", refusal])
    assert run.answers["rid-1"].body == b'"first"'
    assert_ended_at_once(run, words)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_asked_for_once_more(play: PlayFunction, name: str) -> None:
    run = served(play, "plain", [BROKEN[name], event("again", headers={ID: "again"})])
    assert run.calls == ["GET next", "GET next", "POST again/response", "GET next"]
    assert [request.connection for request in run.requests] == [1, 2, 2, 2]
    assert run.answers["again"].body == b'"again"'
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("name", BROKEN)
def test_two_broken_answers_end_the_process_with_code_1_and_a_sentence(play: PlayFunction, name: str) -> None:
    run = served(play, "plain", [BROKEN[name]] * 2)
    assert run.calls == ["GET next"] * 2
    assert_ended_at_once(run, "could not get the next invocation: no answer from the Runtime API: ")


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_broken_answer_is_the_same_to_every_handler(play: PlayFunction, handler: str) -> None:
    broken = BROKEN["half a body"]
    run = served(play, handler, ["first", broken, "again", broken, broken])
    assert [answer.body for answer in run.answers.values()] == [b'"first"', b'"again"']
    assert {request.connection for request in run.requests} == {1, 2, 3}
    assert_ended_at_once(run, "no answer from the Runtime API")


@pytest.mark.parametrize("name", WHOLE)
def test_an_event_in_whatever_form_is_served(play: PlayFunction, name: str) -> None:
    run = served(play, "plain", [WHOLE[name], "next"])
    assert_served(run, "whole", "rid-2")
    assert run.answers["whole"].json() in ("a", "a" * 100)
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_event_that_its_length_cuts_short_fails_alone(play: PlayFunction, handler: str) -> None:
    run = served(play, handler, [event({"a": [1, 2, 3]}, content_length=5), "next"])
    assert [answer.call for answer in run.answers.values()] == ["POST rid-1/error", "POST rid-2/response"]
    assert run.errors[0]["errorType"] == "Runtime.UnmarshalError"
    assert run.answers["rid-2"].body == b'"next"'
    assert run.stderr == ""


def test_an_event_that_is_empty_fails_alone(play: PlayFunction) -> None:
    run = served(play, "plain", [payload(b""), payload(b"", chunk={"size": 9}), "next"])
    assert [answer.path.rpartition("/")[2] for answer in run.answers.values()] == ["error", "error", "response"]
    assert run.stdout.count("[ERROR] Runtime.UnmarshalError: ") == 2


AT_ONCE_FAULTS = {
    "500": step(status=500),
    "nothing": step(close="before", repeat=2),
    "half a body": step(event="a", content_length=1000, close="after", repeat=2),
    "no id": event("a", headers={ID: None}),
}


@pytest.mark.parametrize("kind", ["tasks", "processes"])
@pytest.mark.parametrize("name", AT_ONCE_FAULTS)
def test_with_several_at_once_it_is_asked_again_after_a_pause(play: PlayFunction, kind: str, name: str) -> None:
    run = served_at_once(play, kind, [1, AT_ONCE_FAULTS[name], 2, 3], places=1 if kind == "tasks" else 2)
    assert sorted(run.responses) == [1, 2, 3], run.story()
    for line in run.stderr.splitlines():
        assert re.fullmatch(r"whipsnake: could not get the next invocation: .*; asking again in 100 ms", line)
    assert run.ending == "signal 15"


@pytest.mark.parametrize("kind", AT_ONCE)
def test_with_several_at_once_five_refusals_end_the_process_with_code_1(play: PlayFunction, kind: str) -> None:
    run = served_at_once(play, kind, [1, step(status=500, repeat=50)])
    assert run.responses == [1]
    assert run.ending == "exit code 1"
    last = run.stderr.splitlines()[-1]
    assert last == "whipsnake: could not get the next invocation: the Runtime API answered 500 Internal Server Error"
    first = next(request for request in run.requests if request.call == "GET next")
    assert run.ended_at_us - first.at_us < 4_000_000
