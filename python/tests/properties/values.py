"""Any Python value, as the expression that makes it: two processes can each have one. The names are those of the conformance
suite's values.py."""

from decimal import Decimal

from hypothesis import strategies as some

type Expressions = some.SearchStrategy[str]


def of_float(number: float) -> str:
    return f"float('{number!r}')"


def of_decimal(number: Decimal) -> str:
    return f"Decimal('{number}')"


def calls(name: str, argument: Expressions) -> Expressions:
    return argument.map(lambda inner: f"{name}({inner})")


TEXTS = some.text() | some.text(some.characters(min_codepoint=0xD800, max_codepoint=0xDFFF), min_size=1, max_size=2)
TEXTS |= some.sampled_from(["", '"', "\\", "\x00", "\x1f", "\x7f", "\u2028", "\U0001f600", "\ufeff", "a" * 300, "é" * 300])

CONSTANTS = some.sampled_from(["None", "True", "False"])
INTEGERS = some.integers().map(repr) | some.integers(-(2**70), 2**70).map(repr) | some.sampled_from(["10**4299", "-10**4299"])
FLOATS = some.floats().map(of_float)
DECIMALS = some.decimals().map(of_decimal) | calls("MyDecimal", some.integers().map(repr))
STRINGS = TEXTS.map(ascii)
BYTES = some.text(max_size=4).map(lambda text: repr(text.encode("utf-8", "replace")))
SUBCLASSES = calls("MyInt", INTEGERS) | calls("MyFloat", FLOATS) | calls("MyStr", STRINGS) | calls("MyBytes", BYTES)
ENUMERATIONS = some.sampled_from(
    ["IntColor.RED", "StrColor.RED", "StrEnumColor.RED", "FloatColor.RED", "Flag.A", "Flag.A | Flag.B", "Flag(0)"]
)
GOOD_KEYS = STRINGS | CONSTANTS | INTEGERS | FLOATS | STRINGS | BYTES | ENUMERATIONS | SUBCLASSES
GOOD_LEAVES = GOOD_KEYS | DECIMALS

# fmt: off
BAD_KEYS = some.sampled_from([
    "(1, 2)", "Point(1, 2)", "frozenset()", "object", "1j", "10**4300", "datetime.date(2026, 1, 1)", "Color.RED",
    "Decimal(1)", "b'\\xff'",
])
UNKNOWN_TYPES = some.sampled_from([
    "object()", "1j", "datetime.datetime(2026, 1, 1)", "uuid.UUID(int=1)", "pathlib.Path('/')", "ValueError('x')", "range(3)",
    "int", "io.BytesIO(b'x')", "Mapping()", "ForJson()", "NotCallable()", "ReprRaises()", "Outer.Inner()", "WithMeta()",
    "Ellipsis", "Color.RED", "AsDictRaises()", "circular_list()", "circular_dict()", "bytearray(b'x')",
    "fractions.Fraction(1, 2)",
])
# fmt: on
BAD_LEAVES = UNKNOWN_TYPES | some.sampled_from(["10**4300", "-10**4300"]) | some.binary(min_size=1, max_size=4).map(repr)


def joined(inner: Expressions) -> Expressions:
    return some.lists(inner, max_size=4).map(lambda items: "".join(f"{item}, " for item in items))


def dicts(keys: Expressions, inner: Expressions) -> Expressions:
    pairs = some.lists(some.tuples(keys, inner), max_size=4)
    return pairs.map(lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}")


@some.composite
def deep(draw: some.DrawFn, inner: Expressions) -> str:
    """A value in many others."""
    makes = ["[v]", "(v,)", "{'a': v}", "[v, 1]", "MyList([v])", "Point(0, v)", "AsDict({'a': v})"]
    return f"nested({draw(some.integers(1, 300))}, lambda v: {draw(some.sampled_from(makes))}, {draw(inner)})"


def good_containers(inner: Expressions) -> Expressions:
    lists = joined(inner).map(lambda items: f"[{items}]")
    objects = dicts(GOOD_KEYS, inner)
    return some.one_of(
        lists,
        joined(inner).map(lambda items: f"({items})"),
        objects,
        calls("MyList", lists),
        calls("MyTuple", lists),
        calls("ListWithIter", lists),
        calls("MyDict", objects),
        calls("DictWithItems", objects),
        calls("collections.OrderedDict", objects),
        some.tuples(inner, inner).map(lambda both: f"Point({both[0]}, {both[1]})"),
        calls("TypedPoint", inner),
        calls("AsDict", objects),
        inner.map(lambda value: f"(lambda a: [a, a, {{'a': a}}])({value})"),
        deep(inner),
    )


def bad_containers(inner: Expressions) -> Expressions:
    lists = joined(inner).map(lambda items: f"[{items}]")
    return some.one_of(
        dicts(GOOD_KEYS | BAD_KEYS, inner),
        calls("AsDict", inner),
        calls("Data", inner),
        calls("collections.deque", lists),
        dicts(GOOD_KEYS, inner).map(lambda made: f"{made}.values()"),
        some.lists(GOOD_KEYS, max_size=2).map(lambda items: f"{{{', '.join(items)}}}" if items else "set()"),
    )


good = some.recursive(GOOD_LEAVES, good_containers, max_leaves=10)
mixed = some.recursive(
    GOOD_LEAVES | good | BAD_LEAVES,
    lambda inner: good_containers(inner) | good_containers(inner) | bad_containers(inner),
    max_leaves=10,
)
expressions = good | mixed
