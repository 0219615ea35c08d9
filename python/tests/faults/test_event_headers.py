"""The headers of an event: missing, empty, doubled, not UTF-8, of 64 KB, odd inside. The invocation is served or fails."""

import time
from collections.abc import Sequence

import pytest

from conftest import PlayFunction
from faults.handlers import AT_ONCE, served, served_at_once
from playing import Run, Step, as_written, event, step

ID = "Lambda-Runtime-Aws-Request-Id"
DEADLINE = "Lambda-Runtime-Deadline-Ms"
CLIENT = "Lambda-Runtime-Client-Context"
IDENTITY = "Lambda-Runtime-Cognito-Identity"

LENGTH = 64 * 1024

SHOWS = """
import asyncio, json, os, sys, time
def outcome(event):
    if event == "next":
        return event
    return eval(event, globals(), {"context": sys._getframe(1).f_locals["context"]})
"""
"""In place of ECHO: the event is an expression about the context, and its value the answer."""


def event_with(expression: str, name: str, *values: str | bytes) -> Step:
    """An event that has this header once for each of the values, and no deadline but of its own."""
    usual = {"Content-Type": b"application/json", ID: b"rid", DEADLINE: str(int(time.time() * 1000) + 30_000).encode()}
    headers: list[list[object]] = [[known, value.decode()] for known, value in usual.items() if known != name]
    headers += [[name, as_written(value)] for value in values]
    return step(event=expression, headers=headers)


SHAPES: dict[str, Sequence[str | bytes]] = {
    "missing": [],
    "empty": [""],
    "blank": ["  "],
    "doubled": ["first", "second"],
    "not UTF-8": [b"a\xffb"],
    "long": ["x" * LENGTH],
}

REPLACED = "a\ufffdb"
TEXTS = {
    "Lambda-Runtime-Invoked-Function-Arn": ("context.invoked_function_arn", "", "first"),
    "Lambda-Runtime-Aws-Tenant-Id": ("context.tenant_id", None, "first"),
    "Lambda-Runtime-Trace-Id": ("os.environ.get('_X_AMZN_TRACE_ID')", None, "first"),
}


def answers(run: Run) -> list[object]:
    """Of all invocations but the last, which is there to show that the process goes on."""
    assert run.requests[-2].body == b'"next"', run.story()
    assert run.stderr == ""
    posts = [request for request in run.requests if request.method == "POST"][:-1]
    return [post.json() if post.path.endswith("/response") else post.json()["errorType"] for post in posts]


@pytest.mark.parametrize("handler", ["plain", "plain with names", "async"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_header_of_text_is_taken_in_every_shape(play: PlayFunction, name: str, handler: str) -> None:
    expression, nothing, first = TEXTS[name]
    events = [event_with(expression, name, *values) for values in SHAPES.values()]
    run = served(play, handler, [*events, "next"], source=SHOWS)
    assert answers(run) == [nothing, nothing, nothing, first, REPLACED, "x" * LENGTH]


@pytest.mark.parametrize("kind", ["tasks", "processes"])
@pytest.mark.parametrize("name", TEXTS)
def test_so_it_is_with_several_at_once(play: PlayFunction, name: str, kind: str) -> None:
    expression, nothing, first = TEXTS[name]
    events = [event(expression, headers={name: value}) for value in (None, "", "first", b"a\xffb", "x" * LENGTH)]
    run = served_at_once(play, kind, events, source=SHOWS)
    assert [run.answers[f"rid-{number}"].json() for number in range(1, 6)] == [nothing, nothing, first, REPLACED, "x" * LENGTH]


@pytest.mark.parametrize(
    ("shape", "seen"),
    [("doubled", "first"), ("not UTF-8", REPLACED), ("long", "x" * LENGTH)],
)
def test_the_invocation_id_comes_back_in_every_shape(play: PlayFunction, shape: str, seen: str) -> None:
    name = "Lambda-Runtime-Invocation-Id"
    run = served(play, "plain", [event_with("a", name, *SHAPES[shape])])
    assert run.answers["rid"].header(name) == seen


def test_a_request_id_is_taken_as_it_is_and_the_first_of_two(play: PlayFunction) -> None:
    ids: Sequence[Sequence[str | bytes]] = [
        ["first", "second"],
        ["é/😀"],
        ["x" * 60_000],
        [" blanks\t"],
        ["../next"],
    ]
    run = served(play, "plain", [*(event_with("context.aws_request_id", ID, *values) for values in ids), "next"], source=SHOWS)
    seen = ["first", "é/😀", "x" * 60_000, "blanks", "../next"]
    assert answers(run) == seen
    posts = [request.path for request in run.requests if request.method == "POST"]
    assert posts[:-1] == [f"/2018-06-01/runtime/invocation/{name}/response" for name in seen]


def test_a_content_type_that_is_not_json_gives_the_bytes_and_none_is_json(play: PlayFunction) -> None:
    app = "def handler(event, context): return type(event).__name__"
    run = play({"app.py": app}, events=[event_with('{"a":1}', "Content-Type", *values) for values in SHAPES.values()])
    # All have one id, so that the answers are told apart by their order.
    bodies = [request.body for request in run.requests if request.method == "POST"]
    assert bodies == [b'"str"'] * 3 + [b'"bytes"'] * 3


NO_TIME: Sequence[str | bytes] = ["0", "-5", "1000", "soon", "", "-", b"\xff", "9" * 30, "x" * LENGTH, "1e3", "0x10", "１２"]
REMAINING = "context.get_remaining_time_in_millis()"


@pytest.mark.parametrize("handler", ["plain", "async", "streamed async"])
def test_a_deadline_that_is_none_leaves_no_time_and_the_invocation_is_served(play: PlayFunction, handler: str) -> None:
    run = served(play, handler, [*(event_with(REMAINING, DEADLINE, value) for value in NO_TIME), "next"], source=SHOWS)
    assert answers(run) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", AT_ONCE)
def test_so_it_is_served_with_several_at_once(play: PlayFunction, kind: str) -> None:
    events = [event(f"time.sleep(0.01) or {REMAINING}", headers={DEADLINE: value}) for value in NO_TIME]
    run = served_at_once(play, kind, events, source=SHOWS)
    assert [run.answers[f"rid-{number + 1}"].json() for number in range(len(events))] == [0] * len(events)


def test_a_deadline_far_off_is_a_long_time(play: PlayFunction) -> None:
    largest = 2**63 - 1
    run = served(
        play, "async", [event_with(REMAINING, DEADLINE, value) for value in (str(largest), "4102444800000")], source=SHOWS
    )
    first, second = (request.json() for request in run.requests if request.method == "POST")
    now = time.time() * 1000
    assert abs(largest - now - first) < 60_000
    assert abs(4_102_444_800_000 - now - second) < 60_000


NOT_JSON: Sequence[str | bytes] = [
    "{",
    "text",
    "{'a': 1}",
    '{"a": 1} x',
    b'"\xff',
    "\ufeff{}",
    "[" * 30_000,
    "1" * 5_000,
    "nul",
    "{" * LENGTH,
    '"\t"',
]
ODD_CLIENTS = [
    "[]",
    '"text"',
    "1",
    "true",
    "1.5",
    "NaN",
    '{"client": "text"}',
    '{"client": [1]}',
    '{"client": 1}',
    '[{"client": 1}]',
]
FINE_CLIENTS: Sequence[str | bytes] = [
    "{}",
    "null",
    '{"custom": 1, "env": "text", "client": null}',
    '{"client": {"installation_id": {"a": []}, "unknown": 1}}',
    '{"custom": {"a": "\\ud800"}}',
    '{"custom": "' + "x" * LENGTH + '"}',
    '{"w3c": 1}',
    '{"w3c": {"traceparent": [1]}, "w3c": []}',
    '{"custom": NaN, "env": Infinity}',
    b'{"custom": "\xff"}',
]
ODD_IDENTITIES = ["[]", '"text"', "1", "true"]
FINE_IDENTITIES = [
    "{}",
    "null",
    '{"cognitoIdentityId": 1}',
    '{"cognitoIdentityPoolId": ["a"]}',
    '{"x": "' + "x" * LENGTH + '"}',
]

JSON_HEADERS: dict[str, tuple[str, Sequence[str | bytes], str]] = {
    "no client context": (CLIENT, NOT_JSON, "Runtime.LambdaContextUnmarshalError"),
    "an odd client context": (CLIENT, ODD_CLIENTS, "AttributeError"),
    "a client context": (CLIENT, FINE_CLIENTS, "served"),
    "no identity": (IDENTITY, NOT_JSON, "Runtime.LambdaContextUnmarshalError"),
    "an odd identity": (IDENTITY, ODD_IDENTITIES, "AttributeError"),
    "an identity": (IDENTITY, FINE_IDENTITIES, "served"),
}


@pytest.mark.parametrize("handler", ["plain", "plain with names", "streamed async"])
@pytest.mark.parametrize("name", JSON_HEADERS)
def test_a_client_context_or_an_identity_of_any_kind_costs_its_own_invocation_at_most(
    play: PlayFunction, name: str, handler: str
) -> None:
    header, values, outcome = JSON_HEADERS[name]
    run = served(play, handler, [*(event_with("'served'", header, value) for value in values), "next"], source=SHOWS)
    given = answers(run)
    if outcome == "Runtime.LambdaContextUnmarshalError":
        # Numbers as long as that are JSON to Python, and no object.
        assert {*given} <= {outcome, "AttributeError"}
        assert given.count(outcome) >= len(values) - 1
    else:
        assert given == [outcome] * len(values)
    assert run.stdout.count("\n") == (0 if outcome == "served" else len(values)), "one line for each"


@pytest.mark.parametrize("kind", ["tasks", "processes"])
def test_and_so_with_several_at_once(play: PlayFunction, kind: str) -> None:
    events = [event("'served'", headers={header: value}) for header, values, _ in JSON_HEADERS.values() for value in values[:4]]
    run = served_at_once(play, kind, [*events, "next"], source=SHOWS)
    expected = [outcome for _, values, outcome in JSON_HEADERS.values() for _ in values[:4]]
    posts = [run.answers[f"rid-{number + 1}"] for number in range(len(events))]
    given = [post.json() if post.path.endswith("/response") else post.json()["errorType"] for post in posts]
    assert given == expected
