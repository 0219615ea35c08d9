"""Any JSON and any value, against the managed runtime's own marshaller in this process.

Examples come in batches: one process of ours meets all of a batch. `WHIPSNAKE_EXAMPLES` says how many payloads, and how many
values, there are in all. What is found is found again with the seed in pytest's header, and the same number of examples.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from conformance.sections.values import ANSWERS_WITH_ITS_EVENT, PRELUDE
from conftest import PlayFunction
from playing import Files, Request, payload
from properties.json_texts import arrays, json_texts, nearly_json, objects
from properties.values import expressions

EXAMPLES = int(os.environ.get("WHIPSNAKE_EXAMPLES", "2000"))
BATCH = 25
LARGEST = 6 * 1024 * 1024
"""Bytes of an event, and of a response, that Lambda passes on."""

BATCHES = settings(
    max_examples=-(-EXAMPLES // BATCH),
    deadline=None,
    # What an old run found would come first, and take the place of what the seed says.
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
A_FEW = settings(BATCHES, max_examples=-(-EXAMPLES // 400))


@pytest.fixture(scope="module")
def marshaller() -> Iterator[Any]:
    """Of awslambdaric, as it is on a current Lambda."""
    module = pytest.importorskip("awslambdaric.lambda_runtime_marshaller")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.14")
        yield module.LambdaMarshaller()


def answers(play: PlayFunction, files: Files, events: Sequence[object]) -> list[Request]:
    run = play(files, events=events)
    assert [*run.answers] == [f"rid-{number}" for number in range(1, len(events) + 1)], run.story()
    return [*run.answers.values()]


SHOWS_ITS_EVENT = {"app.py": "def handler(event, context):\n    return ascii(event)\n"}


@BATCHES
@given(bodies=some.lists(nearly_json(), min_size=BATCH, max_size=BATCH))
def test_any_payload_is_decoded_or_refused_alike(play: PlayFunction, marshaller: Any, bodies: list[bytes]) -> None:
    for answer, body in zip(answers(play, SHOWS_ITS_EVENT, [*map(payload, bodies)]), bodies, strict=True):
        found = answer.json()
        try:
            expected = ascii(marshaller.unmarshal_request(body))
        except Exception as fault:  # awslambdaric's class is not there to be named when it is not installed
            expected = fault.msg  # type: ignore[attr-defined]
            assert isinstance(found, dict), body
            found = found["errorMessage"]
        assert found == expected, body


def encoded(marshaller: Any, value: object) -> tuple[str, bytes, str]:
    """How the invocation ends, the body and its content type. Lone surrogates, which end the managed runtime's process, are
    escapes in ours."""
    try:
        body, content_type = marshaller.marshal_response(value)
    except Exception as fault:
        return "error", fault.msg.encode(), "application/json"  # type: ignore[attr-defined]
    return "response", body if isinstance(body, bytes) else body.encode(errors="backslashreplace"), content_type


def answered(answer: Request) -> tuple[str, bytes, str | None]:
    end = answer.path.split("/")[-1]
    return end, answer.json()["errorMessage"].encode() if end == "error" else answer.body, answer.header("content-type")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the expressions mean in this process."""
    namespace: dict[str, Any] = {"__name__": "app"}
    exec(PRELUDE, namespace)
    return namespace


@BATCHES
@given(batch=some.lists(expressions, min_size=BATCH, max_size=BATCH))
def test_any_value_is_encoded_or_refused_alike(
    play: PlayFunction, marshaller: Any, names: dict[str, Any], batch: list[str]
) -> None:
    for answer, expression in zip(answers(play, ANSWERS_WITH_ITS_EVENT, batch), batch, strict=True):
        assert answered(answer) == encoded(marshaller, eval(expression, names)), expression


RETURNS_ITS_EVENT = {"app.py": "def handler(event, context):\n    return event\n"}


@A_FEW
@given(
    start=arrays(json_texts) | objects(json_texts),
    filling=json_texts | some.sampled_from([b'"%s"' % (b"x" * 100_000), b'"%s"' % ("é" * 50_000).encode()]),
    size=some.integers(0, LARGEST),
)
def test_payloads_of_any_size_go_in_and_out_alike(
    play: PlayFunction, marshaller: Any, start: bytes, filling: bytes, size: int
) -> None:
    copies = max(0, size - len(start) - 3) // (len(filling) + 1)
    body = b"[" + b",".join([start, *[filling] * copies]) + b"]"
    try:
        event = marshaller.unmarshal_request(body)
    except Exception as fault:
        expected = "error", fault.msg.encode(), "application/json"  # type: ignore[attr-defined]
    else:
        expected = encoded(marshaller, event)
    found = answered(answers(play, RETURNS_ITS_EVENT, [payload(body)])[0])
    assert _short(found) == _short(expected), (body[:200], copies)


def _short(answer: tuple[str, bytes, str | None]) -> tuple[str, bytes, int, str, str | None]:
    """Without megabytes in a failed test's message."""
    end, body, content_type = answer
    return end, body[:200], len(body), hashlib.sha256(body).hexdigest(), content_type
