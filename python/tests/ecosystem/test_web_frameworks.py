"""Applications of the frameworks as handlers without an adapter, measured by what Mangum on the managed runtime answers."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import PlayFunction
from ecosystem.log_lines import texts
from http_events import SENDERS, Event, answer_of, function_url, http_api, rest_api
from playing import Play, Player, Run, Runtime

# Each does the same: tells what it was asked, answers with what is hard for a front end, fails, streams.
FASTAPI = """
    from contextlib import asynccontextmanager
    from fastapi import BackgroundTasks, FastAPI, Request, Response
    from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
    from pydantic import BaseModel

    @asynccontextmanager
    async def lifespan(app):
        print("started")
        yield {"database": "open"}
        print("stopped")

    app = FastAPI(lifespan=lifespan)

    class Item(BaseModel):
        name: str
        price: float

    @app.api_route("/echo/{rest:path}", methods=["GET", "POST", "HEAD"])
    async def echo(rest: str, request: Request):
        return {
            "rest": rest, "url": str(request.url), "query": request.query_params.multi_items(), "cookies": request.cookies,
            "tag": request.headers.get("x-tag"), "client": request.client.host,
            "body": (await request.body()).decode("latin-1"), "state": request.state.database,
        }

    @app.post("/items", status_code=201)
    def create(item: Item, background: BackgroundTasks):
        background.add_task(print, "sold", item.name)
        return item

    @app.get("/hard")
    async def hard():
        response = JSONResponse({"a": "é"}, status_code=202, headers={"X-One": "1"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/image")
    async def image():
        return Response(b"\\x89PNG\\xff", media_type="image/png")

    @app.get("/away")
    async def away():
        return RedirectResponse("/echo/a")

    @app.get("/nothing", status_code=204)
    async def nothing():
        return None

    @app.get("/broken")
    async def broken():
        raise ValueError("as asked")

    @app.get("/stream")
    async def stream():
        async def numbers():
            for number in range(3):
                yield f"{number}\\n"
        return StreamingResponse(numbers(), media_type="text/plain")
"""
STARLETTE = """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
    from starlette.routing import Mount, Route

    async def echo(request):
        return JSONResponse({
            "rest": request.path_params["rest"], "url": str(request.url), "query": request.query_params.multi_items(),
            "cookies": request.cookies, "tag": request.headers.get("x-tag"), "client": request.client.host,
            "body": (await request.body()).decode("latin-1"),
        })

    async def hard(request):
        response = JSONResponse({"a": "é"}, status_code=202, headers={"X-One": "1"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    def image(request):
        return Response(b"\\x89PNG\\xff", media_type="image/png")

    async def broken(request):
        raise ValueError("as asked")

    async def numbers():
        for number in range(3):
            yield f"{number}\\n"

    app = Starlette(
        routes=[
            Route("/echo/{rest:path}", echo, methods=["GET", "POST"]),
            Route("/hard", hard),
            Route("/image", image),
            Route("/away", lambda request: RedirectResponse("/echo/a")),
            Route("/nothing", lambda request: Response(status_code=204)),
            Route("/broken", broken),
            Route("/stream", lambda request: StreamingResponse(numbers(), media_type="text/plain")),
            Route("/large", lambda request: PlainTextResponse("x" * 2000)),
        ],
        middleware=[Middleware(GZipMiddleware)],
    )
"""
FLASK = """
    from flask import Flask, Response, jsonify, redirect, request

    app = Flask(__name__)

    @app.route("/echo/<path:rest>", methods=["GET", "POST"])
    def echo(rest):
        return {
            "rest": rest, "url": request.url, "query": list(request.args.items(multi=True)), "cookies": request.cookies,
            "tag": request.headers.get("X-Tag"), "client": request.remote_addr, "body": request.get_data().decode("latin-1"),
        }

    @app.route("/hard")
    def hard():
        response = jsonify({"a": "é"})
        response.status_code = 202
        response.headers["X-One"] = "1"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.route("/image")
    def image():
        return Response(b"\\x89PNG\\xff", mimetype="image/png")

    @app.route("/away")
    def away():
        return redirect("/echo/a")

    @app.route("/nothing")
    def nothing():
        return "", 204

    @app.route("/broken")
    def broken():
        raise ValueError("as asked")

    @app.route("/stream")
    def stream():
        return Response((f"{number}\\n" for number in range(3)), mimetype="text/plain")
"""
DJANGO = """
    import os
    from django.conf import settings
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="secret", DEBUG=False,
        LOGGING_CONFIG=None, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    )
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def echo(request, rest):
        return JsonResponse({
            "rest": rest, "url": request.build_absolute_uri(), "query": [[k, v] for k, vs in request.GET.lists() for v in vs],
            "cookies": request.COOKIES, "tag": request.headers.get("x-tag"), "client": request.META["REMOTE_ADDR"],
            "body": request.body.decode("latin-1"),
        })

    def hard(request):
        response = JsonResponse({"a": "é"}, status=202, headers={"X-One": "1"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def image(request):
        return HttpResponse(b"\\x89PNG\\xff", content_type="image/png")

    def broken(request):
        raise ValueError("as asked")

    def stream(request):
        return StreamingHttpResponse((f"{number}\\n" for number in range(3)), content_type="text/plain")

    urlpatterns = [
        path("echo/<path:rest>", echo),
        path("hard", hard),
        path("image", image),
        path("away", lambda request: HttpResponseRedirect("/echo/a")),
        path("nothing", lambda request: HttpResponse(status=204)),
        path("broken", broken),
        path("stream", stream),
    ]
    app = get_asgi_application()
    wsgi = get_wsgi_application()
"""
FALCON = """
    import falcon, falcon.asgi

    class Echo:
        def on_get(self, request, response, rest):
            response.media = {"rest": rest, "url": request.url, "query": request.params, "cookies": request.cookies,
                              "tag": request.get_header("x-tag"), "client": request.remote_addr}
        on_post = on_get

    class AsyncEcho:
        async def on_get(self, request, response, rest):
            Echo.on_get(self, request, response, rest)
        on_post = on_get

    class Broken:
        async def on_get(self, request, response):
            raise ValueError("as asked")

    app = falcon.asgi.App()
    app.add_route("/echo/{rest:path}", AsyncEcho())
    app.add_route("/broken", Broken())
    wsgi = falcon.App()
    wsgi.add_route("/echo/{rest:path}", Echo())
"""
BOTTLE = """
    from bottle import Bottle, request

    app = Bottle()

    @app.route("/echo/<rest:path>", method=["GET", "POST"])
    def echo(rest):
        return {"rest": rest, "url": request.url, "query": sorted(request.query.allitems()), "cookies": dict(request.cookies),
                "tag": request.get_header("x-tag"), "client": request.remote_addr,
                "body": request.body.read().decode("latin-1")}
"""
APPLICATIONS = {
    "fastapi": FASTAPI,
    "starlette": STARLETTE,
    "flask": FLASK,
    "django": DJANGO,
    "falcon": FALCON,
    "bottle": BOTTLE,
}
MANGUM = """
    from mangum import Mangum
    from {} import {} as app
    handler = Mangum(app)
"""
# Mangum is told of ASGI only: a WSGI application reaches it by Django's own bridge.
MANGUM_AND_BRIDGE = """
    from asgiref.wsgi import WsgiToAsgi
    from mangum import Mangum
    from {} import {} as app
    handler = Mangum(WsgiToAsgi(app), lifespan="off")
"""
ASGI = {"fastapi": "app", "starlette": "app", "django": "app", "falcon": "app"}
WSGI = {"flask": "app", "django": "wsgi", "falcon": "wsgi", "bottle": "app"}
HANDLERS = [(name, handler, MANGUM) for name, handler in ASGI.items()]
HANDLERS += [(name, handler, MANGUM_AND_BRIDGE) for name, handler in WSGI.items()]


def requests(sender: Callable[..., Event]) -> list[Event]:
    json_headers = [("Content-Type", "application/json")]
    return [
        sender("GET", "/echo/caf%C3%A9/a%20b?q=%C3%A9+x&q=2&empty=&slash=a%2Fb%26", [("X-Tag", "1"), ("Cookie", "a=1; b=2")]),
        sender("POST", "/echo/body", [("Content-Type", "application/octet-stream"), ("Content-Length", "2")], b"\x00\xff"),
        sender("POST", "/echo/text", [("Content-Type", "text/plain"), ("Content-Length", "3")], "aé"),
        sender("HEAD", "/echo/head"),
        sender("POST", "/items", json_headers, '{"name": "chair", "price": 9.5}'),
        sender("POST", "/items", json_headers, '{"name": "chair"}'),
        sender("GET", "/hard"),
        sender("GET", "/image"),
        sender("GET", "/away"),
        sender("GET", "/nothing"),
        sender("GET", "/stream"),
        sender("GET", "/large", [("Accept-Encoding", "gzip")]),
        sender("DELETE", "/hard"),
        sender("GET", "/no/such/page"),
        sender("GET", "/broken"),
    ]


@pytest.fixture
def runtime(bootstrap: Path) -> Runtime:
    """Applications are no handlers for the managed runtime."""
    return Runtime("whipsnake", [str(bootstrap)])


@pytest.mark.parametrize(("name", "attribute", "mangum"), HANDLERS, ids=[f"{name}-{app}" for name, app, _ in HANDLERS])
def test_an_application_answers_as_with_mangum(
    player: Player,
    runtime: Runtime,
    managed: Runtime,
    task_root: Path,
    make_play: Callable[..., Play],
    name: str,
    attribute: str,
    mangum: str,
) -> None:
    files = {f"{name}_app.py": APPLICATIONS[name], "adapter.py": mangum.format(f"{name}_app", attribute)}
    fields: dict[str, Any] = {
        "events": [event for sender in SENDERS for event in requests(sender)],
        # The order of what a 405 allows.
        "environment": {"PYTHONHASHSEED": "0"},
        "task_root": task_root,
    }
    (ours,) = player.play(make_play(files, handler=f"{name}_app.{attribute}", **fields), [runtime])
    (theirs,) = player.play(make_play(files, handler="adapter.handler", **fields), [managed])
    assert (ours.errors, ours.init_error, theirs.errors, theirs.init_error) == ([], None, [], None), (
        ours.story() + theirs.story()
    )
    for event, response, measured in zip(fields["events"], ours.responses, theirs.responses, strict=True):
        assert response == measured, event


def play_application(play_tool: PlayFunction, name: str, *events: object, attribute: str = "app", **fields: Any) -> Run:
    return play_tool({"main.py": APPLICATIONS[name]}, handler=f"main.{attribute}", events=events, **fields)


def test_the_lifespan_is_that_of_the_execution_environment(play_tool: PlayFunction) -> None:
    run = play_application(play_tool, "fastapi", http_api(url="/echo/a"), http_api(url="/echo/b"), end="SIGTERM")
    assert [json.loads(response["body"])["state"] for response in run.responses] == ["open", "open"]
    assert texts(run) == ["started", "stopped"]


@pytest.mark.parametrize("name", ["fastapi", "starlette", "django"])
def test_an_error_of_the_application_is_an_answer_and_a_record(play_tool: PlayFunction, name: str) -> None:
    run = play_application(play_tool, name, http_api(url="/broken"))
    status, _, body = answer_of(run.response)
    assert (status, b"Error" in body) == (500, True)
    # Django logs it by itself.
    records = [line for line in texts(run) if "ValueError: as asked" in line]
    assert len(records) == 1


def test_a_background_task_has_run_when_the_answer_goes_out(play_tool: PlayFunction) -> None:
    item = rest_api("POST", "/items", [("Content-Type", "application/json")], '{"name": "chair", "price": 9.5}')
    run = play_application(play_tool, "fastapi", item)
    assert run.response["statusCode"] == 201
    assert "sold chair" in texts(run)


@pytest.mark.parametrize(
    ("name", "attribute"), [("fastapi", "app"), ("starlette", "app"), ("flask", "app"), ("django", "wsgi")]
)
def test_a_streaming_response_streams(play_tool: PlayFunction, name: str, attribute: str) -> None:
    environment = {"WHIPSNAKE_INVOKE_MODE": "RESPONSE_STREAM"}
    events = [function_url(url="/stream"), function_url(url="/broken")]
    run = play_application(play_tool, name, *events, attribute=attribute, environment=environment)
    request = run.answers["rid-1"]
    head, *pieces = request.pieces
    prelude, first = head.split(b"\0" * 8, 1)
    assert (json.loads(prelude)["statusCode"], [first, *pieces]) == (200, [b"0\n", b"1\n", b"2\n"])
    assert not run.answers["rid-2"].trailers, "the error page is a whole response"
    assert b'"statusCode": 500' in run.answers["rid-2"].body


def test_links_have_the_stage_in_them(play_tool: PlayFunction) -> None:
    environment = {"WHIPSNAKE_ROOT_PATH": "/prod"}
    for name, attribute in [("fastapi", "app"), ("starlette", "app"), ("flask", "app"), ("django", "app"), ("django", "wsgi")]:
        run = play_application(play_tool, name, rest_api(url="/echo/a"), attribute=attribute, environment=environment)
        seen = json.loads(answer_of(run.response)[2])
        assert (seen["rest"], seen["url"]) == ("a", "https://example.com/prod/echo/a"), name


# What docs/guides/web-applications.md compares with: a server in a second process, and each event an HTTP request to it.
IN_A_SECOND_PROCESS = """
    import base64, http.client, subprocess, sys, time
    command = ["-m", "uvicorn", "main:app", "--port", "0", "--log-level", "info", "--no-access-log"]
    server = subprocess.Popen([{python!r}, *command], stderr=subprocess.PIPE, text=True)
    port = next(int(line.rpartition(":")[2].split()[0]) for line in server.stderr if "running on" in line)
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def handler(event, context):
        asked = event["requestContext"]["http"]
        connection.request(asked["method"], asked["path"] + "?" + event["rawQueryString"], headers=event["headers"])
        answer = connection.getresponse()
        return {{"statusCode": answer.status, "headers": dict(answer.headers), "body": answer.read().decode()}}
"""
MEMORY = """
    @app.get("/memory")
    def memory():
        def pss(process):
            with open(f"/proc/{process}/smaps_rollup") as lines:
                return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        import os
        from glob import glob
        runtime = os.getpid() if "AWS_LAMBDA_RUNTIME_API" in os.environ and not IS_SERVER else os.getppid()
        return sum(map(pss, {runtime, os.getpid()}))

    import sys
    IS_SERVER = "uvicorn" in sys.modules
"""


def test_a_request_takes_less_time_and_memory_than_over_a_second_process(
    player: Player, runtime: Runtime, managed: Runtime, task_root: Path, make_play: Callable[..., Play]
) -> None:
    """`pytest -rP -k second_process` shows the figures of the guide."""
    events = [http_api(url="/echo/a?q=1") for _ in range(300)] + [http_api(url="/memory")]
    files = {
        "main.py": FASTAPI + MEMORY,
        "proxy.py": IN_A_SECOND_PROCESS.format(python=managed.command[0]),
        "adapter.py": MANGUM.format("main", "app"),
    }
    ways = {
        "application": ("main.app", runtime),
        "second process": ("proxy.handler", runtime),
        "Mangum": ("adapter.handler", runtime),
        "Mangum on the managed runtime": ("adapter.handler", managed),
    }
    figures: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for _ in range(3):
        for way, (handler, with_runtime) in ways.items():
            (run,) = player.play(make_play(files, task_root=task_root, events=events, handler=handler), [with_runtime])
            assert run.errors == [], run.story()
            request = statistics.median(run.seconds_to_answer(number) for number in range(50, 300))
            memory = json.loads(run.answers["rid-301"].json()["body"])
            figures[way].append((request * 1e6, memory / 1024, run.requests[0].at_us / 1000))
    best = {way: [min(values) for values in zip(*rounds, strict=True)] for way, rounds in figures.items()}
    for way, (request, memory, start) in best.items():
        print(f"{way}: {request:.0f} us a request, {memory:.0f} MB, {start:.0f} ms to start")
    assert all(best["application"][figure] < best["second process"][figure] for figure in (0, 1)), best
