"""Any JSON and any value, against the managed runtime's own marshaller in this process.

Each example is a batch: one process of ours meets all of it.
"""

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from conftest import PlayFunction
from playing import payload

MORE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(scope="module")
def marshaller() -> Iterator[Any]:
    """Of awslambdaric, as it is on a current Lambda."""
    module = pytest.importorskip("awslambdaric.lambda_runtime_marshaller")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.14")
        yield module.LambdaMarshaller()


text = some.text(some.characters(codec="utf-8")) | some.sampled_from(["", '"', "\\", "\x00", "\x7f", "\u2028", "\U0001f600"])
numbers = some.integers() | some.floats() | some.integers(-(2**70), 2**70)
scalars = some.none() | some.booleans() | numbers | text

ECHO = {"app.py": "def handler(event, context):\n    return ascii(event)\n"}


@some.composite
def nearly_json(draw: some.DrawFn) -> bytes:
    """JSON text with up to two bytes of it changed, taken out or put in."""
    value = draw(some.recursive(scalars, lambda inner: some.lists(inner) | some.dictionaries(text, inner), max_leaves=8))
    written = bytearray(
        json.dumps(value, ensure_ascii=draw(some.booleans()), indent=draw(some.sampled_from([None, 0, 1]))).encode()
    )
    for _ in range(draw(some.integers(0, 2))):
        place = draw(some.integers(0, len(written)))
        piece = draw(
            some.sampled_from(
                [b"", b",", b'"', b"\\", b"0", b"-", b".", b"e", b"}", b"]", b"[", b" ", b"\xff", b"\\ud800", b"u"]
            )
        )
        written[place : place + draw(some.integers(0, 1))] = piece
    return bytes(written)


@MORE
@given(bodies=some.lists(nearly_json(), min_size=20, max_size=60))
def test_any_payload_is_decoded_or_refused_alike(play: PlayFunction, marshaller: Any, bodies: list[bytes]) -> None:
    run = play(ECHO, events=[payload(body) for body in bodies])
    for number, body in enumerate(bodies, 1):
        answer = run.answers[f"rid-{number}"].json()
        try:
            expected = ascii(marshaller.unmarshal_request(body))
        except Exception as fault:  # awslambdaric's class is not there to be named when it is not installed
            expected = fault.msg  # type: ignore[attr-defined]
            assert isinstance(answer, dict), body
            answer = answer["errorMessage"]
        assert answer == expected, body


keys = text | some.integers() | some.floats() | some.booleans() | some.none()
values = some.recursive(
    scalars | some.decimals() | some.binary(max_size=3),
    lambda inner: some.lists(inner) | some.dictionaries(keys, inner) | some.tuples(inner, inner),
    max_leaves=12,
)


@MORE
@given(batch=some.lists(values, min_size=20, max_size=60))
def test_any_value_is_encoded_or_refused_alike(play: PlayFunction, marshaller: Any, batch: list[object]) -> None:
    app = f"""
        from decimal import Decimal
        from math import inf, nan
        VALUES = {batch!r}
        def handler(event, context): return VALUES[event]
    """
    run = play({"app.py": app}, events=[*range(len(batch))])
    for number, value in enumerate(batch, 1):
        answer = run.answers[f"rid-{number}"]
        found: tuple[object, str | None] = answer.body, answer.header("content-type")
        try:
            expected, content_type = marshaller.marshal_response(value)
            expected = expected if isinstance(expected, bytes) else expected.encode()
        except Exception as fault:
            found = answer.json()["errorMessage"], answer.header("content-type")
            expected, content_type = fault.msg, "application/json"  # type: ignore[attr-defined]
        assert found == (expected, content_type), value


def test_the_examples_survive_their_text() -> None:
    """The batches travel as Python text."""
    value = [Decimal("sNaN"), Decimal("-0.10"), math.inf, -0.0, b"\xff", "\x00"]
    assert repr(eval(repr(value), {"Decimal": Decimal, "inf": math.inf})) == repr(value)
