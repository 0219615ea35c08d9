"""What happens when the Runtime API refuses, fails, or is not there."""

import re
from collections.abc import Mapping

from conformance.case import Behaviour, Case
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

# The events that make ECHO answer so.
OUTCOMES = {"response": "a", "error": "fail"}


def one_sentence(*words: str) -> re.Pattern[str]:
    """All that standard error has, and nothing of Rust's in it."""
    sentence = "".join(f".*{re.escape(word)}" for word in words)
    return re.compile(rf"^whipsnake: (?!.*(?:panicked|Error \{{|Kind\()){sentence}.*\n\Z")


ID = "Lambda-Runtime-Aws-Request-Id"
BAD_ANSWERS: dict[str, tuple[Step, str]] = {
    "500": (step(status=500, body='{"errorMessage":"Container error"}'), "500 Internal Server Error"),
    "403": (step(status=403, body="Forbidden"), "403 Forbidden"),
    "410": (step(status=410), "410 Gone"),
    "302": (step(status=302, headers=[["Location", "/elsewhere"]]), "302 Found"),
    "204 without an id": (step(status=204, headers=[]), f"no {ID} header"),
    "200 without an id": (event({}, headers={ID: None}), f"no {ID} header"),
    "an empty id": (event({}, headers={ID: ""}), f"no {ID} header"),
}

NO_ANSWERS: dict[str, Step] = {
    "closed connection": step(close="before"),
    "reset connection": step(close="before", reset=True),
    "half a head": step(event={}, truncate_at=40),
    "half a body": step(event={"a": 1}, content_length=1000, close="after"),
    "what is not HTTP": step(raw="hello\r\n\r\n", close="after"),
}


def no_event(name: str, answer: Step, words: str, polls: int = 1) -> Case:
    return Case(
        name=name,
        files=ECHO,
        events=["first", answer],
        script={"end": "close"},
        better=Better(
            "one sentence says why",
            {
                "calls": ["GET next", "POST rid-1/response", *["GET next"] * polls],
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
    what = f"could not post the {verb}: the Runtime API answered {status} {reason} to [0-9]+ bytes"
    line = rf"(^|\n)\[ERROR\] Runtime.LambdaRuntimeClientError: {what}.*: {re.escape(body)}\r[^\r\n]*\n\Z"
    return Case(
        name=f"{status} to the {verb}",
        files=ECHO,
        events=[OUTCOMES[verb], "b"],
        script={verb: [{"status": status, "body": body}]},
        better=served_on(verb, re.compile(line)),
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
        name=f"{name} after the {verb}",
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
        name=f"{name} twice after the {verb}",
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
        name=f"500 to the {verb}",
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


ADDRESSES = {
    "": "AWS_LAMBDA_RUNTIME_API is not set",
    "/path": "AWS_LAMBDA_RUNTIME_API",
    "not a host": "AWS_LAMBDA_RUNTIME_API",
    "127.0.0.1:port": "AWS_LAMBDA_RUNTIME_API",
    "127.0.0.1:1": "Connection refused",
}

FAILURES = [
    Behaviour(
        "P6",
        "When the Runtime API refuses to give an event, the process ends with exit code 1.",
        [no_event(name, *how) for name, how in BAD_ANSWERS.items()],
    ),
    Behaviour(
        "P7",
        "So it does when it gives no answer, once more.",
        [no_event(name, answer, "no answer", polls=2) for name, answer in NO_ANSWERS.items()],
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
        "When the connection breaks under a response or an error, nobody knows whether it arrived.",
        [lost(verb, name) for lost in (lost_once, lost_twice) for verb in OUTCOMES for name in LOST_ANSWERS],
    ),
    Behaviour(
        "P14",
        "When `AWS_LAMBDA_RUNTIME_API` is no address that can be reached, the process ends with exit code 1.",
        [
            Case(
                name=repr(address),
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
]
