"""A handler that answers with any Python value, and the values: expressions, which are its events."""

import textwrap

from playing import Files

PRELUDE = """
import array, collections, dataclasses, datetime, decimal, enum, fractions, io, ipaddress, pathlib, types, typing, uuid
from decimal import Decimal

class MyInt(int):
    def __str__(self): return "never"
    __repr__ = __str__
class MyFloat(float):
    def __repr__(self): return "never"
    __str__ = __repr__
def as_int(value): return type("AsInt", (int,), {"__int__": lambda self: value, "__index__": lambda self: 9})
def as_float(value): return type("AsFloat", (float,), {"__float__": lambda self: value})
class MyStr(str):
    def __str__(self): return "never"
class MyList(list): pass
class MyDict(dict): pass
class MyBytes(bytes): pass
class MyTuple(tuple): pass
class MyDecimal(Decimal): pass
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
    x: object
    y: object = 2
class AsDict:
    def __init__(self, value): self.value = value
    def _asdict(self): return self.value
class ForJson:
    def for_json(self): return 1
class NotCallable:
    _asdict = 5
class AsDictRaises:
    def _asdict(self): raise ValueError("no dict")
class AsDictExits:
    def _asdict(self): raise SystemExit(5)
class ReprRaises:
    def __repr__(self): raise ValueError("no repr")
@dataclasses.dataclass
class Data: x: object = 1
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
class AsDictPrints:
    def _asdict(self): print("_asdict was called"); return {}
def nested(depth, make, value=1):
    for _ in range(depth): value = make(value)
    return value
"""

ANSWERS_WITH_ITS_EVENT: Files = {"app.py": PRELUDE + "def handler(event, context):\n    return eval(event)\n"}

ASKS_WHILE_ENCODING: Files = {
    "app.py": textwrap.dedent("""
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
    """)
}

OTHER_MARSHALLER: Files = {
    "app.py": """
        from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

        class Marshaller:
            def unmarshal_request(self, request, content_type="application/json"):
                return [request.decode(), content_type]
            def marshal_response(self, response):
                return f"<{response}>", "text/html"

        LambdaRuntimeClient.marshaller = Marshaller()

        def handler(event, context):
            return event
    """
}

MARSHALLER_WITH_DATES: Files = {
    "app.py": """
        import datetime
        from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
        from awslambdaric.lambda_runtime_exception import FaultException
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

        class Marshaller(LambdaMarshaller):
            def marshal_response(self, response):
                if isinstance(response, str):
                    raise FaultException("My.Error", "no text", None)
                if isinstance(response, datetime.date):
                    response = response.isoformat()
                return super().marshal_response(response)

        LambdaRuntimeClient.marshaller = Marshaller()

        def handler(event, context):
            return {"date": datetime.date(2026, 11, 21), "text": "text", "set": {1}}[event]
    """
}

# fmt: off
CONTAINERS = [
    "{'b': 1, 'a': {2: 3, None: 4}, 'x': (1, 2)}", "{}", "[]", "()", "[[], {}, [{}]]", "{'a': {'b': []}}", "[1, 2.5, 'x']",
    "[None, True, False]", "[[]] * 3", "(lambda a: [a, a])([1])", "(lambda a: {'x': a, 'y': a})({})",
]
CONSTANTS = ["None", "True", "False"]
INTEGERS = ["10**100", "0", "-1", "-10**100", "2**63", "-2**63 - 1", "2**64", "10**4299", "-10**4299"]
BYTES = ["b'raw'", "b''", "MyBytes(b'sub')", "b'x' * 100000"]
TEXT = ["'é😀'", "'日本語'", "'こんにちは'", "'é' * 1000", r"'\uffff\ufdd0\ufeff'", "'text'", "''", "'a' * 5000", "'é' * 5000"]
ESCAPES = [
    r"""'"\\\n\r\t\b\f'""", r"'\x00\x01\x0b\x1f'", r"'/\x7f\x80\x9f'", r"'\u2028\u2029'", "'<>&'", r"'\"' * 100",
    r"'a\n' * 40",
]
NOT_NUMBERS = ["float('nan')", "float('inf')", "-float('inf')", "[float('nan')]", "{'a': -float('nan')}"]
FLOATS = [
    "1e16", "0.1", "-0.0", "1.0", "1e15", "1e-7", "123456789012345678.0", "1.5e300", "5e-324", "1.7976931348623157e308", "1/3",
    "100.0", "1e22", "1e21", "0.0001", "0.00001", "2**53 + 0.0", "9007199254740993.0", "5e-324 * 3", "2.0**-1074",
]
DECIMALS = [
    "Decimal('1.10')", "Decimal('1E+2')", "Decimal('-0')", "Decimal('1E-10')", "Decimal('Infinity')", "Decimal('-Infinity')",
    "Decimal('NaN')", "Decimal('-NaN')", "Decimal('sNaN')", "[Decimal('0.1'), {'a': Decimal('5')}]", "Decimal('1' * 50)",
    "MyDecimal('2.50')",
]
NAMED_TUPLES = [
    "[Point(1, Point(2, 3))]", "Point(1, 2)", "{'a': TypedPoint(1)}", "AsDict({'a': 1})", "[AsDict({'a': AsDict({})})]",
    "AsDict(collections.OrderedDict(z=1, a=2))", "AsDict({1: 2})", "(Point(x=[1], y=None),)",
]
NO_DICTS = ["AsDict(1)", "AsDict(None)", "AsDict([1])"]
RAISING = ["AsDictRaises()", "[AsDictRaises()]"]
NOT_CONVERTED = ["as_int('x')(1)", "as_int(None)(1)", "{as_int('x')(1): 1}", "as_float('x')(1)", "[1, as_float(None)(1)]"]
INNER_BYTES = ["{'a': b'x\\xc3\\xa9'}", "[b'']", "[b'abc', MyBytes(b'd')]", "{b'key': 1}", "(b'\"',)"]
SUBCLASSES = [
    "MyInt(5)", "MyFloat(1.5)", "MyStr('s')", "MyList([1])", "MyDict(a=1)", "MyTuple((1, 2))",
    "collections.OrderedDict(b=1, a=2)", "collections.defaultdict(list, a=[1])", "collections.Counter('aab')",
    "DictWithItems(a=1)", "ListWithIter([1, 2])", "as_int(7)(3)", "as_int(-10**30)(3)", "as_int(3)(10**30)", "as_int(True)(3)",
    "as_float(7.5)(1)", "as_float(1e300)(1)", "as_float(float('nan'))(1)", "as_float(-float('inf'))(1)",
    "as_float(1)(float('nan'))", "as_float(1)(-float('inf'))", "as_float(as_float(2)(3))(1)",
]
ENUMERATIONS = [
    "[IntColor.RED, StrColor.RED]", "IntColor.RED", "Flag.A | Flag.B", "StrColor.RED", "StrEnumColor.RED", "FloatColor.RED",
]
UNKNOWN_TYPES = [
    "datetime.datetime(2026, 1, 1)", "Color.RED", "{1}", "frozenset({1})", "Data()", "bytearray(b'x')", "memoryview(b'x')",
    "range(3)", "collections.deque([1])", "{}.keys()", "{}.values()", "{}.items()",
    "types.MappingProxyType({})", "Mapping()", "1j", "fractions.Fraction(1, 2)", "datetime.date(2026, 1, 1)",
    "datetime.timedelta(1)", "datetime.time(1)", "uuid.UUID(int=1)", "pathlib.Path('/')", "ValueError('x')", "io.StringIO()",
    "io.BytesIO(b'x')", "int", "len", "handler", "collections", "ipaddress.ip_address('127.0.0.1')", "array.array('i')",
    "object()", "WithMeta()", "Outer.Inner()", "NotCallable()", "Ellipsis", "NotImplemented", "context", "ReprRaises()",
    "Point", "types.SimpleNamespace(a=1)", "collections.UserDict(a=1)", "collections.ChainMap({})",
    "typing.Any", "slice(1)",
]
UNKNOWN_INSIDE = [
    "[1, {1}]", "{'a': {'b': object()}}", "(1, Data())", "{'a': [datetime.date(2026, 1, 1)]}", "AsDict({'a': {1}})",
    # At the top they stream.
    "[map(str, [])]", "[(x for x in [])]", "{'a': iter([])}", "(zip(),)",
]
KEYS = [
    "{1: 2}", "{1.5: 2}", "{False: 1, True: 2}", "{None: 1}", "{float('nan'): 1}", "{1e20: 1}", "{float('inf'): 1}",
    "{-0.0: 1}", "{10**30: 1}", "{StrColor.RED: 1}", "{IntColor.RED: 1}", "{FloatColor.RED: 1}", "{MyInt(3): 1}",
    "{MyStr('k'): 1}", "{1: 'a', '1': 'b'}", "{'é': 1, '\\n': 2}", "{'': 1}", "{MyFloat(2.5): 1}", "{StrEnumColor.RED: 1}",
    "{b'key': 1}", "{as_int(7)(3): 1}", "{as_float(7.5)(1): 1}", "{as_float(float('inf'))(1): 1}",
]
NO_KEYS = [
    "{(1, 2): 1}", "{datetime.date(2026, 1, 1): 1}", "{Color.RED: 1}", "{frozenset(): 1}", "{object: 1}", "{Point(1, 2): 1}",
    "{'a': {1j: 1}}",
]
# fmt: on
