"""Payloads to events."""

import json
import re
from collections.abc import Sequence

from conformance.case import Behaviour, Case, Section
from playing import Files, Step, event, payload
from reference import Better, Expected

# Strings with lone surrogates and floats that JSON has no word for survive repr.
SHOWS_THE_EVENT: Files = {
    "app.py": """
        def handler(event, context):
            text = repr(event)
            return [type(event).__name__, text if len(text) < 300 else [len(text), text[:100]]]
    """
}

ECHO: Files = {"app.py": "def handler(event, context): return event"}


def read(name: str, payloads: Sequence[bytes], shows: str) -> Case:
    """JSON that becomes an event; `shows` is what the function sees of the first."""
    return Case(
        name=name,
        files=SHOWS_THE_EVENT,
        events=[payload(body) for body in payloads],
        shows={"rid-1": {"call": "POST rid-1/response", "body": shows}},
    )


def refused(name: str, payloads: Sequence[bytes], message: str) -> Case:
    """What is no JSON, and the beginning of what the first is told; the process goes on."""
    last = f"rid-{len(payloads) + 1}"
    start = json.dumps({"errorMessage": f"Unable to unmarshal input: {message}"}, ensure_ascii=False)[:-2]
    shows: dict[str, Expected] = {
        "rid-1": {
            "call": "POST rid-1/error",
            "body": re.compile(re.escape(start) + ".*Runtime.UnmarshalError"),
            "x-ray": {"exceptions": lists_one("LambdaValidationError")},
        },
        last: {"call": f"POST {last}/response"},
    }
    return Case(name=name, files=SHOWS_THE_EVENT, events=[*map(payload, payloads), "next"], shows=shows)


def lists_one(error_type: str) -> Expected:
    def shows(exceptions: list[dict[str, object]]) -> bool:
        return [exception["type"] for exception in exceptions] == [error_type]

    return shows


def is_every_byte(body: object) -> bool:
    return body == {"not UTF-8": bytes(range(256)).decode("latin-1")}


def typed(content_type: str | None) -> Step:
    return payload(b'{"a": 1}', headers={"Content-Type": content_type})


def without_a_type(name: str, content_type: str | None) -> Case:
    return Case(
        name=name,
        files=SHOWS_THE_EVENT,
        events=[typed(content_type), "next"],
        better=Better(
            "the managed runtime crashes; Lambda's other runtimes read JSON",
            {
                "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"],
                "ending": "signal 9",
                "stderr": "",
                "rid-1": {"body": '["dict", "{\'a\': 1}"]'},
                "rid-2": {"body": '["str", "\'next\'"]'},
            },
        ),
    )


SCALARS = [b'"text"', b'""', b"17", b"1.5", b"null", b"true", b"false", b"0"]
CONTAINERS = [
    b'{"a": 1}', b'{"a": {"b": {"c": [1, {"d": null}]}}}', b"{}", b"[]", b'{"": 1}', b'[1, "a", null, true, false, 1.5]',
    b"[" * 100 + b"]" * 100, b'{"a":' * 100 + b"1" + b"}" * 100,
]  # fmt: skip
FLOATS = [
    b"1e400", b"-1e400", b"-0.0", b"1e5", b"[1E+2, 1e-2, 1.0e0]", b"[5e-324, 1e-400, 2.2250738585072014e-308]",
    b"[1.10, 1.0, 100.00]", b"[0.1000000000000000055511151231257827, 3.141592653589793238462643383279]", b"0." + b"1" * 5000,
    b"[9007199254740993.0, 1.7976931348623157e308, 123456789.123456789e-5]",
]  # fmt: skip
INTEGERS = [
    b"123456789012345678901234567890", b"-0", b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808",
    b"-9223372036854775809", b"1" * 4300, b"-" + b"1" * 4300,
]  # fmt: skip
ESCAPES = [rb'"\" \\ \/ \b \f \n \r \t \u0041 \u00e9 \u4e2d"', rb'"\u0000"']
SURROGATES = [
    rb'"\ud800"', rb'"\ud83d\ude00"', rb'"\udc00"', rb'"\ude00\ud83d"', rb'"\ud83d\u0041"', rb'{"\ud800": 1}'
]  # fmt: skip
TEXT = ['{"é": "ü"}', "\"ä '日本' 😀\"", '{"ключ": "значение"}', '"\u2028\u2029\u0085"']
NOT_UTF_8 = [b"\xff", b'"a\xff"', b'"\xed\xa0\x80"', b'"\xe4\xb8', b'"\xc0\xaf"', b'"\xf5\x80\x80\x80"', b'"\xf0\x9f\x98"']
OTHER_ENCODINGS = [
    '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le"), '{"a": 1}'.encode("utf-32"), '{"a": 1}'.encode("utf-32-be")
]  # fmt: skip
SPACES = [b' \t\r\n{ "a" :\t1 ,\n"b" : [ ] }\r\n ', b"\n1", b"1\n", b"[ ]", b"{ }"]
OTHER_SPACES = [b"\x0b1", b"\x0c1", b"1\x0b", "\u00a01".encode(), "\u20281".encode()]
CONTROLS = [b'"a\nb"', b'"a\tb"', b'"a\x00b"', b'"\x1f"', b'{"a\rb": 1}']
TRAILING = [b"{} x", b"01", b"1 2", b"1,", b"{}\x00", b"{} // comment", b"[1]]", b"0x10", b'"a" "b"', b"1.", b"1e"]
UNTERMINATED = [b'"abc', b'["abc', b'"abc\\', b'{"a": 1', b"[1, 2", b"{", b"[", b'{"a"', b'{"a":', b'{"a": 1,']
BAD_ESCAPES = [rb'"\x41"', rb'"\u12"', rb'"\u12g4"', rb'"\u"', rb'"\ud83d\u12"', b'"\\\n"', rb'"\u+123"']
BAD_NUMBERS = [b"-", b"+1", b".5", b"-a", b"[1.]", b"[-]", b"[01]"]
BAD_GRAMMAR = [
    b"{a: 1}", b"{'a': 1}", b"{1: 2}", b'{"a" 1}', b'{"a": }', b'{"a": 1 "b": 2}', b"[1 2]", b'{"a": 1,}', b"[1,]", b"[,]",
    b"[1}", b'{"a": 1]', b'{\n  "a": 1,\n  "b": ,\n}', '{"日本": é}'.encode(), b"{,}", b'{null: 1}',
]  # fmt: skip
LARGE = [
    json.dumps([*range(2000)]), json.dumps("é" * 20000), json.dumps({f"key{number}": number for number in range(500)}),
    json.dumps([{"id": number, "name": str(number)} for number in range(300)]), json.dumps({"k" * 300: 1}),
]  # fmt: skip

SIX_MEGABYTES = "x" * (6 * 1024 * 1024 - 2)

SECTION = Section(
    "Events",
    [
        Behaviour(
            "E1",
            "An event whose content type is anything but `application/json` is given to the handler as `bytes`.",
            [
                Case(
                    name="other content types",
                    files=SHOWS_THE_EVENT,
                    events=[
                        typed("text/plain"),
                        typed("application/octet-stream"),
                        typed("application/vnd.api+json"),
                        typed("Application/JSON"),
                        typed("application/json; charset=utf-8"),
                        typed("application/json"),
                    ],
                    shows={"rid-1": {"body": '["bytes", "b\'{\\"a\\": 1}\'"]'}, "rid-6": {"body": '["dict", "{\'a\': 1}"]'}},
                ),
                Case(
                    name="every byte there is",
                    files=ECHO,
                    events=[payload(bytes(range(256)), headers={"Content-Type": "image/png"})],
                    shows={"rid-1": {"content-type": "application/unknown", "body": is_every_byte}},
                ),
            ],
        ),
        Behaviour(
            "E2",
            "An event without a content type is JSON.",
            [without_a_type("no content type", None), without_a_type("an empty content type", "")],
        ),
        Behaviour(
            "E3",
            "Any JSON value is an event: objects and lists, but also text, numbers, `null`, `true` and `false`.",
            [read("single values", SCALARS, '["str", "\'text\'"]'), read("containers", CONTAINERS, '["dict", "{\'a\': 1}"]')],
        ),
        Behaviour(
            "E4",
            "An empty payload is refused: `Runtime.UnmarshalError` with the position in the payload.",
            [refused("no bytes and only spaces", [b"", b"  ", b"\n"], "Expecting value: line 1 column 1 (char 0)")],
        ),
        Behaviour(
            "E5",
            "Words that are not JSON's are refused.",
            [
                refused(
                    "words", [b"hello", b"nul", b"None", b"True", b"undefined", b"nulll"], "Expecting value: line 1 column 1"
                )
            ],
        ),
        Behaviour(
            "E6",
            "`NaN` and `Infinity` are refused, though Python's own `json` reads them.",
            [
                refused(
                    "NaN and Infinity",
                    [b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"a": Infinity}', b"[-Infinity]"],
                    "Expecting value: line 1 column 1 (char 0)",
                )
            ],
        ),
        Behaviour(
            "E7",
            "A number with a point or an exponent is a `float`, never a `Decimal`; beyond the largest it is infinite.",
            [read("floats", FLOATS, '["float", "inf"]')],
        ),
        Behaviour(
            "E8",
            "Integers are exact up to 4,300 digits, and refused beyond.",
            [
                read("integers", INTEGERS, '["int", "123456789012345678901234567890"]'),
                refused("4,301 digits", [b"1" * 4301, b"[" + b"1" * 4301 + b"]"], "Exceeds the limit (4300 digits)"),
            ],
        ),
        Behaviour(
            "E9",
            "Of a key that comes twice the last value counts, at the place of the first.",
            [
                read(
                    "duplicate keys",
                    [b'{"a": 1, "b": 2, "a": 3}', b'{"a": {"x": 1}, "a": {"y": 2}}'],
                    "[\"dict\", \"{'a': 3, 'b': 2}\"]",
                )
            ],
        ),
        Behaviour(
            "E10",
            "Escapes become their characters, and the escape of a lone surrogate is kept as one.",
            [
                read("surrogates", SURROGATES, r"""["str", "'\\ud800'"]"""),
                read("escapes", ESCAPES, r"""["str", "'\" \\\\ / \\x08 \\x0c \\n \\r \\t A é 中'"]"""),
            ],
        ),
        Behaviour(
            "E11",
            "The payload has to be UTF-8.",
            [
                read("text beyond ASCII", [text.encode() for text in TEXT], "[\"dict\", \"{'é': 'ü'}\"]"),
                refused("not UTF-8", NOT_UTF_8, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
                refused("other encodings", OTHER_ENCODINGS, "'utf-8' codec can't decode byte 0xff in position 0"),
            ],
        ),
        Behaviour(
            "E12",
            "A byte order mark may stand at the beginning.",
            [
                read("at the beginning", [b'\xef\xbb\xbf{"a": 1}', b"\xef\xbb\xbf 1"], '["dict", "{\'a\': 1}"]'),
                refused("two, or inside", [b"\xef\xbb\xbf\xef\xbb\xbf1", b"[\xef\xbb\xbf1]"], "Expecting value: line 1 column"),
            ],
        ),
        Behaviour(
            "E13",
            "Spaces, tabs and line ends may stand around everything, other white space may not.",
            [
                read("JSON's white space", SPACES, "[\"dict\", \"{'a': 1, 'b': []}\"]"),
                refused("other white space", OTHER_SPACES, "Expecting value: line 1 column 1 (char 0)"),
            ],
        ),
        Behaviour(
            "E14",
            "Control characters have to be escaped in text, except DEL.",
            [
                refused("line ends, tabs, NUL", CONTROLS, "Invalid control character '\\n' at: line 1 column 3 (char 2)"),
                read("DEL", [b'"\x7f"'], '["str", "\'\\\\x7f\'"]'),
            ],
        ),
        Behaviour(
            "E15",
            "Anything after the value is refused.",
            [refused("trailing data", TRAILING, "Extra data: line 1 column 4 - line 1 column 5 (char 3 - 4)")],
        ),
        Behaviour(
            "E16",
            "Text, lists and objects without an end are refused.",
            [refused("unterminated", UNTERMINATED, "Unterminated string starting at: line 1 column 1 (char 0)")],
        ),
        Behaviour(
            "E17",
            "An event that is nested too deeply fails its invocation and not the process.",
            [
                read("800 levels", [b"[" * 800 + b"]" * 800], '["list", [1600, "' + "[" * 100 + '"]]'),
                refused("500,000 lists", [b"[" * 500_000 + b"]" * 500_000], "<nested too deeply>"),
                refused("500,000 objects", [b'{"a":' * 500_000 + b"1" + b"}" * 500_000], "<nested too deeply>"),
            ],
        ),
        Behaviour(
            "E18",
            "Every other mistake is told with its kind, line and column.",
            [
                refused("escapes", BAD_ESCAPES, r"Invalid \X escape sequence 'x': line 1 column 3 (char 2)"),
                refused("numbers", BAD_NUMBERS, "Expecting value: line 1 column 1 (char 0)"),
                refused("grammar", BAD_GRAMMAR, "Expecting property name enclosed in double quotes or '}': line 1 column 2"),
            ],
        ),
        Behaviour(
            "E19",
            "A bad client context is told before a bad event.",
            [
                Case(
                    name="both bad",
                    files=SHOWS_THE_EVENT,
                    events=[payload(b"bad", headers={"Lambda-Runtime-Client-Context": "{bad"})],
                    shows={"rid-1": {"body": re.compile("Runtime.LambdaContextUnmarshalError")}},
                )
            ],
        ),
        Behaviour(
            "E20",
            "Events may be as large as Lambda allows.",
            [
                read(
                    "lists, objects and text of some size",
                    [text.encode() for text in LARGE],
                    '["list", [10890, "' + str([*range(2000)])[:100] + '"]]',
                ),
                Case(
                    name="6 MB in and out",
                    files=ECHO,
                    events=[event(SIX_MEGABYTES)],
                    shows={"calls": ["GET next", "POST rid-1/response", "GET next"]},
                ),
            ],
        ),
        Behaviour(
            "E21",
            "An event that arrives in pieces is one event.",
            [
                Case(
                    name="pieces of 1, 7 and 512 bytes",
                    files={"app.py": "def handler(event, context): return len(event['a'])"},
                    events=[payload(b'{"a": "' + b"x" * 1000 + b'"}', chunk={"size": size}) for size in (1, 7, 512)],
                    shows={"rid-1": {"body": "1000"}},
                )
            ],
        ),
    ],
)
