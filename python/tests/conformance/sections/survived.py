"""Failures that the managed runtime's process dies of, or knows to report less about."""

import re

from conformance.case import Case
from conformance.sections.raised import RAISES_A_FAULT, RAISES_A_LONG_MESSAGE
from playing import ENDED_AFTER_THE_LAST_EVENT
from reference import Better

NO_REPORT = "the managed runtime's process ends without a report"
REFUSED = "the managed runtime's HTTP client refuses to send it to X-Ray, and its process ends without a report"


def goes_on(name: str, body: str, error_type: str, because: str = NO_REPORT) -> Case:
    """A failure that the managed runtime's process dies of, while ours is there for the next event."""
    return Case(
        name=name,
        files={"app.py": f"import os, sys\ndef handler(event, context):\n    if event: return 'next'\n    {body}\n"},
        events=[0, 1],
        better=Better(
            because,
            {
                "calls": ["GET next", "POST rid-1/error", "GET next", "POST rid-2/response", "GET next"],
                "ending": ENDED_AFTER_THE_LAST_EVENT,
                "rid-1": {"body": re.compile(f'"errorType": "{error_type}", "requestId": "rid-1".*in handler')},
                "rid-2": {"body": '"next"'},
                "stdout": re.compile(rf"^\[ERROR\] {error_type}: .*in handler"),
                "stderr": "",
            },
        ),
    )


def cropped_for_xray(length: int) -> Case:
    return Case(
        name=f"{length:,} characters",
        files={"app.py": RAISES_A_LONG_MESSAGE},
        events=[length],
        shows={"rid-1": {"body": re.compile('"errorMessage": "éé')}},
        better=Better(
            "X-Ray gets the beginning of the message; the managed runtime tells it nothing",
            {"rid-1": {"body": re.compile(f'"errorMessage": "é{{{length}}}", '), "x-ray": {"exceptions": bool}}},
        ),
    )


LARGEST_CAUSE = 1024 * 1024
"""What is longer, the managed runtime leaves out; what is a little shorter, its HTTP client does not send."""
EMPTY_CAUSE = (
    '{"working_directory": "/", "exceptions": [{"message": "", "type": "LambdaValidationError", "stack": []}], "paths": []}'
)

LONG_MESSAGES = [
    Case(
        name="30,000 characters",
        files={"app.py": RAISES_A_LONG_MESSAGE},
        events=[30_000],
        shows={"rid-1": {"body": re.compile('"errorMessage": "éé'), "x-ray": {"exceptions": bool}}},
    ),
    Case(
        name="100,000 characters",
        files={"app.py": RAISES_A_LONG_MESSAGE},
        events=[100_000],
        shows={"rid-1": {"body": re.compile('"errorMessage": "éé')}},
        free={"rid-1/x-ray": "X-Ray takes no documents of more than 64 KB; ours crops a cause to that"},
    ),
    cropped_for_xray(600_000),
    cropped_for_xray(3_000_000),
    Case(
        name="a cause for X-Ray of almost 1 MiB",
        files={"app.py": RAISES_A_FAULT},
        events=[["T", "e" * (LARGEST_CAUSE - 1 - len(EMPTY_CAUSE)), []]],
        better=Better(
            REFUSED,
            {
                "calls": ["GET next", "POST rid-1/error", "GET next"],
                "ending": ENDED_AFTER_THE_LAST_EVENT,
                "rid-1": {"body": re.compile('"errorMessage": "e{1040000}'), "x-ray": {"exceptions": bool}},
                "stderr": "",
            },
        ),
    ),
]

NO_TEXT = "type('E', (Exception,), {{'__str__': lambda self: {}}})()"
NO_NAME = "type('M', (type,), {'__name__': property(lambda c: 1 / 0)})"

INCOMPLETE = [
    goes_on("__str__ fails", f"raise {NO_TEXT.format('1 / 0')}", "E"),
    goes_on("__str__ gives a number", f"raise {NO_TEXT.format('5')}", "E"),
    goes_on("a class without a name", f"raise {NO_NAME}('E', (Exception,), {{}})('x')", "E"),
    goes_on(
        "the working directory is gone",
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); 1 / 0",
        "ZeroDivisionError",
    ),
    goes_on("closed standard output", "sys.stdout.close(); 1 / 0", "ZeroDivisionError"),
    goes_on("no standard output", "sys.stdout = None; 1 / 0", "ZeroDivisionError"),
    goes_on("a number for standard output", "sys.stdout = 5; 1 / 0", "ZeroDivisionError"),
    Case(
        name="no traceback module",
        files={"app.py": "import sys\ndef handler(event, context):\n    sys.modules['traceback'] = None\n    1 / 0"},
        events=[0],
        shows={"calls": ["GET next", "POST rid-1/error", "GET next"]},
        free=dict.fromkeys(("rid-1/body", "rid-1/x-ray", "stdout"), "without the module there may be no stack"),
    ),
]

SURROGATES = [goes_on("a lone surrogate", "raise ValueError('a\\ud800b')", "ValueError")]
CONTROL_CHARACTERS = [goes_on("DEL", "raise ValueError('a\x7fb')", "ValueError", REFUSED)]
