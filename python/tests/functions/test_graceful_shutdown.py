"""`WHIPSNAKE_GRACEFUL_SHUTDOWN`: an extension that has Lambda send SIGTERM before it ends the process."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from conftest import PlayFunction
from playing import Run

REGISTER = "POST /2020-01-01/extension/register"
POLL = "GET /2020-01-01/extension/event/next"
FUNCTION = "import atexit\natexit.register(print, 'at exit')\ndef handler(event, context): return event"
ASYNC = FUNCTION.replace("def handler", "async def handler")


@pytest.fixture
def run(play: PlayFunction) -> Callable[..., Run]:
    def run(source: str = FUNCTION, value: str = "1", **script: Any) -> Run:
        environment = {"WHIPSNAKE_GRACEFUL_SHUTDOWN": value}
        return play({"app.py": source}, events=[1, 2], environment=environment, end="SIGTERM", **script)

    return run


@pytest.mark.parametrize("source", [FUNCTION, ASYNC])
def test_an_extension_is_registered_before_the_first_invocation_is_asked_for(run: Callable[..., Run], source: str) -> None:
    done = run(source)
    assert done.calls[0] == REGISTER
    register = done.requests[0]
    assert (register.header("lambda-extension-name"), register.json()) == ("whipsnake", {"events": []})
    (poll,) = [request for request in done.requests if request.call == POLL]
    assert poll.header("lambda-extension-identifier") == "00000000-0000-4000-8000-000000000000"
    # It waits on a connection of its own.
    assert poll.connection not in {request.connection for request in done.answers.values()}
    assert [call for call in done.calls if call not in (REGISTER, POLL)] == [
        "GET next",
        "POST rid-1/response",
        "GET next",
        "POST rid-2/response",
        "GET next",
    ]
    assert (done.stdout, done.stderr, done.ending) == ("at exit\n", "", "signal 15")


@pytest.mark.parametrize("value", ["", "0", "true"])
def test_it_has_to_be_asked_for(run: Callable[..., Run], value: str) -> None:
    assert REGISTER not in run(value=value).calls


def test_a_failed_init_phase_registers_nothing(run: Callable[..., Run]) -> None:
    assert run("import nothing_of_that_name").calls == ["POST init/error"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (
            {"status": 403, "body": json.dumps({"errorType": "Extension.TooManyExtensions"})},
            'the Runtime API answered 403 Forbidden: {"errorType": "Extension.TooManyExtensions"}',
        ),
        ({"headers": []}, "the Runtime API's answer has no Lambda-Extension-Identifier header"),
    ],
)
def test_where_lambda_does_not_take_it_the_function_is_served_all_the_same(
    run: Callable[..., Run], answer: object, complaint: str
) -> None:
    done = run(extension_register=[answer])
    assert done.responses == [1, 2]
    assert done.stderr == (
        "whipsnake: Lambda will end this process without a SIGTERM: could not register as an extension: " + complaint + "\n"
    )
