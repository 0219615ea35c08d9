"""Nothing that a function says becomes a header, or a request, of its own."""

import pytest

from conftest import PlayFunction
from http_events import function_url
from playing import Run

LINES = "a\\r\\nX-Injected: 1\\r\\n\\r\\nPOST /2018-06-01/runtime/invocation/rid-9/response HTTP/1.1"


def assert_nothing_was_injected(run: Run, count: int) -> None:
    assert list(run.answers) == [f"rid-{number + 1}" for number in range(count)], run.story()
    for request in run.requests:
        assert "x-injected" not in {name.lower() for name, _ in request.headers}
        for _, value in request.headers:
            assert b"\r" not in value
            assert b"\n" not in value


def test_by_the_name_or_the_text_of_an_exception(play: PlayFunction) -> None:
    module = f"""
        def handler(event, context):
            if event == "name":
                raise type("{LINES}", (Exception,), {{}})("text")
            if event == "module":
                raise type("Failure", (Exception,), {{"__module__": "{LINES}"}})("text")
            raise ValueError("{LINES}")
    """
    run = play({"app.py": module}, events=["name", "module", "text"])
    assert_nothing_was_injected(run, 3)
    assert run.errors[2]["errorMessage"] == LINES.encode().decode("unicode_escape")


def test_by_the_name_of_an_exception_at_import(play: PlayFunction) -> None:
    run = play({"app.py": f'raise type("{LINES}", (Exception,), {{}})("text")'}, events=[{}])
    assert_nothing_was_injected(run, 0)
    assert run.init_error["errorType"] == LINES.encode().decode("unicode_escape")


def test_by_the_type_and_the_headers_of_a_stream(play: PlayFunction) -> None:
    module = f"""
        from whipsnake import HttpResponse, StreamingResponse

        def handler(event, context):
            return {{
                "type": lambda: StreamingResponse(iter(["a"]), content_type="{LINES}"),
                "name": lambda: HttpResponse(headers={{"{LINES}": "b"}}),
                "value": lambda: HttpResponse(headers={{"content-type": "{LINES}"}}),
                "cookie": lambda: HttpResponse(cookies=["{LINES}"]),
            }}[event]()
    """
    run = play({"app.py": module}, events=["type", "name", "value", "cookie"])
    assert_nothing_was_injected(run, 4)
    assert [error["errorType"] for error in run.errors] == ["Runtime.MarshalError"] * 3
    # Of a type, what HTTP forbids is dropped.
    assert run.answers["rid-1"].header("content-type") == LINES.replace("\\r\\n", "")


def test_by_an_exception_after_the_first_byte(play: PlayFunction) -> None:
    module = f"""
        def handler(event, context):
            yield "a"
            raise type("{LINES}", (Exception,), {{}})("{LINES}")
    """
    run = play({"app.py": module}, events=[{}])
    assert_nothing_was_injected(run, 1)
    for name, value in run.answers["rid-1"].trailers:
        assert name.lower() in {"lambda-runtime-function-error-type", "lambda-runtime-function-error-body"}
        assert b"\n" not in value


def test_by_an_application(play: PlayFunction) -> None:
    asgi = f"""
        LINES = "{LINES}".encode()

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            header = {{"/name": (LINES, b"b"), "/value": (b"a", LINES)}}[scope["path"]]
            await send({{"type": "http.response.start", "status": 200, "headers": [header]}})
            await send({{"type": "http.response.body", "body": b"text"}})
    """
    wsgi = f"""
        def app(environ, start_response):
            header = {{"/name": ("{LINES}", "b"), "/value": ("a", "{LINES}")}}[environ["PATH_INFO"]]
            start_response("200 OK", [header])
            return [b"text"]
    """
    for module in (asgi, wsgi):
        run = play({"app.py": module}, handler="app.app", events=[function_url(url="/name"), function_url(url="/value")])
        assert_nothing_was_injected(run, 2)
        # As a value in JSON it is harmless to us; what stands before the function refuses it or not.
        for answer in run.answers.values():
            assert b"\r\nX-Injected" not in answer.body


@pytest.mark.ordinary_start("the import of the second function fails", kinds=["init"])
def test_the_name_of_a_class_makes_no_endless_header(play: PlayFunction) -> None:
    """The report has the whole name; headers and trailers have its beginning."""
    name = "E" * 2_000_000
    source = f"""
        Long = type("E" * {len(name)}, (Exception,), {{}})
        def handler(event, context):
            if event == "stream":
                yield "a"
            raise Long("m")
    """
    for app, events in ((source, ["stream", "raise"]), (source + "\n        raise Long('m')\n", [])):
        run = play({"app.py": app}, events=events)
        for request in run.requests:
            for _, value in [*request.headers, *request.trailers]:
                assert len(value) <= 64 * 1024
        reports = [run.init_error] if not events else [run.errors[-1]]
        assert reports[0]["errorType"] == name
        if not events:
            [request] = run.requests
            assert request.header("lambda-runtime-function-error-type") == name[:256]
