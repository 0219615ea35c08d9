"""The requests that Lambda gets, and what happens when Lambda answers otherwise than usual."""

import re
from collections.abc import Mapping, Sequence

from conformance.case import Behaviour, Case, Section
from playing import Files, Step, event, step
from reference import Better, Expected

ECHO: Files = {
    "app.py": """
        def handler(event, context):
            if event == "fail":
                raise ValueError("failed")
            return event
    """
}

ANSWERED_FIRST = ["GET next", "POST rid-1/response"]
OUTCOMES = {"response": "a", "error": "fail"}
"""What an invocation's answer is posted as, by the event."""


def one_sentence(*words: str) -> re.Pattern[str]:
    """All that standard error has."""
    return re.compile(
        r"^whipsnake: (?!.*(?:panicked|Error \{|Kind\())" + "".join(f"[^\n]*{re.escape(word)}" for word in words) + "[^\n]*\n$"
    )


def echoed(verb: str, invocation_id: str | None) -> Case:
    value, header = OUTCOMES[verb], "Lambda-Runtime-Invocation-Id"
    return Case(
        name=f"{'no id' if invocation_id is None else repr(invocation_id)}, {verb}",
        files=ECHO,
        events=[event(value, headers={header: invocation_id}), event(value)],
        shows={
            "rid-1": {"call": f"POST rid-1/{verb}", "invocation-id": invocation_id or None},
            "rid-2": {"invocation-id": None},
        },
    )


BAD_ANSWERS: dict[str, tuple[Step, list[str], str]] = {
    "500": (step(status=500, body='{"errorMessage":"Container error"}'), ["GET next"], "500 Internal Server Error"),
    "403": (step(status=403, body="Forbidden"), ["GET next"], "403 Forbidden"),
    "410": (step(status=410), ["GET next"], "410 Gone"),
    "302": (step(status=302, headers=[["Location", "/elsewhere"]]), ["GET next"], "302 Found"),
    "204 without an id": (step(status=204, headers=[]), ["GET next"], "204 No Content"),
    "200 without an id": (
        event({}, headers={"Lambda-Runtime-Aws-Request-Id": None}),
        ["GET next"],
        "no Lambda-Runtime-Aws-Request-Id header",
    ),
    "an empty id": (
        event({}, headers={"Lambda-Runtime-Aws-Request-Id": ""}),
        ["GET next"],
        "no Lambda-Runtime-Aws-Request-Id header",
    ),
}

NO_ANSWERS: dict[str, Step] = {
    "closed connection": step(close="before"),
    "reset connection": step(close="before", reset=True),
    "half a head": step(event={}, truncate_at=40),
    "half a body": step(event={"a": 1}, content_length=1000, close="after"),
    "what is not HTTP": step(raw="hello\r\n\r\n", close="after"),
}


def no_event(name: str, answer: Step, polls: list[str], words: str) -> Case:
    return Case(
        name=name,
        files=ECHO,
        events=["first", answer],
        script={"end": "close"},
        better=Better(
            "one sentence says why",
            {
                "calls": [*ANSWERED_FIRST, *polls],
                "rid-1": {"body": '"first"'},
                "": None,  # where the managed runtime's answer to an empty id is
                "ending": "exit code 1",
                "stdout": "",
                "stderr": one_sentence("could not get the next invocation", words),
            },
        ),
    )


REFUSALS = {
    413: ("Payload Too Large", '{"errorMessage":"Exceeded maximum allowed payload size","errorType":"RequestEntityTooLarge"}'),
    410: ("Gone", '{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"}'),
    400: ("Bad Request", '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}'),
    403: ("Forbidden", '{"errorMessage":"State transition is not allowed","errorType":"InvalidStateTransition"}'),
}


def refused(verb: str, status: int, reason: str, body: str) -> Case:
    """The sentence is the last line of the log."""
    sentence = (
        f"\\[ERROR\\] Runtime.LambdaRuntimeClientError: could not post the {verb}: the Runtime API answered {status} {reason} "
    )
    return Case(
        name=f"{status}, {verb}",
        files=ECHO,
        events=[OUTCOMES[verb], "b"],
        script={verb: [{"status": status, "body": body}]},
        better=served_on(verb, re.compile(f"(^|\n){sentence}to [0-9]+ bytes[^\n]*: {re.escape(body)}\r[^\n\r]*\n$")),
    )


def served_on(verb: str, stdout: Expected) -> Better:
    return Better(
        "the next invocation is served; the managed runtime's process ends, and the next one pays for a cold start",
        {
            "calls": ["GET next", f"POST rid-1/{verb}", "GET next", "POST rid-2/response", "GET next"],
            "ending": "signal 9",
            "rid-2": {"body": '"b"'},
            "stdout": stdout,
            "stderr": "",
        },
    )


SEVEN_MEGABYTES: Files = {
    "app.py": """
        def handler(event, context):
            return "x" * (7 * 1024 * 1024) if event == "large" else event
    """
}

LOST_ANSWERS: dict[str, Mapping[str, object]] = {
    "closed connection": {"close": "before"},
    "reset connection": {"close": "before", "reset": True},
    "half an answer": {"truncate_at": 20},
}


def lost_once(verb: str, name: str) -> Case:
    return Case(
        name=f"{name}, {verb}",
        files=ECHO,
        events=[OUTCOMES[verb], "b"],
        script={verb: [LOST_ANSWERS[name]]},
        better=Better(
            "it is sent once more, as Lambda refuses a second answer if it had the first; the managed runtime's process ends",
            {
                "calls": ["GET next", *[f"POST rid-1/{verb}"] * 2, "GET next", "POST rid-2/response", "GET next"],
                "ending": "signal 9",
                "rid-2": {"body": '"b"'},
                "stderr": "",
            },
        ),
    )


def lost_twice(verb: str, name: str) -> Case:
    return Case(
        name=f"{name} twice, {verb}",
        files=ECHO,
        events=[OUTCOMES[verb], "b"],
        script={verb: [LOST_ANSWERS[name]] * 2},
        better=Better(
            "it is tried twice, and one sentence says why the process ends",
            {
                "calls": ["GET next", *[f"POST rid-1/{verb}"] * 2],
                "ending": "exit code 1",
                "stderr": one_sentence(f"could not post the {verb}", "no answer from the Runtime API"),
            },
        ),
    )


def answered_500(verb: str) -> Case:
    return Case(
        name=f"500, {verb}",
        files=ECHO,
        events=[OUTCOMES[verb], "b"],
        script={verb: [{"status": 500}]},
        shows={"calls": ["GET next", f"POST rid-1/{verb}"], "ending": "exit code 1"},
        better=Better(
            "one sentence says why",
            {
                "stdout": "" if verb == "response" else re.compile(r"^\[ERROR\] ValueError: failed\r[^\n]*\n$"),
                "stderr": one_sentence(f"could not post the {verb}", "500 Internal Server Error"),
            },
        ),
    )


HANG_UP: Files = {
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

CLOSING = {"Connection": "close"}
CLOSING_ANSWER = {"headers": [["Connection", "close"]], "close": "after"}

CHUNKED = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: chunked\r\n"
    'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 12}\r\n0\r\n\r\n'
)

IDS: Sequence[str] = ["8476a536-e9f4-11e8-9739-2dfe598c3fcd", "a%20b?c=d;x", "é/x"]

ADDRESSES = {
    "": "AWS_LAMBDA_RUNTIME_API is not set",
    "/path": "AWS_LAMBDA_RUNTIME_API",
    "not a host": "AWS_LAMBDA_RUNTIME_API",
    "127.0.0.1:port": "AWS_LAMBDA_RUNTIME_API",
    "127.0.0.1:1": "Connection refused",
}

SECTION = Section(
    "The Runtime API",
    [
        Behaviour(
            "P1",
            "Invocations are asked for one after the other, each when the one before is answered.",
            [
                Case(
                    name="responses and errors",
                    files=ECHO,
                    events=["a", "fail", "b", "fail", "fail", "c"],
                    shows={"rid-6": {"call": "POST rid-6/response", "body": '"c"'}},
                )
            ],
            note="free: `User-Agent` names Whipsnake",
        ),
        Behaviour(
            "P2",
            "Answers go to `/response` as JSON or as the bytes that the function returned, and to `/error`.",
            [
                Case(
                    name="JSON and bytes",
                    files={
                        "app.py": """
                            def handler(event, context):
                                return event.encode("latin-1") if event != "json" else {"a": 1}
                        """
                    },
                    events=["json", "", "a", "é\r\n\0"],
                    shows={
                        "rid-1": {"content-type": "application/json", "body": '{"a": 1}'},
                        "rid-3": {"content-type": "application/unknown", "body": "a"},
                    },
                )
            ],
        ),
        Behaviour(
            "P3",
            "The request id goes into the answer's path as it came.",
            [
                Case(
                    name="odd characters",
                    files=ECHO,
                    events=[event("a", headers={"Lambda-Runtime-Aws-Request-Id": name}) for name in IDS],
                    shows={
                        "calls": [call for name in IDS for call in ("GET next", f"POST {name}/response")] + ["GET next"],
                    },
                ),
                Case(
                    name="a space, which no path can have",
                    files=ECHO,
                    events=[event("a", headers={"Lambda-Runtime-Aws-Request-Id": "a b"})],
                    shows={"calls": ["GET next"], "ending": "exit code 1"},
                    better=Better("one sentence says why", {"stderr": one_sentence("could not post the response", "uri")}),
                ),
            ],
        ),
        Behaviour(
            "P4",
            "`Lambda-Runtime-Invocation-Id` comes back with the answer.",
            [echoed(verb, invocation_id) for verb in OUTCOMES for invocation_id in ("inv-1", "a b/c", "", None)],
        ),
        Behaviour(
            "P5",
            "An event is waited for as long as it takes.",
            [
                Case(
                    name="a poll of 1.5 s",
                    files=ECHO,
                    events=[event("a", delay_ms=1500), "b"],
                    shows={"rid-2": {"body": '"b"'}},
                )
            ],
        ),
        Behaviour(
            "P6",
            "When the Runtime API refuses to give an event, the process ends with exit code 1.",
            [no_event(name, *how) for name, how in BAD_ANSWERS.items()],
        ),
        Behaviour(
            "P7",
            "So it does when it gives no answer, once more.",
            [no_event(name, answer, ["GET next"] * 2, "no answer") for name, answer in NO_ANSWERS.items()],
        ),
        Behaviour(
            "P8",
            "Any success is one.",
            [
                Case(
                    name=str(status),
                    files=ECHO,
                    events=["a", "fail", "b"],
                    script={"response": [{"status": status}], "error": [{"status": status}]},
                    shows={"rid-3": {"body": '"b"'}},
                )
                for status in (200, 201, 202, 204)
            ],
        ),
        Behaviour(
            "P9",
            "An answer that Lambda refuses (too large, too late) is logged with the reason and its size; what the Runtime API "
            "answers with 5xx ends the process.",
            [
                *(refused(verb, status, *how) for verb in OUTCOMES for status, how in REFUSALS.items()),
                Case(
                    name="a response of 7 MB",
                    files=SEVEN_MEGABYTES,
                    events=["large", "b"],
                    script={"response": [{"status": 413}]},
                    better=served_on(
                        "response", re.compile("413 Payload Too Large to 7340034 bytes; Lambda takes at most 6291556")
                    ),
                ),
                *(answered_500(verb) for verb in OUTCOMES),
            ],
        ),
        Behaviour(
            "P10",
            "When the connection breaks, nobody knows whether an answer arrived.",
            [lost(verb, name) for lost in (lost_once, lost_twice) for verb in OUTCOMES for name in LOST_ANSWERS],
        ),
        Behaviour(
            "P11",
            "Images start the runtime with `python -m awslambdaric`.",
            note="free: the layer's executable is what Lambda starts",
        ),
        Behaviour(
            "P12",
            "A connection that Lambda closes is made anew.",
            [
                Case(
                    name="announced by Connection: close",
                    files=ECHO,
                    events=[
                        event("a", headers=CLOSING, close="after"),
                        event("b"),
                        event("fail", headers=CLOSING, close="after"),
                        event("c"),
                    ],
                    script={"response": [CLOSING_ANSWER], "error": [CLOSING_ANSWER]},
                    shows={"rid-4": {"body": '"c"'}},
                ),
                Case(
                    name="while the function runs",
                    files=HANG_UP,
                    events=[event(number, close="after") for number in range(20)],
                    shows={"rid-20": {"call": "POST rid-20/response", "body": "19"}},
                ),
            ],
        ),
        Behaviour(
            "P13",
            "An event may come in chunks, and with headers that nobody knows.",
            [
                Case(
                    name="chunks",
                    files=ECHO,
                    events=[step(raw=CHUNKED), "b"],
                    shows={"chunked": {"body": '{"a": 12}'}, "rid-2": {"body": '"b"'}},
                ),
                Case(
                    name="unknown headers",
                    files=ECHO,
                    events=[event("a", headers={"Lambda-Runtime-Something-New": "x", "X-Other": "y" * 4000})],
                    shows={"rid-1": {"body": '"a"'}},
                ),
            ],
        ),
        Behaviour(
            "P14",
            "When the Runtime API cannot be reached, the process ends with exit code 1.",
            [
                Case(
                    name=f"AWS_LAMBDA_RUNTIME_API={address}",
                    files=ECHO,
                    environment={"AWS_LAMBDA_RUNTIME_API": address},
                    shows={"calls": [], "ending": "exit code 1"},
                    better=Better("one sentence says why", {"stdout": "", "stderr": one_sentence(words)}),
                )
                for address, words in ADDRESSES.items()
            ],
        ),
        Behaviour(
            "P15",
            "Exit functions run when the Runtime API has no event any more.",
            [
                Case(
                    name="atexit",
                    files={
                        "app.py": """
                            import atexit
                            atexit.register(print, "at exit", flush=True)
                            def handler(event, context): pass
                        """
                    },
                    events=[{}],
                    script={"end": "close"},
                    shows={"stdout": re.compile("at exit\n$"), "ending": "exit code 1"},
                    better=Better("one sentence says why the process ends", {"stdout": "at exit\n", "stderr": one_sentence()}),
                )
            ],
        ),
    ],
)
