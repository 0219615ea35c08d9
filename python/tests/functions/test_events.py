"""Payloads to events: every input under both runtimes, all in one process each."""

import json

import pytest

from conftest import CompareBoth, PlayBoth, PlayFunction
from playing import Step, payload
from reference import Pair

# Strings with lone surrogates and floats that JSON has no word for survive repr.
APP = """
    import json
    def handler(event, context):
        text = repr(event)
        return [type(event).__name__, text if len(text) < 300 else [len(text), text[:100]]]
"""

JSON: dict[str, bytes] = {
    "an object": b'{"a": 1}',
    "an object in an object": b'{"a": {"b": {"c": [1, {"d": null}]}}}',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "an empty string": b'""',
    "an empty key": b'{"": 1}',
    "a list": b'[1, "a", null, true, false, 1.5]',
    "a string": b'"text"',
    "an int": b"17",
    "a float": b"1.5",
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "zero": b"0",
    "minus zero": b"-0",
    "minus zero as a float": b"-0.0",
    "a large int": b"123456789012345678901234567890",
    "the largest u64": b"18446744073709551615",
    "one more": b"18446744073709551616",
    "the smallest i64": b"-9223372036854775808",
    "one less": b"-9223372036854775809",
    "4300 digits": b"1" * 4300,
    "minus 4300 digits": b"-" + b"1" * 4300,
    "an exponent": b"1e5",
    "an exponent with a sign": b"[1E+2, 1e-2, 1.0e0]",
    "a float beyond floats": b"1e400",
    "a float below floats": b"-1e400",
    "a tiny float": b"[5e-324, 1e-400, 2.2250738585072014e-308]",
    "trailing zeros": b"[1.10, 1.0, 100.00]",
    "many digits": b"[0.1000000000000000055511151231257827, 3.141592653589793238462643383279]",
    "a float that is hard to round": b"[9007199254740993.0, 1.7976931348623157e308, 123456789.123456789e-5]",
    "a long fraction": b"0." + b"1" * 5000,
    "duplicate keys": b'{"a": 1, "b": 2, "a": 3}',
    "escapes": rb'"\" \\ \/ \b \f \n \r \t \u0041 \u00e9 \u4e2d"',
    "a surrogate pair": rb'"\ud83d\ude00"',
    "a lone surrogate": rb'"\ud800"',
    "a lone low surrogate": rb'"\udc00"',
    "surrogates the wrong way round": rb'"\ude00\ud83d"',
    "a surrogate and something else": rb'"\ud83d\u0041"',
    "a lone surrogate in a key": rb'{"\ud800": 1}',
    "NUL escaped": rb'"\u0000"',
    "non-ASCII text": 'ä "日本" 😀'.replace('"', "'").join('""').encode(),
    "non-ASCII keys": '{"ключ": "значение", "é": "ü"}'.encode(),
    "DEL": b'"\x7f"',
    "line separators": '"\u2028\u2029\u0085"'.encode(),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "spaces around": b' \t\r\n{ "a" :\t1 ,\n"b" : [ ] }\r\n ',
    "deep nesting": b"[" * 100 + b"]" * 100,
    "deep objects": b'{"a":' * 100 + b"1" + b"}" * 100,
    "a long list": json.dumps(list(range(2000))).encode(),
    "a long string": json.dumps("é" * 20000).encode(),
    "an object with many keys": json.dumps({f"key{i}": i for i in range(500)}).encode(),
    "keys that repeat over objects": json.dumps([{"id": i, "name": str(i)} for i in range(300)]).encode(),
    "a key of 300 characters": json.dumps({"k" * 300: 1}).encode(),
}

NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"  ",
    "a word": b"hello",
    "half a null": b"nul",
    "Python's None": b"None",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "NaN in a list": b"[NaN]",
    "Infinity in an object": b'{"a": Infinity}',
    "4301 digits": b"1" * 4301,
    "4301 digits in a list": b"[" + b"1" * 4301 + b"]",
    "invalid UTF-8": b"\xff",
    "invalid UTF-8 in a string": b'"a\xff"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "UTF-8 cut short": b'"\xe4\xb8',
    "an overlong form": b'"\xc0\xaf"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "a vertical tab before": b"\x0b1",
    "a no-break space before": "\u00a01".encode(),
    "a line end in a string": b'"a\nb"',
    "a tab in a string": b'"a\tb"',
    "NUL in a string": b'"a\x00b"',
    "something after": b"{} x",
    "two values": b"1 2",
    "a comma after": b"1,",
    "NUL after": b"{}\x00",
    "a leading zero": b"01",
    "a leading plus": b"+1",
    "only a minus": b"-",
    "a point without digits": b"1.",
    "a point without digits before": b".5",
    "an exponent without digits": b"1e",
    "hexadecimal": b"0x10",
    "an unterminated string": b'"abc',
    "an unterminated string in a list": b'["abc',
    "an unterminated escape": b'"abc\\',
    "an unknown escape": rb'"\x41"',
    "a short unicode escape": rb'"\u12"',
    "a bad unicode escape": rb'"\u12g4"',
    "single quotes": b"{'a': 1}",
    "a bare key": b"{a: 1}",
    "a number as key": b"{1: 2}",
    "no colon": b'{"a" 1}',
    "no value": b'{"a": }',
    "no comma": b'{"a": 1 "b": 2}',
    "no comma in a list": b"[1 2]",
    "a trailing comma": b'{"a": 1,}',
    "a trailing comma in a list": b"[1,]",
    "only a comma in a list": b"[,]",
    "an unterminated object": b'{"a": 1',
    "an unterminated list": b"[1, 2",
    "only a brace": b"{",
    "only a bracket": b"[",
    "a bracket too much": b"[1]]",
    "the wrong bracket": b"[1}",
    "a comment": b"{} // comment",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf1",
    "a byte order mark inside": b'[\xef\xbb\xbf1]',
    "True": b"True",
    "many lines": b'{\n  "a": 1,\n  "b": ,\n}',
    "after non-ASCII text": '{"日本": é}'.encode(),
}  # fmt: skip

INPUTS = {**JSON, **NOT_JSON}
REQUEST_IDS = {name: f"rid-{number}" for number, name in enumerate(INPUTS, 1)}


@pytest.fixture(scope="module")
def played(play_both: PlayBoth) -> Pair:
    return play_both({"app.py": APP}, events=[payload(body) for body in INPUTS.values()])


@pytest.mark.parametrize("name", JSON)
def test_json_becomes_the_same_object(played: Pair, name: str) -> None:
    played.assert_same_answer(REQUEST_IDS[name])
    assert played.whipsnake.answers[REQUEST_IDS[name]].path.endswith("/response")


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_no_json_fails_the_invocation_with_the_same_text(played: Pair, name: str) -> None:
    played.assert_same_answer(REQUEST_IDS[name])
    assert played.whipsnake.answers[REQUEST_IDS[name]].json()["errorType"] == "Runtime.UnmarshalError"


def test_all_inputs_together_leave_the_same_log_and_the_same_process(played: Pair) -> None:
    played.assert_agreement()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
@pytest.mark.parametrize("depth", [5_000, 500_000])
def test_nesting_beyond_the_recursion_limit_fails_the_invocation_and_not_the_process(
    play: PlayFunction, opening: bytes, depth: int
) -> None:
    run = play({"app.py": "def handler(event, context): return 1"}, events=[payload(opening * depth), {}])
    assert run.errors[0]["errorType"] == "Runtime.UnmarshalError"
    assert run.responses == [1]


CONTENT_TYPES: dict[str, str | None] = {
    "exactly JSON": "application/json",
    "plain text": "text/plain",
    "something binary": "application/octet-stream",
    "JSON of a kind": "application/vnd.api+json",
}


@pytest.mark.parametrize("name", CONTENT_TYPES)
def test_an_event_that_is_not_declared_as_json_is_given_as_bytes(both: CompareBoth, name: str) -> None:
    both({"app.py": APP}, events=[payload(b'{"a": 1}', headers={"Content-Type": CONTENT_TYPES[name]})])


def test_a_binary_event_may_be_any_bytes(both: CompareBoth) -> None:
    everything = bytes(range(256))
    files = {"app.py": "def handler(event, context): return event"}
    pair = both(files, events=[payload(everything, headers={"Content-Type": "image/png"})])
    assert pair.whipsnake.answers["rid-1"].body == everything


@pytest.mark.parametrize("headers", [{"Content-Type": None}, {"Content-Type": ""}], ids=["absent", "empty"])
def test_an_event_without_a_content_type_is_json(play: PlayFunction, headers: dict[str, str | None]) -> None:
    """The managed runtime crashes there; Lambda's other runtimes read JSON."""
    assert play({"app.py": APP}, events=[payload(b'{"a": 1}', headers=headers)]).response == ["dict", "{'a': 1}"]


def test_a_bad_client_context_is_told_before_a_bad_event(both: CompareBoth) -> None:
    pair = both({"app.py": APP}, events=[payload(b"bad", headers={"Lambda-Runtime-Client-Context": "{bad"})])
    assert pair.whipsnake.errors[0]["errorType"] == "Runtime.LambdaContextUnmarshalError"


def test_an_event_that_arrives_in_pieces_is_one_event(play: PlayFunction) -> None:
    pieces: list[Step] = [payload(b'{"a": "' + b"x" * 1000 + b'"}', chunk={"size": size}) for size in (1, 7, 512)]
    run = play({"app.py": "def handler(event, context): return len(event['a'])"}, events=pieces)
    assert run.responses == [1000, 1000, 1000]


def test_six_megabytes_pass_in_both_directions(play: PlayFunction) -> None:
    text = "x" * (6 * 1024 * 1024 - 2)
    run = play({"app.py": "def handler(event, context): return event"}, events=[text])
    assert run.response == text
