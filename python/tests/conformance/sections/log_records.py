"""What a log record looks like."""

import re
from collections.abc import Mapping, Sequence

from conformance.case import Behaviour, Case
from conformance.expectations import no_failures
from conformance.sections.logged import EXTRAS, LEVELS, MESSAGES, PLAIN, WITH_STACK
from playing import Files, event
from reference import Better, Expected

FORMATS: dict[str, dict[str, str]] = {"text": {}, "JSON": {"AWS_LAMBDA_LOG_FORMAT": "JSON"}}
TEXT, JSON = FORMATS.values()

LOGS: Files = {
    "app.py": """
        import asyncio, datetime, logging, sys, threading, warnings
        logger = logging.getLogger("my.logger")
        logging.getLogger().setLevel(0)
        async def inside_asyncio():
            logger.error("inside asyncio")
        def handler(event, context):
            eval(event)
    """
}

LOGS_AN_EXCEPTION: Files = {
    "app.py": """
        import logging, sys
        logger = logging.getLogger("my.logger")
        def handler(event, context):
            try:
                1 / 0
            except ZeroDivisionError:
                eval(event)
            logger.error("next")
    """
}


def records(table: Mapping[str, tuple[Sequence[str], str]], environment: Mapping[str, str]) -> list[Case]:
    return [
        Case(
            name=name,
            files=LOGS,
            events=expressions,
            environment=environment,
            shows={"calls": no_failures, "stdout": re.compile(re.escape(probe))},
        )
        for name, (expressions, probe) in table.items()
    ]


def in_both_formats(table: Mapping[str, tuple[Sequence[str], str]]) -> list[Case]:
    return [
        case
        for log_format, environment in FORMATS.items()
        for case in records({f"{name} in {log_format}": value for name, value in table.items()}, environment)
    ]


def begin_lines(log: str) -> bool:
    """Records are one below the other, without empty lines between them."""
    starts = [line for line in log.split("\n")[:-1] if "[ERROR]\t" in line]
    return all(line.startswith("[ERROR]\t") for line in starts) and log.endswith("\n") and "\n\n" not in log


RECORDS_BEGIN_LINES = "the next record begins on a line of its own, not at the end of the traceback"

EXCEPTION_AND_NEXT = """\
[ERROR]\t<time>\trid-1\tm
Traceback (most recent call last):
  File "/var/task/app.py", line 5, in handler
    1 / 0
    ~~^~~
ZeroDivisionError: division by zero
[ERROR]\t<time>\trid-1\tnext
"""

# As if it had been logged 5.125 seconds into 1970, in Tokyo.
FORMATS_A_RECORD: Files = {
    "app.py": """
        import logging, os, time
        def handler(event, context):
            os.environ["TZ"] = "Asia/Tokyo"
            time.tzset()
            record = logging.LogRecord("my.logger", logging.ERROR, "app.py", 1, "m", None, None)
            record.created, record.msecs = 5.125, 125.0
            of_lambda, = logging.getLogger().handlers
            of_lambda.filter(record)
            return of_lambda.format(record)
    """
}


def formatted(name: str, body: str, **environment: str) -> Case:
    return Case(name=name, files=FORMATS_A_RECORD, events=[{}], environment=environment, shows={"rid-1": {"body": body}})


def own_format(text: str) -> Files:
    return {
        "app.py": f"""
            import logging
            logging.getLogger().handlers[0].setFormatter(logging.Formatter({text!r}))
            def handler(event, context):
                logging.error("a")
                logging.error("b")
        """
    }


LOGS_A_TENANT: Files = {
    "app.py": """
        import logging
        logging.error("at import")
        def handler(event, context):
            logging.error("in an invocation")
    """
}
TENANTS = [event({}, headers={"Lambda-Runtime-Aws-Tenant-Id": tenant}) for tenant in ("t-1", None, "", "t-2")]


def one_line(log: str, stderr: Expected, body: str = "1") -> dict[str, Expected]:
    """The invocation went well, and this is all it logged."""
    return {
        "calls": ["GET next", "POST rid-1/response", "GET next"],
        "rid-1": {"call": "POST rid-1/response", "body": body},
        "stdout": log,
        "stderr": stderr,
    }


def logging_statement(statement: str) -> Files:
    return {
        "app.py": f"""
            import logging
            def handler(event, context):
                {statement}
                return 1
        """
    }


NO_EXCEPTION = logging_statement("logging.error('m', exc_info=True)")
NO_PLACE_FOR_IT = logging_statement("logging.error('x', 'y')")
TOLD_ON_STDERR = re.compile(r"^--- Logging error ---\n(.*\n)*TypeError: not all arguments converted(.*\n)*Message: 'x'\n")

RECORDS = [
    Behaviour(
        "L2",
        "Times are in UTC, in the formatters that the function makes as well.",
        [
            Case(
                name="a formatter of its own",
                files={
                    "app.py": """
                        import logging, os, time
                        def handler(event, context):
                            os.environ["TZ"] = "Asia/Tokyo"
                            time.tzset()
                            record = logging.makeLogRecord({"created": 0, "msecs": 0})
                            return logging.Formatter("%(asctime)s").format(record)
                    """
                },
                events=[{}],
                shows={"rid-1": {"body": '"1970-01-01 00:00:00,000"'}},
            )
        ],
    ),
    Behaviour(
        "L3",
        "A text record is the level in brackets, the time with milliseconds, the request id and the message, tabs between.",
        [
            formatted("the format", r'"[ERROR]\t1970-01-01T00:00:05.125Z\trid-1\tm\n"'),
            Case(
                name="as tools read it",
                files={
                    "app.py": """
                        import logging
                        def handler(event, context):
                            formatter = logging.getLogger().handlers[0].formatter
                            return [formatter._fmt, formatter.datefmt, type(formatter).__name__]
                    """
                },
                events=[{}],
                shows={"calls": no_failures},
            ),
            *records(PLAIN, TEXT),
        ],
    ),
    Behaviour(
        "L4",
        "A format of the function's own that has no line end gets one.",
        [
            Case(
                name="%(message)s",
                files=own_format("%(message)s"),
                events=[{}],
                better=Better("otherwise records run together", {"stdout": "a\nb\n"}),
            )
        ],
    ),
    Behaviour(
        "L5",
        "A text record with an exception or a stack has Python's traceback below its message.",
        [
            Case(
                name="logger.exception",
                files=LOGS_AN_EXCEPTION,
                events=["logger.exception('m')"],
                better=Better(
                    "the next record begins on a line of its own, not at the end of the traceback",
                    {"stdout": EXCEPTION_AND_NEXT},
                ),
            ),
            Case(
                name="exc_info and stack_info",
                files=LOGS_AN_EXCEPTION,
                events=WITH_STACK,
                better=Better(RECORDS_BEGIN_LINES, {"stdout": begin_lines}),
            ),
            Case(
                name="exc_info without an exception",
                files=NO_EXCEPTION,
                events=[{}],
                better=Better(RECORDS_BEGIN_LINES, {"stdout": "[ERROR]\t<time>\trid-1\tm\nNoneType: None\n"}),
            ),
        ],
    ),
    Behaviour(
        "L6",
        "`%(aws_request_id)s` and `%(tenant_id)s` are known to every format on Lambda's handler.",
        [
            Case(
                name=f"a format with both in {log_format}",
                files=own_format("%(aws_request_id)s %(tenant_id)s %(levelname)s %(message)s\n"),
                events=TENANTS,
                environment=environment,
                shows={"stdout": re.compile("^rid-1 t-1 ERROR a\n")},
            )
            for log_format, environment in FORMATS.items()
        ],
    ),
    Behaviour(
        "L9",
        "A JSON record is one line with Lambda's keys in a fixed order, the request id and the tenant among them.",
        [
            formatted(
                "the format",
                r'"{\"timestamp\": \"1970-01-01T00:00:05Z\", \"level\": \"ERROR\", \"message\": \"m\", '
                r'\"logger\": \"my.logger\", \"requestId\": \"rid-1\"}\n"',
                **JSON,
            ),
            *records(PLAIN, JSON),
            Case(
                name="tenants and no request id in JSON",
                files=LOGS_A_TENANT,
                events=TENANTS,
                environment=JSON,
                shows={"stdout": re.compile('"requestId": ""}\n.*"requestId": "rid-1", "tenantId": "t-1"}\n')},
            ),
            Case(
                name="tenants and no request id in text",
                files=LOGS_A_TENANT,
                events=TENANTS,
                shows={"stdout": re.compile("\t\tat import\n.*\trid-1\tin an invocation\n")},
            ),
        ],
    ),
    Behaviour(
        "L10",
        "A JSON record with an exception has its stack, type and message, and the place of the call.",
        [
            Case(
                name="logger.exception",
                files=LOGS_AN_EXCEPTION,
                events=["logger.exception('m')"],
                environment=JSON,
                shows={
                    "stdout": re.compile(
                        r'"stackTrace": \["  File \\"/var/task/app.py\\", line 5, in handler\\n    1 / 0\\n    ~~\^~~\\n"\], '
                        r'"errorType": "ZeroDivisionError", "errorMessage": "division by zero", "requestId": "rid-1", '
                        r'"location": "<string>:<module>:1"\}\n'
                    )
                },
            ),
            Case(
                name="exc_info and stack_info and stacklevel",
                files=LOGS_AN_EXCEPTION,
                events=WITH_STACK,
                environment=JSON,
                shows={"stdout": re.compile('"location": "/var/task/app.py:handler:7"}\n'), "calls": no_failures},
            ),
        ],
    ),
    Behaviour(
        "L11",
        "A JSON record's level is the standard one at or below its own.",
        in_both_formats(LEVELS),
    ),
    Behaviour(
        "L12", "A dict that is logged stays an object in JSON; all else is logged as its text.", in_both_formats(MESSAGES)
    ),
    Behaviour(
        "L13",
        "`extra` goes into a JSON record behind Lambda's keys, as text where JSON has no form for it.",
        in_both_formats(EXTRAS),
    ),
    Behaviour(
        "L14",
        "`exc_info=True` without an exception is a record without one.",
        [
            Case(
                name="logger.error outside of an except block",
                files=NO_EXCEPTION,
                events=[{}],
                environment=JSON,
                better=Better(
                    "the managed runtime fails the invocation",
                    one_line(
                        '{"timestamp": "<time>", "level": "ERROR", "message": "m", "logger": "root", "requestId": "rid-1", '
                        '"location": "/var/task/app.py:handler:3"}\n',
                        "",
                    ),
                ),
            )
        ],
    ),
    Behaviour(
        "L15",
        "A record that cannot be formatted is told on standard error.",
        [
            Case(
                name=f"an argument without a place for it in {log_format}",
                files=NO_PLACE_FOR_IT,
                events=[{}],
                environment=environment,
                better=Better(
                    "as the handlers of Python's library do; the managed runtime fails the invocation",
                    one_line("", TOLD_ON_STDERR),
                ),
            )
            for log_format, environment in FORMATS.items()
        ],
    ),
]
"""Those behaviours of logging that are about single records."""
