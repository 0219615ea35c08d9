"""Any JSON text, and what is nearly one: bytes, not values, so that every way of writing a value comes up."""

from hypothesis import strategies as some

SPACES = some.sampled_from([b"", b"", b"", b" ", b"\n", b"\t ", b"\r\n"])

DIGITS = some.text("0123456789", min_size=1, max_size=25)
FRACTIONS = some.just("") | some.builds(".{}".format, DIGITS)
EXPONENTS = some.just("") | some.builds("{}{}{}".format, some.sampled_from("eE"), some.sampled_from(["", "+", "-"]),
                                         some.integers(0, 400))  # fmt: skip
LONG_INTEGERS = some.sampled_from([4299, 4300, 4301, 5000]).map(lambda length: "7" * length)
NUMBERS = some.builds(
    "{}{}{}{}".format,
    some.sampled_from(["", "-"]),
    some.integers(min_value=0).map(str) | some.integers(0, 2**70).map(str) | LONG_INTEGERS,
    FRACTIONS,
    EXPONENTS,
).map(str.encode) | some.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode())

PLAIN = some.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=0x20).map(str.encode)
ASTRAL = some.characters(codec="utf-8", min_codepoint=0x10000).map(str.encode)
SHORT_ESCAPES = some.sampled_from([rb"\"", rb"\\", rb"\/", rb"\b", rb"\f", rb"\n", rb"\r", rb"\t"])
ESCAPES = some.integers(0, 0xFFFF).map(lambda unit: b"\\u%04x" % unit)
SURROGATES = some.integers(0xD800, 0xDFFF).map(lambda unit: b"\\u%04X" % unit)
STRINGS = some.lists(PLAIN | ASTRAL | SHORT_ESCAPES | ESCAPES | SURROGATES, max_size=6).map(
    lambda parts: b'"%s"' % b"".join(parts)
)

# A few of these, so that the same one comes twice in an object.
KEYS = some.sampled_from([b'"a"', b'"b"', b'""', rb'"\u0061"', '"é"'.encode()]) | STRINGS

SCALARS = some.sampled_from([b"null", b"true", b"false"]) | NUMBERS | STRINGS


@some.composite
def arrays(draw: some.DrawFn, inner: some.SearchStrategy[bytes]) -> bytes:
    items = [draw(SPACES) + item + draw(SPACES) for item in draw(some.lists(inner, max_size=4))]
    return b"[" + (b",".join(items) or draw(SPACES)) + b"]"


@some.composite
def objects(draw: some.DrawFn, inner: some.SearchStrategy[bytes]) -> bytes:
    items = [
        key + draw(SPACES) + b":" + draw(SPACES) + value
        for key, value in draw(some.lists(some.tuples(KEYS, inner), max_size=4))
    ]
    return b"{" + (b",".join(items) or draw(SPACES)) + b"}"


@some.composite
def deep(draw: some.DrawFn, inner: some.SearchStrategy[bytes]) -> bytes:
    """A value in many lists and objects."""
    depth = draw(some.integers(1, 400))
    start, end = draw(some.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"k": ', b"}]")]))
    return start * depth + draw(inner) + end * depth


json_texts = some.recursive(SCALARS, lambda inner: arrays(inner) | objects(inner) | arrays(inner) | deep(inner), max_leaves=8)

# fmt: off
MUTATIONS = some.sampled_from([
    b"", b",", b":", b'"', b"\\", b"0", b"-", b"+", b".", b"e", b"{", b"}", b"]", b"[", b" ", b"\n", b"\x00", b"\x1f",
    b"\x7f", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u", b"u", b"NaN", b"Infinity", b"null",
    "é".encode(), b"//",
])
# fmt: on
ENCODINGS = some.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])


@some.composite
def nearly_json(draw: some.DrawFn) -> bytes:
    """JSON text with up to three places of it changed; a byte order mark or another encoding now and then."""
    written = bytearray(draw(json_texts))
    for _ in range(draw(some.sampled_from([0, 0, 1, 1, 2, 3]))):
        place = draw(some.integers(0, len(written)))
        written[place : place + draw(some.integers(0, 2))] = draw(MUTATIONS)
    if draw(some.integers(0, 19)) == 7:
        return (
            bytes(written)
            .decode(errors="replace")
            .encode(draw(some.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])))
        )
    return bytes(written)
