"""Handlers that fail: what is reported, what is logged, and what becomes of the process."""

import re
from collections.abc import Mapping, Sequence

from conformance.case import Behaviour, Case, Section
from conformance.sections.exits import DEATHS, EXITS, NO_EXCEPTIONS
from conformance.sections.handler_tracebacks import CAUSES_NOTES_GROUPS
from conformance.sections.raised import (
    CALLS_ITS_EVENT,
    CHANGES_FOLDER,
    DIVIDES,
    ELSEWHERE,
    FRAMES,
    GONE,
    KINDS,
    RAISES_A_FAULT,
    RAISES_ITS_EVENT,
    TEXTS,
)
from conformance.sections.survived import CONTROL_CHARACTERS, INCOMPLETE, LONG_MESSAGES, SURROGATES
from playing import ENDED_AFTER_THE_LAST_EVENT, Files
from reference import Better, Expected


def functions(name: str, source: str, shows: Mapping[str, Expected], files: Files | None = None, **environment: str) -> Case:
    """A handler that calls the function that the event names: each one of `source`, and all of them once more."""
    names = re.findall(r"^def (\w+)\(\):", source, re.MULTILINE)
    return Case(
        name=name,
        files={"app.py": source + CALLS_ITS_EVENT, **(files or {})},
        events=names * 2,
        environment=environment,
        shows=shows,
    )


def texts(name: str, shows: Mapping[str, Expected], **environment: str) -> Case:
    """A handler that raises each of TEXTS."""
    return Case(name=name, files={"app.py": RAISES_ITS_EVENT}, events=TEXTS, environment=environment, shows=shows)


def faults(name: str, events: Sequence[object], shows: Mapping[str, Expected], free: Mapping[str, str] | None = None) -> Case:
    return Case(name=name, files={"app.py": RAISES_A_FAULT}, events=events, shows=shows, free=free or {})


SECTION = Section(
    "Exceptions",
    [
        Behaviour(
            "X1",
            "An exception is reported with its message, its class and its stack.",
            [
                Case(
                    name="1/0",
                    files={"app.py": DIVIDES},
                    events=[{}],
                    shows={
                        "calls": ["GET next", "POST rid-1/error", "GET next"],
                        "rid-1": {
                            "content-type": "application/json",
                            "error-type": None,
                            "body": '{"errorMessage": "division by zero", "errorType": "ZeroDivisionError", '
                            '"requestId": "rid-1", "stackTrace": '
                            '["  File \\"/var/task/app.py\\", line 2, in handler\\n    return 1/0\\n"]}',
                        },
                    },
                )
            ],
        ),
        Behaviour(
            "X2",
            "The stack has an entry a frame: file, line, function, and the first line of the statement; no marks.",
            [
                functions(
                    "frames of many kinds",
                    FRAMES,
                    {"rid-1": {"body": re.compile("in nested_functions")}, "ending": ENDED_AFTER_THE_LAST_EVENT},
                    {"other.py": ELSEWHERE},
                ),
                Case(
                    name="a file that is gone",
                    files=GONE,
                    events=[{}],
                    shows={"rid-1": {"body": re.compile(r'gone.py\\", line 2, in fail\\n"\]\}$')}},
                ),
            ],
        ),
        Behaviour(
            "X3",
            "The runtime's own frames are no part of it.",
            [
                Case(
                    name="bootstrap.py",
                    files={"bootstrap.py": DIVIDES},
                    handler="bootstrap.handler",
                    events=[{}],
                    shows={"rid-1": {"body": re.compile(r'bootstrap.py\\", line 2, in handler')}},
                ),
                Case(
                    name="bootstrap.py that calls another module",
                    files={
                        "bootstrap.py": "import other\ndef handler(event, context):\n    other.fail()\n",
                        "other.py": ELSEWHERE,
                    },
                    handler="bootstrap.handler",
                    events=[{}],
                    better=Better(
                        "the managed runtime takes frames of a file named `bootstrap.py` for its own",
                        {
                            "rid-1": {
                                "body": re.compile(r'bootstrap.py\\", line 3, in handler.*other.py\\", line 2, in fail'),
                                "x-ray": {"paths": ["/var/task/bootstrap.py", "/var/task/other.py"]},
                            },
                            "stdout": re.compile(r'bootstrap.py", line 3, in handler.*other.py", line 2, in fail'),
                        },
                    ),
                ),
            ],
        ),
        Behaviour(
            "X4",
            "Of a recursion without end, the stack has three frames and a count.",
            [
                Case(
                    name="a function that calls itself",
                    files={"app.py": "def f():\n    f()\ndef handler(event, context):\n    f()\n"},
                    events=[{}],
                    shows={"rid-1": {"body": re.compile('"errorType": "RecursionError".*Previous line repeated')}},
                    free={"rid-1/x-ray": "how many frames a recursion may have depends on how many the runtime has itself"},
                )
            ],
        ),
        Behaviour(
            "X5",
            "The type is the name of the class alone, the message is `str(error)`.",
            [
                functions(
                    "exceptions of many kinds",
                    KINDS,
                    {"rid-1": {"body": re.compile('^{"errorMessage": "message", "errorType": "ValueError", ')}},
                ),
                texts("messages", {"rid-2": {"body": re.compile('^{"errorMessage": "", "errorType": "ValueError", ')}}),
            ],
        ),
        Behaviour("X6", "The report has neither causes nor notes nor the members of a group.", CAUSES_NOTES_GROUPS),
        Behaviour(
            "X7",
            "`sys.tracebacklimit` shortens the stack, too.",
            [
                Case(
                    name="0",
                    files={"app.py": f"import sys\nsys.tracebacklimit = 0\n{DIVIDES}"},
                    events=[{}],
                    shows={"rid-1": {"body": re.compile(r'"errorType": "ZeroDivisionError".*"stackTrace": \[\]')}},
                ),
                Case(
                    name="1",
                    files={"app.py": f"import sys\nsys.tracebacklimit = 1\n{DIVIDES}"},
                    events=[{}],
                    better=Better(
                        "frames of the runtime do not count",
                        {
                            "rid-1": {"body": re.compile("line 4, in handler"), "x-ray": {"paths": ["/var/task/app.py"]}},
                            "stdout": re.compile("line 4, in handler"),
                        },
                    ),
                ),
                Case(
                    name="0 while importing",
                    files={"app.py": "import sys\nsys.tracebacklimit = 0\n1 / 0"},
                    shows={"init/error": {"error-type": "ZeroDivisionError"}, "ending": "exit code 1"},
                    free=dict.fromkeys(
                        ("init/error/body", "stdout"), "a frame of the import system may be left where no stack is wanted"
                    ),
                ),
            ],
        ),
        Behaviour(
            "X8",
            "In the log, an exception is one record: its lines are joined by carriage returns and begin with spaces that do "
            "not break.",
            [
                Case(
                    name="1/0",
                    files={"app.py": DIVIDES},
                    events=[{}],
                    shows={
                        "stdout": "[ERROR] ZeroDivisionError: division by zero\rTraceback (most recent call last):\r"
                        '\u00a0\u00a0File "/var/task/app.py", line 2, in handler\r\u00a0\u00a0\u00a0\u00a0return 1/0\n'
                    },
                ),
                texts("messages", {"stdout": re.compile("^\\[ERROR\\] ValueError: message\r.*\n\\[ERROR\\] ValueError\r")}),
            ],
        ),
        Behaviour(
            "X9",
            "With `AWS_LAMBDA_LOG_FORMAT=JSON` it is a line of JSON, whatever the log level is.",
            [
                texts(
                    "messages",
                    {"stdout": re.compile('^{"timestamp": "<time>", "level": "ERROR", "errorMessage": "message", ')},
                    AWS_LAMBDA_LOG_FORMAT="JSON",
                ),
                functions(
                    "frames of many kinds",
                    FRAMES,
                    {"stdout": re.compile(r'"stackTrace": \["  File \\"/var/task/app.py\\", line')},
                    {"other.py": ELSEWHERE},
                    AWS_LAMBDA_LOG_FORMAT="JSON",
                ),
                texts(
                    "level FATAL",
                    {
                        "stdout": re.compile(
                            '"level": "ERROR", "errorMessage": "message", "errorType": "ValueError", "requestId": "rid-1", '
                        )
                    },
                    AWS_LAMBDA_LOG_FORMAT="JSON",
                    AWS_LAMBDA_LOG_LEVEL="FATAL",
                ),
            ],
        ),
        Behaviour(
            "X10",
            "X-Ray gets message, class and frames, the files, and the working directory.",
            [
                Case(
                    name="1/0",
                    files={"app.py": DIVIDES},
                    events=[{}],
                    shows={
                        "rid-1": {
                            "x-ray": {
                                "working_directory": "/var/task",
                                "exceptions": [
                                    {
                                        "message": "division by zero",
                                        "type": "ZeroDivisionError",
                                        "stack": [{"label": "handler", "path": "/var/task/app.py", "line": 2}],
                                    }
                                ],
                                "paths": ["/var/task/app.py"],
                            }
                        }
                    },
                ),
                Case(
                    name="working directories",
                    files={"app.py": CHANGES_FOLDER, "é日本/file": ""},
                    events=["é日本", "/"],
                    shows={
                        "rid-1": {"x-ray": {"working_directory": "/var/task/é日本"}},
                        "rid-2": {"x-ray": {"working_directory": "/"}},
                    },
                ),
            ],
        ),
        Behaviour(
            "X11",
            "Long messages are reported whole.",
            LONG_MESSAGES,
        ),
        Behaviour(
            "X12",
            "A message with a lone surrogate is reported.",
            SURROGATES,
        ),
        Behaviour(
            "X13",
            "An exception is reported even where parts of the report cannot be made.",
            INCOMPLETE,
        ),
        Behaviour(
            "X14",
            "A handler that exits has its way: nothing is reported, and the process ends as any Python program does.",
            EXITS,
        ),
        Behaviour(
            "X15",
            "Whatever else is no `Exception` ends the process, with its traceback on standard error, and is not reported.",
            NO_EXCEPTIONS,
        ),
        Behaviour(
            "X16",
            "awslambdaric's `FaultException` is reported as it says, and without frames for X-Ray.",
            [
                faults(
                    "traces",
                    [
                        ["My.Type", "message", ["t1", "  t2\n    t3"]],
                        ["My.Type", "message", []],
                        ["My.Type", "message", None],
                        ["My.Type", "message", [""]],
                        ["My.Type", "message"],
                        ["Mein.Typ", "é日本\n  zwei", ["a\nb", " x", "", "  y "]],
                    ],
                    {
                        "rid-1": {
                            "body": '{"errorMessage": "message", "errorType": "My.Type", "requestId": "rid-1", '
                            '"stackTrace": ["t1", "  t2\\n    t3"]}',
                            "x-ray": {
                                "exceptions": [{"message": "message", "type": "LambdaValidationError", "stack": []}],
                                "paths": [],
                            },
                        },
                        "stdout": re.compile(r"^\[ERROR\] My.Type: message\rTraceback \(most recent call last\):\rt1\r"),
                    },
                )
            ],
        ),
        Behaviour(
            "X17",
            "After an exception, the same process is there for the next event.",
            [
                Case(
                    name="1 / event",
                    files={
                        "app.py": "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    1 / event\n    return n\n"
                    },
                    events=[1, 0, 0, 1, 0, 1],
                    shows={"rid-3": {"call": "POST rid-3/error"}, "rid-6": {"body": "6"}, "ending": ENDED_AFTER_THE_LAST_EVENT},
                )
            ],
        ),
        Behaviour(
            "X18",
            "A process that ends itself or is killed ends as it would under Python.",
            DEATHS,
        ),
        Behaviour(
            "X19",
            "A report has all four keys, also where there is nothing to say.",
            [
                faults(
                    "empty",
                    [["", "", []], ["", "message", []], ["My.Type", "", []]],
                    {"rid-1": {"body": '{"errorMessage": "", "errorType": "", "requestId": "rid-1", "stackTrace": []}'}},
                ),
                faults(
                    "None",
                    [[None, None, None], [None, "message"], ["My.Type", None]],
                    {"rid-1": {"body": '{"errorMessage": "", "errorType": "", "requestId": "rid-1", "stackTrace": []}'}},
                    dict.fromkeys(["rid-1/x-ray", "rid-3/x-ray"], "X-Ray's message is null or empty"),
                ),
            ],
        ),
        Behaviour(
            "X20",
            "A message may have any control character.",
            CONTROL_CHARACTERS,
        ),
    ],
)
