"""What Python makes of the same bytes and values.

The standard library's json is always there. The managed runtime's own marshaller (awslambdaric, simplejson), which whipsnake follows
to the byte, is asked where it is installed: it has texts of errors to compare as well.
"""

import collections
import decimal
import json
import math
import os
import struct

os.environ["AWS_EXECUTION_ENV"] = "AWS_Lambda_python3.14"
try:
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
except ImportError:
    MANAGED = None
else:
    MANAGED = LambdaMarshaller()


def refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def standard_loads(payload):
    """json.loads, but for what simplejson has otherwise: UTF-8 alone, with or without a byte order mark; and no NaN."""
    return json.loads(payload.decode().removeprefix("\ufeff"), parse_constant=refuse_constant)


def check_decoded(payload, value):
    expected = standard_loads(payload)
    # repr tells types, the order of keys and the sign of zero.
    assert repr(value) == repr(expected), f"decoded to {value!r:.500} and not {expected!r:.500}"
    if MANAGED:
        expected = MANAGED.unmarshal_request(payload)
        assert repr(value) == repr(expected), f"decoded to {value!r:.500}, and by the managed runtime to {expected!r:.500}"


def check_refused(payload, error):
    if isinstance(error, RecursionError):
        return
    assert isinstance(error, ValueError), repr(error)
    try:
        value = standard_loads(payload)
    except ValueError:
        pass
    else:
        raise AssertionError(f"refused with {error}, and it is {value!r:.500}")
    if MANAGED:
        expected = fault(MANAGED.unmarshal_request, payload)
        assert f"Unable to unmarshal input: {error}" == expected, f"refused with {error}, and not with {expected}"


def check_encoded(value, text, is_plain):
    if is_plain:
        expected = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
        assert text == expected, f"encoded as {text!r:.500} and not {expected!r:.500}"
    if MANAGED and not isinstance(value, bytes):
        # Lone surrogates end the managed runtime's process.
        expected = MANAGED.marshal_response(value)[0].encode(errors="backslashreplace")
        assert text == expected, f"encoded as {text!r:.500}, and by the managed runtime as {expected!r:.500}"


def check_not_encoded(value, error, is_plain):
    if isinstance(error, RecursionError):
        return
    assert isinstance(error, (ValueError, TypeError, decimal.DecimalException)), repr(error)
    if is_plain:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (ValueError, TypeError):
            pass
        else:
            raise AssertionError(f"refused with {error}, and it is {text:.500}")
    if MANAGED and not isinstance(value, bytes):
        expected = fault(MANAGED.marshal_response, value)
        assert f"Unable to marshal response: {error}" == expected, f"refused with {error}, and not with {expected}"


def fault(function, argument):
    try:
        return f"no fault, but {function(argument)!r:.500}"
    except Exception as error:
        return error.msg


def check_log_lines(entry, lines):
    expected = ["\u00a0" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ") for line in entry.splitlines() or [""]]
    assert lines == expected, f"{entry!r} gave {lines!r} and not {expected!r}"


class Text(str):
    def __str__(self):
        return "never"


class Integer(int):
    __repr__ = __str__ = Text.__str__


class Float(float):
    __repr__ = __str__ = Text.__str__


class List(list):
    pass


class Dict(dict):
    pass


class Bytes(bytes):
    pass


class ItsItems(dict):
    def items(self):
        return list(super().items())[::-1]


class AsDict:
    def __init__(self, given):
        self._asdict = (lambda: given) if isinstance(given, dict) else given


Pair = collections.namedtuple("Pair", "x y")


class Recipe:
    """A small machine with a stack: each byte pushes a value, or takes some from the stack and pushes one made of them."""

    def __init__(self, recipe):
        self.rest = recipe
        self.stack = []
        self.is_plain = True
        self.copies = 0

    def take(self, length):
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def size(self):
        return self.take(1)[0] if self.rest else 0

    def pop(self):
        return self.stack.pop() if self.stack else None

    def several(self):
        return [self.pop() for _ in range(min(self.size(), len(self.stack)))]

    def text(self):
        """Of any width, with lone surrogates."""
        written = self.take(self.size())
        try:
            return written.decode(["utf-8", "utf-16-le", "utf-32-le"][self.size() % 3], "surrogatepass")
        except UnicodeDecodeError:
            return written.decode("latin-1")

    def integer(self):
        return int.from_bytes(self.take(self.size()), signed=True)

    def quotient(self, divisor):
        try:
            return self.integer() / divisor
        except OverflowError:
            return math.inf

    def pairs(self):
        values = self.several()
        pairs = {}
        for key, value in zip(values[::2], values[1::2]):
            try:
                pairs[key] = value
            except TypeError:
                pairs["unhashable"] = value
        return pairs

    def decimal(self):
        try:
            return decimal.Decimal(self.take(self.size()).decode("latin-1"))
        except decimal.InvalidOperation:
            return decimal.Decimal((self.size() % 2, (1, 2), self.size() - 128))

    def wrapped(self):
        value = self.pop()
        for _ in range(self.size()):
            value = [value]
        return value

    def circle(self):
        circle = self.several()
        circle.append({"a": circle})
        return circle

    def again(self):
        """What is there already, a few times: more would take forever to write, by any library."""
        self.copies += 1
        return self.stack[self.size() % len(self.stack)] if self.stack and self.copies < 5 else ""

    PLAIN = [
        lambda self: None,
        lambda self: True,
        lambda self: False,
        integer,
        lambda self: struct.unpack("<d", self.take(8).ljust(8, b"\0"))[0],
        text,
        several,
        pairs,
        lambda self: tuple(self.several()),
        wrapped,
        circle,
        again,
        lambda self: self.quotient(1000),
        lambda self: 10 ** self.size() - self.integer(),
    ]
    SPECIAL = [
        lambda self: self.take(self.size()),
        lambda self: Bytes(self.take(self.size())),
        decimal,
        lambda self: Text(self.text()),
        lambda self: Integer(self.integer()),
        lambda self: Float(self.quotient(8)),
        lambda self: List(self.several()),
        lambda self: Dict(self.pairs()),
        lambda self: ItsItems(self.pairs()),
        lambda self: Pair(self.pop(), self.pop()),
        lambda self: AsDict(self.pop()),
        lambda self: collections.OrderedDict(self.pairs()),
        lambda self: {self.text()},
        lambda self: object,
        lambda self: bytearray(self.take(self.size())),
        lambda self: 1j,
    ]

    def follow(self):
        while self.rest:
            instruction = self.size()
            makers = self.SPECIAL if instruction >= 128 else self.PLAIN
            self.is_plain = self.is_plain and instruction < 128
            self.stack.append(makers[instruction % len(makers)](self))
        return self.pop(), self.is_plain


def make(recipe):
    return Recipe(recipe).follow()


def nested(levels, in_lists):
    value = 0
    for _ in range(levels):
        value = [value] if in_lists else {"key": value}
    return value
