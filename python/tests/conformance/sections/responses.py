"""What handlers return, as the bytes that Lambda gets."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from conformance.case import Behaviour, Case, Section
from conformance.sections import values
from conformance.sections.values import ANSWERS_WITH_ITS_EVENT, ASKS_WHILE_ENCODING
from playing import Files
from reference import Better

ALL_IS_ANSWERED = ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"]


def encoded(name: str, expressions: Sequence[str], first: str) -> Case:
    """Values that are answers; `first` is the body of the first."""
    shows = {"rid-1": {"call": "POST rid-1/response", "content-type": "application/json", "body": first}}
    return Case(name=name, files=ANSWERS_WITH_ITS_EVENT, events=expressions, shows=shows)


def refused(name: str, expressions: Sequence[str], first: str, better: Better | None = None) -> Case:
    """Values that are `Runtime.MarshalError`, and what is said of the first; the process goes on."""
    last = f"rid-{len(expressions) + 1}"
    message = json.dumps(f"Unable to marshal response: {first}")
    return Case(
        name=name,
        files=ANSWERS_WITH_ITS_EVENT,
        events=[*expressions, "'next'"],
        shows={
            "rid-1": {
                "call": "POST rid-1/error",
                "body": re.compile(re.escape(f'{{"errorMessage": {message}, "errorType": "Runtime.MarshalError"')),
            },
            last: {"call": f"POST {last}/response", "body": '"next"'},
        },
        better=better,
    )


SHOWS_WHAT_WAS_RAISED = Better(
    "the log shows where it was raised",
    {
        "stdout": re.compile(
            r"^\[ERROR\] Runtime.MarshalError: Unable to marshal response: no dict\rTraceback \(most recent call last\):\r"
            '\u00a0\u00a0File "/var/task/app.py", line \\d+, in _asdict\r[^\n]*\rValueError: no dict\n'
        )
    },
)


def too_deep(name: str, expression: str) -> Case:
    """The process is a fresh one. What stands in the log is met at the very end of the stack."""
    case = refused(name, [expression], "<nested too deeply>")
    return replace(case, free={"stdout": "what the log can say at the end of the stack depends on the size of C frames"})


def lone_surrogate(name: str, expression: str, body: str) -> Case:
    return Case(
        name=name,
        files=ANSWERS_WITH_ITS_EVENT,
        events=[expression, "'next'"],
        better=Better(
            "the managed runtime's process dies without an answer; ours writes the escape that JSON has for it",
            {
                "calls": ALL_IS_ANSWERED,
                "ending": "signal 9",
                "stderr": "",
                "rid-1": {"call": "POST rid-1/response", "content-type": "application/json", "body": body},
                "rid-2": {"body": '"next"'},
            },
        ),
    )


SEVEN_MEGABYTES: Files = {"app.py": "def handler(event, context): return ['é' * 1000] * 3500"}

ERRS_IN_ANOTHER_ENVIRONMENT: Files = {
    "app.py": """
        def handler(event, context):
            if event == "fail":
                raise ValueError("é")
            return event
    """
}

SECTION = Section(
    "Responses",
    [
        Behaviour(
            "R1",
            "A response is JSON with `, ` and `: ` between its parts, and keys in the order in which they were set.",
            [encoded("dicts, lists and tuples", values.CONTAINERS, '{"b": 1, "a": {"2": 3, "null": 4}, "x": [1, 2]}')],
        ),
        Behaviour("R2", "`None` is `null`.", [encoded("None, True, False", values.CONSTANTS, "null")]),
        Behaviour(
            "R3",
            "`bytes` are the response's very bytes, with content type `application/unknown`.",
            [
                Case(
                    name="bytes",
                    files=ANSWERS_WITH_ITS_EVENT,
                    events=values.BYTES,
                    shows={"rid-1": {"call": "POST rid-1/response", "content-type": "application/unknown", "body": "raw"}},
                ),
                Case(
                    name="every byte there is",
                    files=ANSWERS_WITH_ITS_EVENT,
                    events=["bytes(range(256))"],
                    shows={"rid-1": {"content-type": "application/unknown"}},
                ),
            ],
        ),
        Behaviour(
            "R4",
            "Text beyond ASCII is written as it is, in UTF-8.",
            [
                encoded("text", values.TEXT, '"é😀"'),
                Case(
                    name="in a process that is named after an older Python",
                    files=ERRS_IN_ANOTHER_ENVIRONMENT,
                    environment={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"},
                    events=["é", "fail"],
                    better=Better(
                        "the same JSON in fewer bytes",
                        {
                            "rid-1": {"call": "POST rid-1/response", "body": '"é"'},
                            "rid-2": {
                                "call": "POST rid-2/error",
                                "body": re.compile('{"errorMessage": "é", "errorType": "Val'),
                            },
                        },
                    ),
                ),
            ],
        ),
        Behaviour(
            "R5",
            "Quotes, backslashes and control characters are escaped, and nothing else.",
            [encoded("escapes", values.ESCAPES, r'"\"\\\n\r\t\b\f"')],
        ),
        Behaviour(
            "R6",
            "A lone surrogate in a text does not cost the answer.",
            [
                lone_surrogate("a text", r"'\ud800'", r'"\ud800"'),
                lone_surrogate("in a list", r"['a\udfff']", r'["a\udfff"]'),
                lone_surrogate("as a key", r"{'\ud800': 1}", r'{"\ud800": 1}'),
                lone_surrogate("two, the wrong way round", r"'\ude00\ud83d'", r'"\ude00\ud83d"'),
            ],
        ),
        Behaviour(
            "R7",
            "`nan` and infinities are `NaN`, `Infinity` and `-Infinity`.",
            [encoded("not numbers", values.NOT_NUMBERS, "NaN")],
        ),
        Behaviour("R8", "Floats are written as Python writes them.", [encoded("floats", values.FLOATS, "1e+16")]),
        Behaviour(
            "R9",
            "Integers of more than 4,300 digits are refused.",
            [
                encoded("up to 4,300 digits", values.INTEGERS, f"1{'0' * 100}"),
                refused(
                    "4,301 digits",
                    ["10**4300", "[10**4300]", "{10**4300: 1}"],
                    "Exceeds the limit (4300 digits) for integer string conversion; use sys.set_int_max_str_digits() "
                    "to increase the limit",
                ),
            ],
        ),
        Behaviour(
            "R10",
            "A `Decimal` is a number, with all of its digits.",
            [encoded("decimals", values.DECIMALS, "1.10")],
        ),
        Behaviour(
            "R11",
            "A `Decimal` cannot be a key.",
            [refused("a decimal", ["{Decimal(1): 1}"], "keys must be str, int, float, bool or None, not Decimal")],
        ),
        Behaviour(
            "R12",
            "A named tuple, and whatever has a method `_asdict`, is an object.",
            [
                encoded("named tuples", values.NAMED_TUPLES, '[{"x": 1, "y": {"x": 2, "y": 3}}]'),
                refused("_asdict returns something else", values.NO_DICTS, "_asdict() must return a dict, not int"),
                refused("_asdict raises", values.RAISING, "no dict", SHOWS_WHAT_WAS_RAISED),
            ],
        ),
        Behaviour(
            "R13",
            "`bytes` inside a response are text in UTF-8.",
            [
                encoded("bytes", values.INNER_BYTES, '{"a": "xé"}'),
                refused(
                    "not UTF-8",
                    ["[b'\\xff']", "{'a': b'a\\xe9'}", "{b'\\xff': 1}"],
                    "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
                ),
            ],
        ),
        Behaviour(
            "R14",
            "Subclasses of Python's basic types are written as these, however they print themselves. So are enumerations. "
            "Of numbers it is what `int()` and `float()` make of them.",
            [
                encoded("subclasses", values.SUBCLASSES, "5"),
                encoded("enumerations", values.ENUMERATIONS, '[1, "red"]'),
                refused("what makes no number", values.NOT_CONVERTED, "__int__ returned non-int (type str)"),
            ],
        ),
        Behaviour(
            "R15",
            "Everything else is refused: `Runtime.MarshalError` with the name of its type.",
            [
                refused("other types", values.UNKNOWN_TYPES, "Object of type datetime is not JSON serializable"),
                refused("inside a response", values.UNKNOWN_INSIDE, "Object of type set is not JSON serializable"),
            ],
        ),
        Behaviour(
            "R16",
            "A method `for_json` is not asked.",
            [refused("for_json", ["ForJson()"], "Object of type ForJson is not JSON serializable")],
        ),
        Behaviour(
            "R17",
            "simplejson's `RawJSON` is written as it is.",
            note="free: there is no simplejson in Whipsnake, and the class of a function's own copy is not the runtime's",
        ),
        Behaviour(
            "R18",
            "Keys are written as their values would be, and those that JSON cannot have are refused.",
            [
                encoded("keys", values.KEYS, '{"1": 2}'),
                refused("other keys", values.NO_KEYS, "keys must be str, int, float, bool or None, not tuple"),
            ],
        ),
        Behaviour(
            "R19",
            "What contains itself is refused.",
            [
                refused(
                    "circles",
                    [
                        "circular_list()",
                        "circular_dict()",
                        "[circular_dict(), 1]",
                        "(lambda a: a.append({'x': (a,)}) or a)([])",
                        # Below the depth at which the encoder changes how it looks for cycles, at it and above it.
                        *(f"nested({depth}, lambda v: [v], circular_list())" for depth in (14, 15, 16, 17, 300)),
                        "(lambda a: a.append(nested(300, lambda v: [v], a)) or a)([])",
                        # What comes before the cycle is written once.
                        "(lambda a: a.extend([AsDictPrints(), {'x': a}]) or a)([])",
                        "(lambda a: nested(40, lambda v: [v], a.extend([AsDictPrints(), {'x': a}]) or a))([])",
                    ],
                    "Circular reference detected",
                ),
                encoded(
                    "the same container twice",
                    ["(lambda a: [a, a, {'x': a}])([1])", "(lambda a: nested(20, lambda v: [v], [a, a, [a, [a]]]))([1])"],
                    '[[1], [1], {"x": [1]}]',
                ),
            ],
        ),
        Behaviour(
            "R20",
            "What is nested too deeply fails its invocation and not the process.",
            [
                encoded(
                    "800 levels", ["nested(800, lambda v: [v])", "nested(800, lambda v: {'a': v})"], "[" * 800 + "1" + "]" * 800
                ),
                too_deep("100,000 lists", "nested(100000, lambda v: [v])"),
                too_deep("100,000 dicts", "nested(100000, lambda v: {'a': v})"),
                too_deep("100,000 tuples", "nested(100000, lambda v: (v,))"),
            ],
        ),
        Behaviour(
            "R21",
            "A response that is refused is an error without a stack trace, in the log as well.",
            [
                Case(
                    name="a set",
                    files=ANSWERS_WITH_ITS_EVENT,
                    events=["{1}"],
                    shows={
                        "rid-1": {
                            "call": "POST rid-1/error",
                            "content-type": "application/json",
                            "body": '{"errorMessage": "Unable to marshal response: Object of type set is not JSON '
                            'serializable", "errorType": "Runtime.MarshalError", "requestId": "rid-1", "stackTrace": []}',
                            "x-ray": {"paths": []},
                        },
                        "stdout": "[ERROR] Runtime.MarshalError: Unable to marshal response: Object of type set is not JSON "
                        "serializable\rTraceback (most recent call last):\n",
                    },
                )
            ],
        ),
        Behaviour(
            "R22",
            "A response is sent whole, however large it is: Lambda decides what is too large.",
            [
                Case(
                    name="7 MB",
                    files=SEVEN_MEGABYTES,
                    events=[{}],
                    shows={"calls": ["GET next", "POST rid-1/response", "GET next"]},
                )
            ],
        ),
        Behaviour(
            "R23",
            "A function may put a marshaller of its own into `LambdaRuntimeClient.marshaller`.",
            [
                Case(
                    name="a marshaller for HTML",
                    files=values.OTHER_MARSHALLER,
                    events=["a"],
                    shows={
                        "rid-1": {
                            "call": "POST rid-1/response",
                            "content-type": "text/html",
                            "body": "<['\"a\"', 'application/json']>",
                        }
                    },
                ),
                Case(
                    name="one that writes dates and refuses text",
                    files=values.MARSHALLER_WITH_DATES,
                    events=["date", "text", "set"],
                    shows={
                        "rid-1": {"call": "POST rid-1/response", "content-type": "application/json", "body": '"2026-11-21"'},
                        "rid-2": {"call": "POST rid-2/error", "body": re.compile('"no text", "errorType": "My.Error"')},
                        "rid-3": {"call": "POST rid-3/error", "body": re.compile("Runtime.MarshalError")},
                    },
                ),
            ],
        ),
        Behaviour(
            "R24",
            "Methods of the function that are called while a response is written are called in the order of its parts.",
            [
                Case(
                    name="_asdict prints",
                    files=ASKS_WHILE_ENCODING,
                    events=[{}],
                    shows={"stdout": "asdict x\nB\nasdict y\n", "rid-1": {"body": '[{"x": {}}, {"k": {"y": null}}]'}},
                )
            ],
        ),
        Behaviour(
            "R25",
            "What is raised while a response is written, and is no `Exception`, ends the process as it would end Python.",
            [
                Case(
                    name="SystemExit",
                    files=ANSWERS_WITH_ITS_EVENT,
                    events=["AsDictExits()"],
                    shows={"calls": ["GET next"], "ending": "exit code 5"},
                )
            ],
        ),
    ],
)
