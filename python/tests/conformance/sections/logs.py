"""Logging: what is set up for the function, what the environment says about it, and what the function may change."""

import re

from conformance.case import Behaviour, Case, Section, by_number
from conformance.expectations import no_failures
from conformance.sections.log_records import FORMATS, JSON, LOGS, RECORDS
from playing import Files
from reference import Better

SET_UP = [
    "[type(h).__name__ for h in logging.getLogger().handlers]",
    "[isinstance(h, logging.Handler) for h in logging.getLogger().handlers]",
    "[h.level for h in logging.getLogger().handlers]",
    "[hasattr(h, 'log_sink') for h in logging.getLogger().handlers]",
    "[len(h.filters) for h in logging.getLogger().handlers]",
    "[isinstance(h.formatter, logging.Formatter) for h in logging.getLogger().handlers]",
    "[h.formatter.datefmt for h in logging.getLogger().handlers]",
    "logging.Formatter.converter.__name__",
    "logging.getLogger().level",
    "logging.getLogger().disabled",
    "logging.lastResort is not None",
]


def set_up(log_format: str, level: str | None, handler: str) -> Case:
    return Case(
        name=log_format if level is None else f"{log_format} with AWS_LAMBDA_LOG_LEVEL={level}",
        files={
            "app.py": """
                import logging
                def handler(event, context):
                    return eval(event)
            """
        },
        events=SET_UP,
        environment={**FORMATS[log_format], "AWS_LAMBDA_LOG_LEVEL": level},
        shows={"calls": no_failures, "rid-1": {"body": f'["{handler}"]'}},
    )


LOGS_AT_EVERY_LEVEL: Files = {
    "app.py": """
        import logging
        def handler(event, context):
            for level in (5, 10, 20, 30, 40, 50):
                logging.log(level, "at %d", level)
            return logging.getLogger().level
    """
}

# The levels that the environment may name, and what the root logger's is then.
LEVELS = {
    "DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "FATAL": 50, "CRITICAL": 50, "NOTSET": 0, "TRACE": 10,
    "debug": 10, "Info": 20, "trace": 30, "bogus": 30, "10": 30, " INFO": 30, "": 30,
}  # fmt: skip


def leveled(log_format: str, level: str, number: int) -> Case:
    return Case(
        name=f"{level!r} in {log_format}",
        files=LOGS_AT_EVERY_LEVEL,
        events=[{}],
        environment={**FORMATS[log_format], "AWS_LAMBDA_LOG_LEVEL": level},
        shows={"rid-1": {"body": str(number)}, "stdout": re.compile("at 50")},
    )


FAILS: Files = {
    "app.py": """
        def handler(event, context):
            raise ValueError("v")
    """
}

LOG_FORMATS = {"json": True, "Json": True, " JSON": False, "Text": False, "TEXT": False, "": False, "bogus": False}


# What shows that the function's records come.
ERROR = r'\tm\n|"message": "m"'
INFO = r'\ti\n|"message": "i"'
NO_RECORDS = r"^logged\n$"


def in_both_formats(name: str, statement: str, **shows: str) -> list[Case]:
    """The function changes something at import, and then logs."""
    return [
        Case(
            name=f"{name} in {log_format}",
            files={
                "app.py": f"""
                    import logging, logging.config
                    {statement}
                    def handler(event, context):
                        logging.getLogger("my.logger").error("m")
                        logging.getLogger("my.logger").info("i")
                        context.log("logged\\n")
                """
            },
            events=[{}],
            environment=environment,
            shows={"rid-1": {"body": "null"}, **{place: re.compile(pattern) for place, pattern in shows.items()}},
        )
        for log_format, environment in FORMATS.items()
    ]


DICT_CONFIG = """logging.config.dictConfig({
                        "version": 1,
                        "root": {"level": "INFO", "handlers": ["console"]},
                        "formatters": {"mine": {"format": "mine %(message)s"}},
                        "handlers": {
                            "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "mine"}
                        },
                    })"""
NO_HANDLERS = "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False, 'root': {'level': 'INFO'}})"

# A record of the first seconds of 1970, and the form of the time stamp of a failure.
PRECISION: Files = {
    "app.py": """
        import io, json, logging, re, sys
        def shape(line):
            return re.sub(r"\\d", "9", json.loads(line)["timestamp"])
        def handler(event, context):
            if event == "fail":
                sys.stdout = io.StringIO()
                raise ValueError("v")
            if event == "of the failure":
                return shape(sys.stdout.getvalue())
            record = logging.LogRecord("my.logger", logging.ERROR, "app.py", 1, "m", None, None)
            record.created, record.msecs = 5.125, 125.0
            return json.loads(logging.getLogger().handlers[0].format(record))["timestamp"]
    """
}


def precise(value: str) -> Case:
    return Case(
        name=value or "empty",
        files=PRECISION,
        events=["record", "fail", "of the failure"],
        environment={**JSON, "AWS_LAMBDA_LOG_TIMESTAMP_PRECISION": value},
        shows={"rid-1": {"body": '"1970-01-01T00:00:05Z"'}, "rid-3": {"body": '"9999-99-99T99:99:99Z"'}},
    )


FRAMES = "_LAMBDA_TELEMETRY_LOG_FD"
FALSE_WARNING = "the managed runtime's warning is not true of a runtime that people pin themselves"

IMPORTED_IN_OTHER_WAYS = {
    "after it was looked for": """
import importlib.util
assert importlib.util.find_spec("logging").name == "logging"
import logging
""",
    "after an import that failed": """
import sys
before = sys.modules.get("traceback")
sys.modules["traceback"] = None
try:
    import logging
except ImportError:
    pass
del sys.modules["traceback"]
if before:
    sys.modules["traceback"] = before
import logging
""",
    "after a copy of it": """
import importlib.util
spec = importlib.util.find_spec("logging")
copy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(copy)
assert copy.getLogger().handlers == []
import logging
""",
    "once more": """
import logging, sys
first = sys.modules.pop("logging")
import logging
assert logging is not first and logging.getLogger().handlers == []
logging = first
""",
}

SECTION = Section(
    "Logging",
    by_number(
        [
            *RECORDS,
            Behaviour(
                "L1",
                "The root logger has one handler before the function is imported; its class is "
                "`LambdaLoggerHandlerWithFrameType` for JSON or with a level, otherwise `LambdaLoggerHandler`.",
                [
                    set_up(log_format, level, "LambdaLoggerHandlerWithFrameType" if framed else "LambdaLoggerHandler")
                    for log_format in FORMATS
                    for level in (None, "INFO", "bogus", "")
                    if [framed := log_format == "JSON" or bool(level)]
                ],
            ),
            Behaviour(
                "L23",
                "However `logging` comes to be imported, its root logger has the handler.",
                [
                    Case(
                        name=name,
                        files={"app.py": source + "def handler(event, context): logging.getLogger().error('m')\n"},
                        events=[{}],
                        shows={"stdout": re.compile(r"^\[ERROR\]\t\S+\trid-1\tm\n$")},
                    )
                    for name, source in IMPORTED_IN_OTHER_WAYS.items()
                ],
            ),
            Behaviour(
                "L7",
                "`AWS_LAMBDA_LOG_LEVEL` is the root logger's level if Python knows it, in any case; `TRACE` is `DEBUG`. "
                "An invocation's failure is logged at every level.",
                [
                    *(leveled(log_format, level, number) for log_format in FORMATS for level, number in LEVELS.items()),
                    *(
                        Case(
                            name=f"a failure under CRITICAL in {log_format}",
                            files=FAILS,
                            events=[{}],
                            environment={**environment, "AWS_LAMBDA_LOG_LEVEL": "CRITICAL"},
                            shows={"stdout": re.compile("ERROR.*ValueError")},
                        )
                        for log_format, environment in FORMATS.items()
                    ),
                ],
            ),
            Behaviour(
                "L8",
                "Logs are JSON when `AWS_LAMBDA_LOG_FORMAT` says so in any case, and text otherwise.",
                [
                    Case(
                        name=repr(name),
                        files=LOGS,
                        events=["logger.error('m')"],
                        environment={"AWS_LAMBDA_LOG_FORMAT": name},
                        shows={"stdout": re.compile(r"^\{" if is_json else r"^\[ERROR\]\t")},
                    )
                    for name, is_json in LOG_FORMATS.items()
                ],
            ),
            Behaviour(
                "L16",
                "`logging.basicConfig` does nothing, as there is a handler; with `force=True` it replaces Lambda's.",
                [
                    *in_both_formats(
                        "basicConfig", "logging.basicConfig(level='INFO', format='mine %(message)s')", stdout=ERROR
                    ),
                    *in_both_formats(
                        "force=True",
                        "logging.basicConfig(force=True, format='mine %(message)s')",
                        stdout=NO_RECORDS,
                        stderr="^mine m\n$",
                    ),
                ],
            ),
            Behaviour(
                "L17",
                "Without handlers records go to standard error, and `context.log` still to standard output.",
                [
                    *in_both_formats(
                        "handlers cleared", "logging.getLogger().handlers.clear()", stdout=NO_RECORDS, stderr="^m\n$"
                    ),
                    *in_both_formats("dictConfig without handlers", NO_HANDLERS, stdout=NO_RECORDS, stderr="^m\n$"),
                ],
            ),
            Behaviour(
                "L18",
                "A background thread's records have the id of the invocation that is running.",
                [
                    Case(
                        name="a thread of the invocation before",
                        files={
                            "app.py": """
                                import logging, threading
                                again = threading.Event()
                                def work():
                                    logging.error("first")
                                    again.wait(10)
                                    logging.error("second")
                                thread = threading.Thread(target=work)
                                def handler(event, context):
                                    if event == 1:
                                        thread.start()
                                    else:
                                        again.set()
                                        thread.join()
                            """
                        },
                        events=[1, 2],
                        shows={"stdout": re.compile("\trid-2\tsecond\n$")},
                    )
                ],
            ),
            Behaviour(
                "L19",
                "Nothing is logged about preview versions of Python.",
                [
                    Case(
                        name="AWS_EXECUTION_ENV=AWS_Lambda_python3.15",
                        files=LOGS,
                        environment={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.15"},
                        script={"pipes": [FRAMES]},
                        events=["logger.error('m')"],
                        better=Better(FALSE_WARNING, {FRAMES: [["a55a0003", "[ERROR]\t<time>\trid-1\tm\n"]]}),
                    ),
                    Case(
                        name="LAMBDA_DISABLE_PREVIEW_WARN",
                        files=LOGS,
                        environment={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.15", "LAMBDA_DISABLE_PREVIEW_WARN": "1"},
                        script={"pipes": [FRAMES]},
                        events=["logger.error('m')"],
                    ),
                ],
            ),
            Behaviour(
                "L20",
                "`AWS_LAMBDA_LOG_TIMESTAMP_PRECISION=milliseconds` gives JSON records and errors times with milliseconds; "
                "otherwise they have whole seconds.",
                [
                    Case(
                        name="milliseconds",
                        files=PRECISION,
                        events=["record", "fail", "of the failure"],
                        environment={**JSON, "AWS_LAMBDA_LOG_TIMESTAMP_PRECISION": "milliseconds"},
                        better=Better(
                            "the managed runtime has whole seconds only",
                            {
                                "rid-1": {"body": '"1970-01-01T00:00:05.125Z"'},
                                "rid-3": {"body": '"9999-99-99T99:99:99.999Z"'},
                            },
                        ),
                    ),
                    precise("seconds"),
                    precise(""),
                ],
            ),
            Behaviour(
                "L21",
                "When the function cannot be imported, the error is all that is logged.",
                [
                    Case(
                        name="an exception at import",
                        files={
                            "app.py": """
                                import logging
                                logging.getLogger().handlers[0].setFormatter(logging.Formatter("mine %(message)s\\n"))
                                1 / 0
                            """
                        },
                        better=Better(
                            FALSE_WARNING, {"stdout": re.compile(r"^\[ERROR\] ZeroDivisionError: division by zero\r[^\n]*\n$")}
                        ),
                    )
                ],
            ),
            Behaviour(
                "L22",
                "The function may set levels, filters, formats and handlers of its own.",
                [
                    *in_both_formats("setLevel", "logging.getLogger().setLevel('INFO')", stdout=INFO),
                    *in_both_formats("dictConfig", DICT_CONFIG, stdout="^mine m\nmine i\nlogged\n$"),
                    *in_both_formats(
                        "a second handler",
                        "logging.getLogger().addHandler(logging.StreamHandler())",
                        stdout=ERROR,
                        stderr="^m\n$",
                    ),
                    *in_both_formats(
                        "a filter that drops",
                        "logging.getLogger().handlers[0].addFilter(lambda record: record.name != 'my.logger')",
                        stdout=NO_RECORDS,
                    ),
                    *in_both_formats(
                        "a level on the handler", "logging.getLogger().handlers[0].setLevel(50)", stdout=NO_RECORDS
                    ),
                    *in_both_formats(
                        "a record factory",
                        "logging.setLogRecordFactory(lambda *a, **k: logging.LogRecord(*a[:4], 'made', (), *a[6:], **k))",
                        stdout="made",
                    ),
                    *in_both_formats("disabled", "logging.disable(50)", stdout=NO_RECORDS),
                    *in_both_formats(
                        "a logger that does not propagate",
                        "logging.getLogger('my.logger').propagate = False",
                        stdout=NO_RECORDS,
                    ),
                ],
            ),
        ]
    ),
)
