"""Exceptions of handlers with causes, notes and members: the managed runtime says nothing of them, our log does."""

import re
import textwrap
from collections.abc import Iterator

from conformance import error_record
from conformance.case import Case
from reference import Better

UNSEEN = "the report is the same; the log shows them, as Python itself would"


def traced(name: str, body: str, headline: str, traceback: str) -> Iterator[Case]:
    """A handler that raises such an exception, logged in both formats."""
    for suffix, log_format, record in (
        ("", "Text", error_record.as_text(headline, traceback)),
        (" (JSON)", "JSON", error_record.as_json(traceback)),
    ):
        yield Case(
            name=name + suffix,
            files={"app.py": f"def handler(event, context):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"},
            events=[{}],
            environment={"AWS_LAMBDA_LOG_FORMAT": log_format},
            shows={
                "calls": ["GET next", "POST rid-1/error", "GET next"],
                "rid-1": {"body": re.compile(f'"errorType": "{headline.partition(":")[0]}"')},
                "stdout": re.compile(re.escape(headline.partition(":")[0])),
            },
            better=Better(UNSEEN, {"stdout": record}),
        )


CAUSES_NOTES_GROUPS = [
    *traced(
        "a cause",
        """
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise ValueError("v") from error
        """,
        "ValueError: v",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 3, in handler
            1 / 0
            ~~^~~
        ZeroDivisionError: division by zero

        The above exception was the direct cause of the following exception:

        Traceback (most recent call last):
          File "/var/task/app.py", line 5, in handler
            raise ValueError("v") from error
        ValueError: v
        """,
    ),
    *traced(
        "an exception while handling another",
        """
        try:
            {}["key"]
        except KeyError:
            raise ValueError("v")
        """,
        "ValueError: v",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 3, in handler
            {}["key"]
            ~~^^^^^^^
        KeyError: 'key'

        During handling of the above exception, another exception occurred:

        Traceback (most recent call last):
          File "/var/task/app.py", line 5, in handler
            raise ValueError("v")
        ValueError: v
        """,
    ),
    *traced(
        "notes",
        """
        error = ValueError("v")
        error.add_note("noted")
        error.add_note("in two\\nlines")
        raise error
        """,
        "ValueError: v",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 5, in handler
            raise error
        ValueError: v
        noted
        in two
        lines
        """,
    ),
    *traced(
        "a group",
        """
        raise ExceptionGroup("g", [ValueError("a"), KeyError("b")])
        """,
        "ExceptionGroup: g (2 sub-exceptions)",
        """
          + Exception Group Traceback (most recent call last):
          |   File "/var/task/app.py", line 2, in handler
          |     raise ExceptionGroup("g", [ValueError("a"), KeyError("b")])
          | ExceptionGroup: g (2 sub-exceptions)
          +-+---------------- 1 ----------------
            | ValueError: a
            +---------------- 2 ----------------
            | KeyError: 'b'
            +------------------------------------
        """,
    ),
    *traced(
        "a group with a cause",
        """
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise ExceptionGroup("g", [ValueError("a")]) from error
        """,
        "ExceptionGroup: g (1 sub-exception)",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 3, in handler
            1 / 0
            ~~^~~
        ZeroDivisionError: division by zero

        The above exception was the direct cause of the following exception:

          + Exception Group Traceback (most recent call last):
          |   File "/var/task/app.py", line 5, in handler
          |     raise ExceptionGroup("g", [ValueError("a")]) from error
          | ExceptionGroup: g (1 sub-exception)
          +-+---------------- 1 ----------------
            | ValueError: a
            +------------------------------------
        """,
    ),
]
