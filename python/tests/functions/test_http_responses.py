"""`whipsnake.StreamingResponse` and `whipsnake.HttpResponse`: what a function says about a stream besides its body."""

import base64
import json

import pytest

from conftest import PlayFunction
from playing import Files, Run

INTEGRATION = "application/vnd.awslambda.http-integration-response"


def app(source: str) -> Files:
    return {"app.py": f"from whipsnake import HttpResponse, StreamingResponse\n{source}"}


def parts(run: Run, request_id: str = "rid-1") -> tuple[object, bytes]:
    """The prelude and the body."""
    request = run.answers[request_id]
    assert request.call == f"POST {request_id}/response", run.story()
    assert request.header("content-type") == INTEGRATION
    prelude, body = request.body.split(b"\0" * 8, 1)
    return json.loads(prelude), body


BODIES = {
    "a str": "'ab'",
    "bytes": "b'ab'",
    "a bytearray": "bytearray(b'ab')",
    "an iterator": "iter(['a', b'b'])",
    "a generator": "(letter for letter in 'ab')",
    "an async generator": "letters()",
    "a file": "open('ab.txt')",
}
LETTERS = "async def letters():\n    yield 'a'\n    yield 'b'\n"


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("way", ["def handler(event, context): return", "async def handler(event, context): return"])
def test_a_body_of_any_kind_has_a_prelude_before_it(play: PlayFunction, name: str, way: str) -> None:
    source = f"{LETTERS}{way} HttpResponse(201, {{'Content-Type': 'text/plain'}}, ['a=b; Secure'], body={BODIES[name]})"
    run = play({**app(source), "ab.txt": b"ab"}, events=[{}])
    assert parts(run) == (
        {"statusCode": 201, "headers": {"content-type": "text/plain"}, "cookies": ["a=b; Secure"]},
        b"ab",
    )
    assert run.answers["rid-1"].header("lambda-runtime-function-response-mode") == "streaming"


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("way", ["def handler(event, context): return", "async def handler(event, context): return"])
def test_a_content_type_is_the_functions_choice(play: PlayFunction, name: str, way: str) -> None:
    source = f"{LETTERS}{way} StreamingResponse({BODIES[name]}, content_type='text/event-stream')"
    request = play({**app(source), "ab.txt": b"ab"}, events=[{}]).answers["rid-1"]
    assert (request.body, request.header("content-type")) == (b"ab", "text/event-stream")


def test_what_is_not_said_is_the_default(play: PlayFunction) -> None:
    run = play(app("def handler(event, context): return HttpResponse() if event else StreamingResponse()"), events=[0, 1])
    assert run.answers["rid-1"].header("content-type") == "application/octet-stream"
    assert run.answers["rid-1"].body == b""
    assert parts(run, "rid-2") == ({"statusCode": 200, "headers": {}, "cookies": []}, b"")


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_generator_may_yield_it_first_and_it_goes_out_at_once(play: PlayFunction, prefix: str) -> None:
    source = f"""
import time
{prefix}def handler(event, context):
    yield HttpResponse(headers={{"X-A": "1"}})
    time.sleep(0.2)
    yield "a"
    yield "b"
"""
    run = play(app(source), events=[{}])
    assert parts(run) == ({"statusCode": 200, "headers": {"x-a": "1"}, "cookies": []}, b"ab")
    first, second, _ = run.answers["rid-1"].chunks
    assert second.at_us - first.at_us > 100_000


def test_a_yielded_response_with_a_body_comes_before_the_rest(play: PlayFunction) -> None:
    source = """
def handler(event, context):
    body = {"str": "ab", "iterator": iter("ab")}[event]
    yield HttpResponse(404, body=body)
    yield "c"
"""
    run = play(app(source), events=["str", "iterator"])
    assert parts(run, "rid-1")[1] == parts(run, "rid-2")[1] == b"abc"


def test_a_yielded_content_type_waits_for_the_first_bytes(play: PlayFunction) -> None:
    source = "def handler(event, context):\n    yield StreamingResponse(content_type='text/csv')\n    yield 1 / event"
    run = play(app(source), events=[0])
    assert run.errors[0]["errorType"] == "ZeroDivisionError"


def test_a_body_that_fails_before_its_first_item_is_an_ordinary_fault(play: PlayFunction) -> None:
    source = "def body():\n    1 / 0\n    yield\ndef handler(event, context): return HttpResponse(body=body())"
    assert play(app(source), events=[{}]).errors[0]["errorType"] == "ZeroDivisionError"


ILLEGAL = {
    "HttpResponse(99)": "99 is no HTTP status: 100 to 999 are",
    "HttpResponse(70000)": "out of range integral type conversion attempted",
    "HttpResponse('200')": "'str' object cannot be interpreted as an integer",
    "HttpResponse(headers={'a b': 'c'})": '"a b" is no name of an HTTP header',
    "HttpResponse(headers={'a': 'c\\r\\nd: e'})": 'the header a cannot be "c\\r\\nd: e": visible ASCII characters and blanks can',
    "HttpResponse(cookies=['a=\\n'])": 'the header set-cookie cannot be "a=\\n": visible ASCII characters and blanks can',
    "HttpResponse(headers={'a': 'é'})": 'the header a cannot be "é": visible ASCII characters and blanks can',
    "HttpResponse(body=1)": "a streamed chunk must be bytes or str, not int",
    "HttpResponse(body={'a': 1})": "a streamed chunk must be bytes or str, not dict",
    "StreamingResponse(['a'])": "a streamed chunk must be bytes or str, not list",
}


@pytest.mark.parametrize("response", ILLEGAL)
@pytest.mark.parametrize("way", ["return", "yield"])
def test_an_illegal_response_is_a_fault_that_says_why(play: PlayFunction, response: str, way: str) -> None:
    run = play(app(f"def handler(event, context): {way} HttpResponse() if event else {response}"), events=[0, 1])
    error = run.errors[0]
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"].startswith("Unable to marshal response: ")
    assert ILLEGAL[response] in error["errorMessage"]
    assert parts(run, "rid-2")[1] == b""


def test_a_header_that_is_no_text_is_a_fault(play: PlayFunction) -> None:
    error = play(app("def handler(event, context): return HttpResponse(headers={'a': 1})"), events=[{}]).errors[0]
    assert error["errorType"] == "Runtime.MarshalError"


def test_a_second_response_is_no_chunk(play: PlayFunction) -> None:
    source = "def handler(event, context):\n    yield HttpResponse()\n    yield HttpResponse()"
    (_, error_type), (_, report) = play(app(source), events=[{}]).answers["rid-1"].trailers
    assert error_type == b"Runtime.MarshalError"
    assert json.loads(base64.b64decode(report))["errorMessage"].endswith("bytes or str, not HttpResponse")


def test_responses_go_through_the_names_of_awslambdaric(play: PlayFunction) -> None:
    source = "import awslambdaric.lambda_runtime_client\ndef handler(event, context): return HttpResponse(body=iter('ab'))"
    assert parts(play(app(source), events=[{}]))[1] == b"ab"


def test_an_encoder_of_the_functions_own_does_not_see_responses(play: PlayFunction) -> None:
    source = """
import awslambdaric.lambda_runtime_client as client, awslambdaric.lambda_runtime_marshaller as marshaller
class Encoder(marshaller.Encoder):
    def default(self, value): return "seen"
client.BaseLambdaRuntimeClient.marshaller.jsonEncoder = Encoder()
def handler(event, context): return HttpResponse(body=iter('ab'))
"""
    assert parts(play(app(source), events=[{}]))[1] == b"ab"
