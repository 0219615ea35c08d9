"""What handlers return, as the bytes that Lambda gets: every value under both runtimes, all in one process each."""

import pytest

from conftest import CompareBoth, PlayBoth, PlayFunction
from reference import Better, Pair

PRELUDE = """
import collections, dataclasses, datetime, decimal, enum, fractions, io, ipaddress, pathlib, types, typing, uuid, array
from decimal import Decimal

class MyInt(int):
    def __str__(self): return "never"
    __repr__ = __str__
class MyFloat(float):
    def __repr__(self): return "never"
    __str__ = __repr__
class MyStr(str):
    def __str__(self): return "never"
class MyList(list): pass
class MyDict(dict): pass
class MyBytes(bytes): pass
class MyTuple(tuple): pass
class DictWithItems(dict):
    def items(self): return [("from", "items")]
class ListWithIter(list):
    def __iter__(self): return iter(["from iter"])
class Color(enum.Enum): RED = 1
class IntColor(enum.IntEnum): RED = 1
class StrColor(str, enum.Enum): RED = "red"
class StrEnumColor(enum.StrEnum): RED = "red"
class FloatColor(float, enum.Enum): RED = 1.5
class Flag(enum.IntFlag): A = 1; B = 2
Point = collections.namedtuple("Point", "x y")
class TypedPoint(typing.NamedTuple):
    x: int
    y: int = 2
class AsDict:
    def __init__(self, value): self.value = value
    def _asdict(self): return self.value
class ForJson:
    def for_json(self): return 1
class NotCallable:
    _asdict = 5
class AsDictRaises:
    def _asdict(self): raise ValueError("no dict")
class ReprRaises:
    def __repr__(self): raise ValueError("no repr")
@dataclasses.dataclass
class Data: x: int = 1
class Mapping(collections.abc.Mapping):
    def __getitem__(self, key): raise KeyError
    def __iter__(self): return iter(())
    def __len__(self): return 0
class Meta(type): pass
class WithMeta(metaclass=Meta): pass
class Outer:
    class Inner: pass
def circular_list():
    a = []; a.append(a); return a
def circular_dict():
    a = {}; a["a"] = a; return a
def nested(depth, make):
    value = 1
    for _ in range(depth): value = make(value)
    return value
"""

APP = PRELUDE + "def handler(event, context):\n    return eval(event)\n"

ENCODED: dict[str, list[str]] = {
    "objects and lists": [
        "{'b': 1, 'a': {2: 3, None: 4}, 'x': (1, 2)}", "{}", "[]", "()", "[[], {}, [{}]]", "{'a': {'b': []}}", "[1, 2.5, 'x']",
        "[None, True, False]", "nested(100, lambda v: [v])", "nested(100, lambda v: {'a': v})", "[[]] * 3",
    ],
    "simple values": ["None", "True", "False", "0", "-1", "'text'", "''", "10**100", "-10**100", "2**63", "-2**63 - 1", "2**64",
                      "10**4299"],
    "text": [
        "'é😀'", "'日本語'", "'こんにちは'", r"""'"\\\n\r\t\b\f'""", r"'\x00\x01\x0b\x1f'", r"'/\x7f\x80\x9f'", r"'\u2028\u2029'",
        "'<>&'", "'a' * 5000", "'é' * 5000", r"'\"' * 100", r"'\ud83d\ude00'[:0]", r"'\uffff\ufdd0\ufeff'", r"'a\n' * 40",
    ],
    "floats": [
        "0.1", "-0.0", "1.0", "1e16", "1e15", "1e-7", "123456789012345678.0", "1.5e300", "5e-324", "1.7976931348623157e308", "1/3",
        "100.0", "1e22", "1e21", "0.0001", "0.00001", "float('nan')", "float('inf')", "-float('inf')", "[float('nan')]", "2**53 + 0.0",
    ],
    "decimals": [
        "Decimal('1.10')", "Decimal('1E+2')", "Decimal('-0')", "Decimal('1E-10')", "Decimal('Infinity')", "Decimal('-Infinity')",
        "Decimal('NaN')", "Decimal('-NaN')", "Decimal('sNaN')", "[Decimal('0.1'), {'a': Decimal('5')}]", "Decimal('1' * 50)",
        "type('D', (Decimal,), {})('2.50')",
    ],
    "named tuples and the like": [
        "Point(1, 2)", "[Point(1, Point(2, 3))]", "{'a': TypedPoint(1)}", "AsDict({'a': 1})", "[AsDict({'a': AsDict({})})]",
        "AsDict(collections.OrderedDict(z=1, a=2))", "AsDict({1: 2})",
    ],
    "bytes inside": ["{'a': b'x\\xc3\\xa9'}", "[b'']", "[b'abc', MyBytes(b'd')]", "{b'key': 1}", "(b'\"',)"],
    "subclasses": [
        "MyInt(5)", "MyFloat(1.5)", "MyStr('s')", "MyList([1])", "MyDict(a=1)", "MyTuple((1, 2))", "IntColor.RED", "Flag.A | Flag.B",
        "StrColor.RED", "StrEnumColor.RED", "FloatColor.RED", "[IntColor.RED, StrColor.RED]", "collections.OrderedDict(b=1, a=2)",
        "collections.defaultdict(list, a=[1])", "collections.Counter('aab')", "DictWithItems(a=1)", "ListWithIter([1, 2])",
    ],
    "keys": [
        "{1: 2}", "{1.5: 2}", "{False: 1, True: 2}", "{None: 1}", "{float('nan'): 1}", "{1e20: 1}", "{float('inf'): 1}", "{-0.0: 1}",
        "{10**30: 1}", "{StrColor.RED: 1}", "{IntColor.RED: 1}", "{FloatColor.RED: 1}", "{MyInt(3): 1}", "{MyStr('k'): 1}", "{1: 'a', '1': 'b'}",
        "{'é': 1, '\\n': 2}", "{'': 1}", "{MyFloat(2.5): 1}", "{StrEnumColor.RED: 1}",
    ],
    "the same object twice": ["(lambda a: [a, a])([1])", "(lambda a: {'x': a, 'y': a})({})"],
}  # fmt: skip

REFUSED: dict[str, list[str]] = {
    "types": [
        "Color.RED", "{1}", "frozenset({1})", "Data()", "bytearray(b'x')", "memoryview(b'x')",
        "range(3)", "collections.deque([1])", "{}.keys()", "{}.values()", "{}.items()", "types.MappingProxyType({})", "Mapping()",
        "1j", "fractions.Fraction(1, 2)", "datetime.datetime(2026, 1, 1)", "datetime.date(2026, 1, 1)", "datetime.timedelta(1)",
        "uuid.UUID(int=1)", "pathlib.Path('/')", "ValueError('x')", "io.StringIO()", "io.BytesIO(b'x')", "int", "len", "handler",
        "collections", "ipaddress.ip_address('127.0.0.1')", "array.array('i')", "object()", "ForJson()", "WithMeta()", "Outer.Inner()",
        "NotCallable()", "Ellipsis", "NotImplemented", "context", "ReprRaises()", "Point", "types.SimpleNamespace(a=1)",
        "collections.UserDict(a=1)", "collections.ChainMap({})", "typing.Any", "slice(1)",
    ],
    # At the top they stream.
    "iterators inside": ["[x for x in [map(str, [])]]", "[(x for x in [])]", "{'a': iter([])}", "(zip(),)"],
    "inside": ["[1, {1}]", "{'a': {'b': object()}}", "(1, Data())", "{'a': [datetime.date(2026, 1, 1)]}", "AsDict({'a': {1}})"],
    "keys": ["{(1, 2): 1}", "{datetime.date(2026, 1, 1): 1}", "{Color.RED: 1}", "{Decimal(1): 1}", "{frozenset(): 1}",
             "{b'\\xff': 1}", "{object: 1}", "{Point(1, 2): 1}"],
    "values": [
        "10**4300", "[10**4300]", "{10**4300: 1}", "[b'\\xff']", "{'a': b'a\\xe9'}", "circular_list()", "circular_dict()", "AsDict(1)",
        "AsDict(None)", "AsDict([1])", "AsDictRaises()", "[AsDictRaises()]", "nested(100000, lambda v: [v])", "nested(100000, lambda v: {'a': v})",
        "nested(100000, lambda v: (v,))",
    ],
}  # fmt: skip

BYTES = ["b''", "b'raw'", "bytes(range(256))", "MyBytes(b'sub')", "b'x' * 100000"]

VALUES = [value for table in (ENCODED, REFUSED) for values in table.values() for value in values] + BYTES
REQUEST_IDS = {value: f"rid-{number}" for number, value in enumerate(VALUES, 1)}
TOO_DEEP = [value for value in VALUES if "100000, lambda" in value]


@pytest.fixture(scope="module")
def played(play_both: PlayBoth) -> Pair:
    return play_both({"app.py": APP}, events=VALUES)


@pytest.mark.parametrize("value", [value for values in ENCODED.values() for value in values])
def test_a_value_is_encoded_to_the_same_bytes(played: Pair, value: str) -> None:
    played.assert_same_answer(REQUEST_IDS[value])
    answer = played.whipsnake.answers[REQUEST_IDS[value]]
    assert (answer.path.split("/")[-1], answer.header("content-type")) == ("response", "application/json")


@pytest.mark.parametrize("value", [value for values in REFUSED.values() for value in values if value not in TOO_DEEP])
def test_a_value_that_json_cannot_write_is_refused_in_the_same_words(played: Pair, value: str) -> None:
    played.assert_same_answer(REQUEST_IDS[value])
    assert played.whipsnake.answers[REQUEST_IDS[value]].json()["errorType"] == "Runtime.MarshalError"


@pytest.mark.parametrize("value", TOO_DEEP)
def test_a_value_that_is_nested_too_deeply_is_refused(played: Pair, value: str) -> None:
    for run in (played.whipsnake, played.reference):
        error = run.answers[REQUEST_IDS[value]].json()
        assert error["errorType"] == "Runtime.MarshalError"
        assert error["errorMessage"].startswith("Unable to marshal response: ")


@pytest.mark.parametrize("value", TOO_DEEP)
def test_a_value_that_is_nested_too_deeply_does_not_harm_a_fresh_process(play: PlayFunction, value: str) -> None:
    run = play({"app.py": APP}, events=[value, "'next'"])
    assert run.errors[0]["errorType"] == "Runtime.MarshalError"
    assert run.responses == ["next"]


@pytest.mark.parametrize("value", BYTES)
def test_bytes_go_out_as_they_are(played: Pair, value: str) -> None:
    played.assert_same_answer(REQUEST_IDS[value])
    assert played.whipsnake.answers[REQUEST_IDS[value]].header("content-type") == "application/unknown"


def test_all_values_together_leave_the_same_process(played: Pair) -> None:
    deep = {REQUEST_IDS[value]: "the wording varies" for value in TOO_DEEP}
    played.assert_agreement(free={"stdout": "the wording varies", **deep})


SURROGATES = [r"'\ud800'", r"['a\udfff']", r"{'\ud800': 1}", r"'\ude00\ud83d'"]


def test_a_lone_surrogate_does_not_end_the_process(play: PlayFunction) -> None:
    """The managed runtime dies of it without an answer."""
    run = play({"app.py": APP}, events=[*SURROGATES, "'next'"])
    assert list(run.answers) == ["rid-1", "rid-2", "rid-3", "rid-4", "rid-5"]
    for answer in run.answers.values():
        answer.body.decode()
    assert run.responses[-1] == "next"
    assert run.signal == 9


def test_the_managed_runtime_still_dies_of_a_lone_surrogate(both: CompareBoth) -> None:
    """When this fails the managed runtime has got an answer, and ours should be the same."""
    both(
        {"app.py": APP},
        events=[r"'\ud800'"],
        free={"rid-1": "either an escape or an error"},
        better=Better(
            "always answer", {"calls": lambda calls: calls[1:2] != [] and calls[2:] == ["GET next"], "ending": "signal 9"}
        ),
    )


def test_an_exception_while_encoding_that_is_no_exception_ends_the_process(both: CompareBoth) -> None:
    both({"app.py": "class A:\n    def _asdict(self): raise SystemExit(5)\ndef handler(e, c): return A()"}, events=[{}])


def test_what_encoding_leaves_to_the_functions_code_runs_in_the_same_order(both: CompareBoth) -> None:
    both(
        {
            "app.py": """
                class A:
                    def __init__(self, name): self.name = name
                    def _asdict(self):
                        print("asdict", self.name)
                        return {self.name: B() if self.name == "x" else None}
                class B:
                    def _asdict(self):
                        print("B")
                        return {}
                def handler(event, context):
                    return [A("x"), {"k": A("y")}]
            """
        },
        events=[{}],
    )


def test_a_response_larger_than_a_network_buffer_is_whole(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): return ['é' * 1000] * 2000"}, events=[{}])
    assert run.response == ["é" * 1000] * 2000
    assert run.answers["rid-1"].header("content-length") == str(len(run.answers["rid-1"].body))
