"""ASGI and WSGI applications as handlers, with applications that are no more than the protocols ask for."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from conftest import PlayFunction
from http_events import (
    SENDERS,
    Event,
    answer_of,
    function_url,
    http_api,
    http_api_with_format_1,
    load_balancer,
    load_balancer_with_lists,
    rest_api,
)
from playing import Files, Run

type Sender = Callable[..., Event]

# Tells what it was asked.
ASGI = """
    import json

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise ValueError("requests only")
        message = await receive()
        seen = {name: value for name, value in scope.items() if not name.startswith("aws.")}
        seen["query_string"] = seen["query_string"].decode("latin-1")
        seen["headers"] = [[name.decode(), value.decode()] for name, value in seen["headers"]]
        seen["request_id"] = scope["aws.context"].aws_request_id
        seen["event is there"] = "requestContext" in scope["aws.event"]
        seen["message"] = {**message, "body": message["body"].decode("latin-1")}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""
WSGI = """
    import io, json, sys

    def app(environ, start_response):
        seen = {name: value for name, value in environ.items() if isinstance(value, (str, int, tuple))}
        seen["body"] = environ["wsgi.input"].read().decode("latin-1")
        seen["request_id"] = environ["aws.context"].aws_request_id
        environ["wsgi.errors"].write("to the log\\n")
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(seen).encode()]
"""
AS_WSGI = {"WHIPSNAKE_APP": "wsgi"}
STREAMED = {"WHIPSNAKE_INVOKE_MODE": "RESPONSE_STREAM"}


def asgi(body: str, before: str = "") -> Files:
    """An application without a lifespan that runs `body` for each request."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return {
        "app.py": f"import asyncio, time\n{before}\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    async def start(status=200, *headers):\n"
        "        await send({'type': 'http.response.start', 'status': status, 'headers': headers})\n"
        "    async def write(body=b'', more=False):\n"
        "        await send({'type': 'http.response.body', 'body': body, 'more_body': more})\n"
        f"{lines}\n"
    }


def wsgi(body: str, before: str = "") -> Files:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return {"app.py": f"import sys, time\n{before}\ndef app(environ, start_response):\n{lines}\n"}


@pytest.fixture
def ask(play: PlayFunction) -> Callable[..., Run]:
    def run(files: Files, *events: object, environment: dict[str, str] | None = None, **script: Any) -> Run:
        return play(files, handler="app.app", events=events, environment=environment or {}, **script)

    return run


def seen(run: Run) -> Any:
    status, headers, body = answer_of(run.response)
    assert (status, headers) == (200, [("content-type", "application/json")]), run.story()
    return json.loads(body)


@pytest.mark.parametrize("sender", SENDERS)
def test_an_asgi_application_is_given_the_request(ask: Callable[..., Run], sender: Sender) -> None:
    headers = [("X-Tag", "é"), ("Cookie", "a=1; b=2")]
    request = sender("POST", "/caf%C3%A9/a%20b?q=%C3%A9+x&q=2&empty=", headers, b"\x00\xff")
    scope = seen(ask({"app.py": ASGI}, request))
    expected = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/café/a b",
        "raw_path": None,
        "root_path": "",
        "client": ["192.0.2.7", 0],
        "server": ["example.com", 443],
        "state": {},
        "request_id": "rid-1",
        "event is there": True,
        "message": {"type": "http.request", "body": "\x00\xff", "more_body": False},
    }
    assert {name: scope[name] for name in expected} == expected
    # Without lists a load balancer tells of the last one.
    assert scope["query_string"] == ("q=2&empty=" if sender is load_balancer else "q=%C3%A9+x&q=2&empty=")
    headers = [(name, value) for name, value in map(tuple, scope["headers"]) if not name.startswith("x-forwarded")]
    assert sorted(headers) == [("cookie", "a=1; b=2"), ("host", "example.com"), ("x-tag", "é")]


@pytest.mark.parametrize("sender", SENDERS)
def test_a_wsgi_application_is_given_the_request(ask: Callable[..., Run], sender: Sender) -> None:
    headers = [("X-Tag", "é"), ("X_Tag", "posing"), ("Content-Type", "text/plain"), ("Content-Length", "9")]
    request = sender("PUT", "/caf%C3%A9/a%20b?q=%C3%A9+x&q=2", headers, b"\x00\xff")
    run = ask({"app.py": WSGI}, request, environment=AS_WSGI)
    environ = seen(run)
    for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PROTO", "wsgi.multithread"):
        environ.pop(name, None)
    assert environ == {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/cafÃ©/a b",
        "QUERY_STRING": "q=2" if sender is load_balancer else "q=%C3%A9+x&q=2",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "2",
        "HTTP_HOST": "example.com",
        "HTTP_X_TAG": "Ã©",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "https",
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "body": "\x00\xff",
        "request_id": "rid-1",
    }
    assert run.stderr == "to the log\n"


@pytest.mark.parametrize(
    ("headers", "port", "server"),
    [
        ({"Host": "a:8443", "X-Forwarded-Port": "1"}, 8443, "a"),
        ({"Host": "[::1]"}, 443, "[::1]"),
        ({"Host": "a", "X-Forwarded-Proto": "http"}, 80, "a"),
        ({}, 443, "localhost"),
        (None, 443, "localhost"),
    ],
)
def test_the_server_is_who_was_asked(ask: Callable[..., Run], headers: object, port: int, server: str) -> None:
    assert seen(ask({"app.py": ASGI}, {**http_api(), "headers": headers}))["server"] == [server, port]


def test_a_load_balancer_tells_the_client_last(ask: Callable[..., Run]) -> None:
    request = load_balancer(headers=[("x-forwarded-for", "198.51.100.1, 192.0.2.9")])
    assert seen(ask({"app.py": ASGI}, request))["client"] == ["192.0.2.9", 0]


@pytest.mark.parametrize("path", ["/prod/items", "/items"])
@pytest.mark.parametrize("written", ["/prod", "prod/"])
def test_a_root_path_is_there_whether_the_front_end_tells_of_it_or_not(
    ask: Callable[..., Run], path: str, written: str
) -> None:
    environment = {"WHIPSNAKE_ROOT_PATH": written}
    scope = seen(ask({"app.py": ASGI}, http_api(url=path), environment=environment))
    assert (scope["root_path"], scope["path"]) == ("/prod", "/prod/items")
    environ = seen(ask({"app.py": WSGI}, http_api(url=path), environment={**environment, **AS_WSGI}))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/prod", "/items")


def test_a_root_path_ends_where_a_name_ends(ask: Callable[..., Run]) -> None:
    environment = {"WHIPSNAKE_ROOT_PATH": "/prod", **AS_WSGI}
    run = ask({"app.py": WSGI}, http_api(url="/product"), http_api(url="/prod"), environment=environment)
    paths = [json.loads(answer_of(response)[2])["PATH_INFO"] for response in run.responses]
    assert paths == ["/product", "/"]


ANSWER = """
    ANSWERS = {
        "text": (b"text/plain; charset=utf-8", "é".encode()),
        "problem": (b"application/problem+json", b"{}"),
        "image": (b"image/png", b"\\x89PNG"),
        "compressed": (b"text/html", b"\\x1f\\x8b\\xff"),
        "nothing": (b"text/plain", b""),
    }
    HEADERS = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"X-Once", b"1"), (b"X-Raw", b"\\xe9"), (b"X-Text", "é".encode())]
"""
ANSWERING_ASGI = f"""
{ANSWER}
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        content_type, body = ANSWERS[scope["path"][1:]]
        await send({{"type": "http.response.start", "status": 202, "headers": [(b"content-type", content_type), *HEADERS]}})
        await send({{"type": "http.response.body", "body": body[:1], "more_body": True}})
        await send({{"type": "http.response.body", "body": body[1:]}})
"""
ANSWERING_WSGI = f"""
{ANSWER}
    def app(environ, start_response):
        content_type, body = ANSWERS[environ["PATH_INFO"][1:]]
        headers = [(b"content-type", content_type), *HEADERS]
        start_response("202 Accepted", [(name.decode(), value.decode("latin-1")) for name, value in headers])
        return iter([body[:1], body[1:]])
"""
BODIES = {
    "text": ("é", False),
    "problem": ("{}", False),
    "image": (base64.b64encode(b"\x89PNG").decode(), True),
    "compressed": (base64.b64encode(b"\x1f\x8b\xff").decode(), True),
    "nothing": ("", False),
}


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("sender", SENDERS)
def test_a_response_has_the_form_that_its_sender_understands(ask: Callable[..., Run], interface: str, sender: Sender) -> None:
    files = {"app.py": ANSWERING_ASGI if interface == "asgi" else ANSWERING_WSGI}
    run = ask(files, *[sender(url=f"/{name}") for name in BODIES], environment={"WHIPSNAKE_APP": interface})
    others = {"x-once": "1", "x-raw": "é", "x-text": "é"}
    for (text, is_base64), response in zip(BODIES.values(), run.responses, strict=True):
        assert (response["statusCode"], response["body"], response["isBase64Encoded"]) == (202, text, is_base64)
    headers = {"content-type": "text/plain", **others}
    last = run.responses[-1]
    if sender is load_balancer_with_lists:
        lists = {name: [value] for name, value in headers.items()}
        assert last["multiValueHeaders"] == {**lists, "set-cookie": ["a=1", "b=2"]}
        assert "headers" not in last
    elif sender is load_balancer:
        assert last["headers"] == {**headers, "set-cookie": "a=1", "Set-cookie": "b=2"}
        assert "multiValueHeaders" not in last
    elif sender in (rest_api, http_api_with_format_1):
        assert (last["headers"], last["multiValueHeaders"]) == (headers, {"set-cookie": ["a=1", "b=2"]})
    else:
        assert (last["headers"], last["cookies"]) == (headers, ["a=1", "b=2"])
        assert "multiValueHeaders" not in last


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"Records": [1]}, "it is an object with 'Records'"),
        ({}, "it is an object with nothing in it"),
        (["a"], "it is of type list"),
        (
            {"requestContext": {"connectionId": "c", "eventType": "CONNECT"}, "headers": {}},
            "the event is one of a WebSocket API, and a web application is given HTTP requests",
        ),
    ],
)
@pytest.mark.parametrize(("app", "interface"), [(ASGI, "asgi"), (WSGI, "wsgi")])
def test_another_event_is_a_fault_that_says_what_came(
    ask: Callable[..., Run], event: object, found: str, app: str, interface: str
) -> None:
    run = ask({"app.py": app}, event, http_api(), environment={"WHIPSNAKE_APP": interface})
    (error,) = run.errors
    assert error["errorType"] == "ValueError"
    assert found in error["errorMessage"]
    assert len(run.responses) == 1, "the next invocation is served"


def log_record(run: Run) -> str:
    (record,) = [line for line in run.stdout.split("\n") if line.startswith("[ERROR]")]
    return record


INTERNAL_SERVER_ERROR = (500, [("content-type", "text/plain; charset=utf-8")], b"Internal Server Error")


@pytest.mark.parametrize("files", [asgi("raise ValueError('as asked')"), wsgi("raise ValueError('as asked')")])
@pytest.mark.parametrize("sender", SENDERS)
def test_an_exception_is_an_error_500_and_a_record(ask: Callable[..., Run], files: Files, sender: Sender) -> None:
    environment = {} if "async" in str(files["app.py"]) else AS_WSGI
    run = ask(files, sender(), environment=environment)
    assert answer_of(run.response) == INTERNAL_SERVER_ERROR
    assert log_record(run).startswith("[ERROR] ValueError: as asked\rTraceback (most recent call last):\r")
    assert "raise ValueError('as asked')" in log_record(run)
    assert "whipsnake" not in log_record(run)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("await start(200)\nraise ValueError('late')", "ValueError: late"),
        ("await start(200)\nawait write(b'a', True)\nraise ValueError('late')", "ValueError: late"),
        ("return", "RuntimeError: the application returned before its response was complete"),
        ("await start(200)", "RuntimeError: the application returned before its response was complete"),
        ("await write(b'')", "RuntimeError: the application sent 'http.response.body' where no server expects it"),
        ("await start()\nawait start()", "RuntimeError: the application sent 'http.response.start' where no server expects it"),
        ("await send({'type': 'websocket.accept'})", "the application sent 'websocket.accept' where no server expects it"),
    ],
)
def test_an_asgi_application_that_breaks_off_is_an_error_500(ask: Callable[..., Run], body: str, complaint: str) -> None:
    run = ask(asgi(body), http_api())
    assert answer_of(run.response) == INTERNAL_SERVER_ERROR
    assert complaint in log_record(run)


@pytest.mark.parametrize("environment", [{}, STREAMED])
def test_an_exception_behind_a_whole_response_is_a_record_alone(ask: Callable[..., Run], environment: dict[str, str]) -> None:
    """As frameworks do that have an error page of their own."""
    app = "await start(503)\nawait write(b'a page')\nraise ValueError('told twice')"
    run = ask(asgi(app), function_url(), environment=environment)
    assert b"a page" in run.answers["rid-1"].body
    assert "503" in run.answers["rid-1"].body.decode()
    assert not run.answers["rid-1"].trailers
    assert "ValueError: told twice" in log_record(run)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("return [b'a']", "AssertionError: the application did not call start_response before its body"),
        ("return []", "AssertionError: the application did not call start_response before its body"),
        ("start_response('200 OK', [])\nstart_response('200 OK', [])", "the application called start_response twice"),
        ("start_response('200 OK', [])", "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_wsgi_application_against_the_rules_is_an_error_500(ask: Callable[..., Run], body: str, complaint: str) -> None:
    run = ask(wsgi(body), http_api(), environment=AS_WSGI)
    assert answer_of(run.response) == INTERNAL_SERVER_ERROR
    assert complaint in log_record(run)


def test_a_wsgi_application_may_write_and_is_closed(ask: Callable[..., Run]) -> None:
    before = """
class Body:
    def __iter__(self):
        yield b""
        yield b"b"
    def close(self):
        print("closed")
"""
    app = "write = start_response('200 OK', [])\nwrite(b'a')\nreturn Body()"
    run = ask(wsgi(app, before), http_api(), environment=AS_WSGI)
    assert answer_of(run.response) == (200, [("content-type", "application/json")], b"ab")
    assert run.stdout == "closed\n"


def test_a_wsgi_application_may_think_again_until_its_body_begins(ask: Callable[..., Run]) -> None:
    app = """
start_response("200 OK", [("X-A", "1")])
if environ["PATH_INFO"] == "/late":
    yield b"a"
try:
    raise ValueError("on second thoughts")
except ValueError:
    start_response("404 Not Found", [("X-A", "2")], sys.exc_info())
yield b"b"
"""
    run = ask(wsgi(app), http_api(), http_api(url="/late"), environment=AS_WSGI)
    early, late = run.responses
    assert answer_of(early) == (404, [("content-type", "application/json"), ("x-a", "2")], b"b")
    assert answer_of(late) == INTERNAL_SERVER_ERROR
    assert "ValueError: on second thoughts" in log_record(run)


LIFESPAN = """
    import asyncio
    print("imported")

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert await receive() == {"type": "lifespan.startup"}
            scope["state"]["numbers"] = []
            scope["state"]["loop"] = asyncio.get_running_loop()
            worker = asyncio.create_task(work())
            print("started")
            await send({"type": "lifespan.startup.complete"})
            assert await receive() == {"type": "lifespan.shutdown"}
            assert not worker.done()
            print("stopping")
            await asyncio.sleep(0.01)
            print("stopped")
            await send({"type": "lifespan.shutdown.complete"})
            return
        state = scope["state"]
        state["numbers"].append(len(state["numbers"]))
        state["of this request"] = True
        assert "of this request" not in scope["aws.event"] and state["loop"] is asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": str(state["numbers"]).encode()})

    async def work():
        await asyncio.sleep(3600)
"""


def test_the_lifespan_is_that_of_the_execution_environment(ask: Callable[..., Run]) -> None:
    run = ask({"app.py": LIFESPAN}, http_api(), http_api(), end="SIGTERM")
    assert [response["body"] for response in run.responses] == ["[0]", "[0, 1]"]
    assert run.stdout == "imported\nstarted\nstopping\nstopped\n"
    assert (run.ending, run.stderr) == ("signal 15", "")


LIFESPAN_OF = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            {}
            return
        await send({{"type": "http.response.start", "status": 204}})
        await send({{"type": "http.response.body"}})
"""
FAILED = 'await send({"type": "lifespan.startup.failed", "message": "no database"})'


@pytest.mark.parametrize(
    ("startup", "error_type", "message"),
    [
        (FAILED, "RuntimeError", "the application's startup failed: no database"),
        (f"{FAILED}; raise ConnectionError('refused')", "ConnectionError", "refused"),
    ],
)
def test_a_startup_that_fails_is_a_failed_init_phase(
    ask: Callable[..., Run], startup: str, error_type: str, message: str
) -> None:
    run = ask({"app.py": LIFESPAN_OF.format(startup)}, http_api())
    assert run.calls == ["POST init/error"]
    assert (run.init_error["errorType"], run.init_error["errorMessage"]) == (error_type, message)
    assert "whipsnake" not in str(run.init_error["stackTrace"])
    assert f"[ERROR] {error_type}: {message}" in run.stdout
    assert run.ending == "exit code 1"


@pytest.mark.parametrize("startup", ["raise ValueError('what is that?')", "pass"])
def test_an_application_without_a_lifespan_goes_without(ask: Callable[..., Run], startup: str) -> None:
    run = ask({"app.py": LIFESPAN_OF.format(startup)}, http_api(), end="SIGTERM")
    assert run.response["statusCode"] == 204
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize(
    "shutdown",
    [
        "raise ValueError('cannot stop')",
        'await send({"type": "lifespan.shutdown.failed", "message": "ValueError: cannot stop"})',
    ],
)
def test_a_shutdown_that_fails_is_a_record(ask: Callable[..., Run], shutdown: str) -> None:
    complete = f'await send({{"type": "lifespan.startup.complete"}}); await receive(); {shutdown}'
    run = ask({"app.py": LIFESPAN_OF.format(complete)}, http_api(), end="SIGTERM")
    assert "ValueError: cannot stop" in log_record(run)
    assert run.ending == "signal 15"


@pytest.mark.parametrize(
    "app",
    [
        "class App:\n    async def __call__(self, scope, receive, send): await run(scope, receive, send)\napp = App()",
        "async def app(scope, receive, send, more=None): await run(scope, receive, send)",
    ],
)
def test_asgi_shows_by_its_three_arguments(ask: Callable[..., Run], app: str) -> None:
    source = str(asgi("await start(201)\nawait write()")["app.py"]).replace("def app", "def run")
    assert ask({"app.py": f"{source}\n{app}"}, http_api()).response["statusCode"] == 201


@pytest.mark.parametrize(
    "app",
    [
        "app = functools.partial(run)",
        "class App:\n    async def serve(self, scope, receive, send): await run(scope, receive, send)\napp = App().serve",
        "def app(scope, receive, send): return run(scope, receive, send)",
    ],
)
def test_what_does_not_show_is_said(ask: Callable[..., Run], app: str) -> None:
    source = str(asgi("await start(201)\nawait write()")["app.py"]).replace("def app", "def run")
    files = {"app.py": f"import functools\n{source}\n{app}"}
    assert ask(files, http_api(), environment={"WHIPSNAKE_APP": "asgi"}).response["statusCode"] == 201
    assert "error" in ask(files, http_api()).calls[1]


@pytest.mark.parametrize(
    "handler",
    [
        "def app(environ, start_response): return [environ]",
        "async def app(event, context): return [event]",
        "async def app(event, context, more=None): return [event]",
        "async def app(*arguments): return [arguments[0]]",
        "def app(event, context, send=None): return [event]",
        "class App:\n    def __call__(self, event, context): return [event]\napp = App()",
        "class App:\n    async def __call__(self, event, context): return [event]\napp = App()",
        # FlaskLambda and others of its kind take events by themselves.
        "import flask\nclass App(flask.app.Flask):\n    def __call__(self, event, context): return [event]\napp = App()",
        "class App:\n    def __new__(cls, event, context): return [event]\napp = App",
        "class Odd(type):\n    def __getattribute__(cls, name): raise ValueError(name)\n"
        "class App(metaclass=Odd):\n    def __call__(self, event, context): return [event]\napp = App()",
    ],
)
def test_a_handler_is_never_taken_for_an_application(ask: Callable[..., Run], handler: str) -> None:
    flask = "class Flask:\n    def __call__(self, environ, start_response): return []\n"
    files = {"app.py": handler, "flask/__init__.py": "from flask import app", "flask/app.py": flask}
    assert ask(files, {"a": 1}).response == [{"a": 1}]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("bottle", "Bottle"),
        ("django.core.handlers.wsgi", "WSGIHandler"),
        ("falcon.app", "App"),
        ("flask.app", "Flask"),
        ("pyramid.router", "Router"),
    ],
)
def test_a_wsgi_application_shows_by_its_class(ask: Callable[..., Run], module: str, name: str) -> None:
    framework = f"""
        class {name}:
            def __call__(self, environ, start_response):
                start_response("201 Created", [])
                return [b"made"]
    """
    app = f"from {module} import {name}\nclass App({name}): pass\napp = App()"
    run = ask({"app.py": app, f"{module.replace('.', '/')}.py": framework}, http_api())
    assert answer_of(run.response) == (201, [("content-type", "application/json")], b"made")


@pytest.mark.parametrize(
    ("variable", "choice"),
    [("WHIPSNAKE_APP", "asgi or wsgi"), ("WHIPSNAKE_INVOKE_MODE", "BUFFERED or RESPONSE_STREAM")],
)
def test_a_setting_that_nobody_knows_is_a_failed_init_phase(ask: Callable[..., Run], variable: str, choice: str) -> None:
    run = ask({"app.py": ASGI}, http_api(), environment={variable: "x"})
    assert run.init_error["errorMessage"] == f'{variable} is "x", and should be {choice}'


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_an_application_is_served_through_the_names_that_tools_replace(ask: Callable[..., Run], interface: str) -> None:
    """As Sentry and others have it: names of awslambdaric are imported, and what they stand for may be replaced."""
    files = {**IN_STEPS[interface], "names.pth": "import awslambdaric.bootstrap"}
    environment = {"WHIPSNAKE_APP": interface}
    whole = ask(files, rest_api(), environment=environment)
    assert (answer_of(whole.response)[0], answer_of(whole.response)[2]) == (201, b"ab")
    assert streamed(ask(files, rest_api(), environment={**environment, **STREAMED}))[1] == b"ab"


def streamed(run: Run, request_id: str = "rid-1") -> tuple[Any, bytes]:
    """The prelude and the body."""
    request = run.answers[request_id]
    assert request.header("lambda-runtime-function-response-mode") == "streaming", run.story()
    prelude, body = request.body.split(b"\0" * 8, 1)
    return json.loads(prelude), body


IN_STEPS = {
    "asgi": asgi(
        "await start(201, (b'content-length', b'2'), (b'X-A', b'1'), (b'x-a', b'2'), (b'set-cookie', b'a=1'), (b'Set-Cookie', b'b=2'))\n"
        "await write(b'a', True)\nawait write(b'', True)\nawait asyncio.sleep(0.2)\nawait write(b'b')"
    ),
    "wsgi": wsgi(
        "headers = [('Content-Length', '2'), ('X-A', '1'), ('x-a', '2'), ('set-cookie', 'a=1'), ('Set-Cookie', 'b=2')]\n"
        "start_response('201 Created', headers)\nyield b'a'\nyield b''\ntime.sleep(0.2)\nyield b'b'"
    ),
}


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("sender", [function_url, rest_api])
def test_what_can_stream_gets_each_piece_when_it_is_there(ask: Callable[..., Run], interface: str, sender: Sender) -> None:
    run = ask(IN_STEPS[interface], sender(), environment={**STREAMED, "WHIPSNAKE_APP": interface})
    assert streamed(run) == ({"statusCode": 201, "headers": {"x-a": "1, 2"}, "cookies": ["a=1", "b=2"]}, b"ab")
    first, second, *_ = run.answers["rid-1"].chunks
    assert second.at_us - first.at_us > 100_000


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("sender", [http_api, http_api_with_format_1, load_balancer, load_balancer_with_lists])
def test_what_cannot_stream_gets_the_whole(ask: Callable[..., Run], interface: str, sender: Sender) -> None:
    run = ask(IN_STEPS[interface], sender(), environment={**STREAMED, "WHIPSNAKE_APP": interface})
    status, headers, body = answer_of(run.response)
    assert (status, body) == (201, b"ab")
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "files", [asgi("await start(204)\nawait write()"), wsgi("start_response('204 No Content', [])\nreturn []")]
)
def test_an_empty_stream_has_its_head(ask: Callable[..., Run], files: Files) -> None:
    interface = "asgi" if "async" in str(files["app.py"]) else "wsgi"
    run = ask(files, function_url(), environment={**STREAMED, "WHIPSNAKE_APP": interface})
    assert streamed(run) == ({"statusCode": 204, "headers": {}, "cookies": []}, b"")


@pytest.mark.parametrize(
    "files",
    [
        asgi("raise ValueError('as asked')"),
        asgi("await start(200)\nraise ValueError('as asked')"),
        wsgi("raise ValueError('as asked')"),
        wsgi("start_response('200 OK', [])\nyield b''\nraise ValueError('as asked')"),
    ],
)
def test_a_stream_that_fails_before_its_first_byte_is_an_error_500(ask: Callable[..., Run], files: Files) -> None:
    interface = "asgi" if "async" in str(files["app.py"]) else "wsgi"
    run = ask(files, function_url(), environment={**STREAMED, "WHIPSNAKE_APP": interface})
    prelude = {"statusCode": 500, "headers": {"content-type": "text/plain; charset=utf-8"}, "cookies": []}
    assert streamed(run) == (prelude, b"Internal Server Error")
    assert "ValueError: as asked" in log_record(run)


@pytest.mark.parametrize(
    "files",
    [
        asgi("await start(200)\nawait write(b'a', True)\nraise ValueError('as asked')"),
        wsgi("start_response('200 OK', [])\nyield b'a'\nraise ValueError('as asked')"),
    ],
)
def test_a_stream_that_fails_later_ends_with_the_fault(ask: Callable[..., Run], files: Files) -> None:
    interface = "asgi" if "async" in str(files["app.py"]) else "wsgi"
    run = ask(files, function_url(), environment={**STREAMED, "WHIPSNAKE_APP": interface})
    assert streamed(run)[1] == b"a"
    assert dict(run.answers["rid-1"].trailers)["lambda-runtime-function-error-type"] == b"ValueError"
    assert "ValueError: as asked" in log_record(run)


NOBODY_READS = {"response": [{"after_chunks": 2, "close": "before", "reset": True}]}


def test_an_asgi_application_hears_that_nobody_reads_any_more(ask: Callable[..., Run]) -> None:
    app = """
await receive()
await start(200)
if scope["path"] == "/next":
    return await write(b"served")
try:
    while True:
        await write(bytes(65536), True)
except OSError as error:
    print(error, await receive())
finally:
    await asyncio.sleep(0.01)
    print("cleaned up")
"""
    run = ask(asgi(app), function_url(), http_api(url="/next"), environment=STREAMED, **NOBODY_READS)
    assert "nobody reads the response any more {'type': 'http.disconnect'}\n" in run.stdout
    assert "cleaned up\n" in run.stdout
    assert run.answers["rid-2"].json()["body"] == "served"


def test_an_asgi_application_that_stops_the_loop_fails_its_own_request_alone(ask: Callable[..., Run]) -> None:
    app = """
await start(200)
if scope["path"] == "/next":
    await asyncio.sleep(0.1)
    return await write(b"served")
await write(b"a", True)
try:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    await write(b"b", True)
except OSError as error:
    print(error)
"""
    run = ask(asgi(app), function_url(), function_url(url="/next"), environment=STREAMED)
    assert dict(run.answers["rid-1"].trailers)["lambda-runtime-function-error-type"] == b"RuntimeError"
    assert streamed(run, "rid-2")[1] == b"served"
    assert "nobody reads the response any more\n" in run.stdout


def test_a_wsgi_application_is_closed_when_nobody_reads_any_more(ask: Callable[..., Run]) -> None:
    app = "start_response('200 OK', [])\ntry:\n    while True:\n        yield bytes(65536)\nfinally:\n    print('closed')"
    run = ask(wsgi(app), function_url(), environment={**STREAMED, **AS_WSGI}, **NOBODY_READS)
    assert "closed\n" in run.stdout


def test_the_application_waits_for_who_reads_it(ask: Callable[..., Run]) -> None:
    """It hears that a piece has gone when it has, and makes none in advance."""
    app = """
await start(200)
for number in range(3):
    await write(b"x", True)
    print(number, flush=True)
await write()
"""
    run = ask(asgi(app), function_url(), environment=STREAMED)
    assert streamed(run)[1] == b"xxx"
    assert run.stdout == "0\n1\n2\n"


def test_a_request_is_over_when_its_response_is(ask: Callable[..., Run]) -> None:
    app = "await receive()\nawait start()\nawait write(b'a')\nprint(await receive())"
    run = ask(asgi(app), http_api())
    assert run.stdout == "{'type': 'http.disconnect'}\n"


def test_what_the_application_leaves_to_do_is_done_before_the_answer(ask: Callable[..., Run]) -> None:
    """As background tasks of frameworks: afterwards Lambda freezes the process."""
    app = "await start()\nawait write(b'a')\nawait asyncio.sleep(0.05)\nprint('done')"
    run = ask(asgi(app), http_api())
    assert run.stdout == "done\n"
    assert run.response["body"] == "a"


def test_more_defaults_than_arguments_make_no_application(play: PlayFunction) -> None:
    app = """
        async def handler(event, context): return event
        handler.__defaults__ = (1, 2, 3, 4)
    """
    assert play({"app.py": app}, events=["served"]).response == "served"
