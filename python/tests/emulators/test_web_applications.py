"""Web applications as browsers see them: real HTTP to a Function URL, in both invoke modes."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from emulators.serving import serving
from playing import write_files

# The second piece comes when the browser has seen the first: it makes the file that is waited for.
ASGI = """
    import asyncio, os

    async def handler(scope, receive, send):
        assert scope["type"] == "http"
        body = (await receive())["body"]
        headers = [(b"Content-Type", b"text/plain"), (b"Set-Cookie", b"a=b"), (b"Set-Cookie", b"c=d"), (b"X-Body", body)]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        path = scope["query_string"].decode()
        while path and not os.path.exists(path):
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": "zwei ä".encode()})
"""
WSGI = """
    import os, time

    def handler(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("X-Body", body)]
        start_response("201 Created", headers)
        yield b"one"
        path = environ["QUERY_STRING"]
        while path and not os.path.exists(path):
            time.sleep(0.01)
        yield "zwei ä".encode()
"""


@pytest.fixture(params=["asgi", "wsgi"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    write_files(tmp_path, {"app.py": ASGI if request.param == "asgi" else WSGI})
    return tmp_path, f"WHIPSNAKE_APP={request.param}"


def ask(function_url: str, query: str = "") -> Iterator[http.client.HTTPResponse]:
    browser = http.client.HTTPConnection(urlsplit(function_url).netloc, timeout=20)
    browser.request("POST", f"/?{query}", body="asked", headers={"Content-Type": "text/plain"})
    answer = browser.getresponse()
    assert (answer.status, answer.headers["Content-Type"], answer.headers["X-Body"]) == (201, "text/plain", "asked")
    assert answer.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
    yield answer
    browser.close()


def test_a_function_url_streams(cli: Path, bootstrap: Path, task: tuple[Path, str]) -> None:
    folder, interface = task
    mode = "WHIPSNAKE_INVOKE_MODE=RESPONSE_STREAM"
    with serving(cli, bootstrap, folder, "--env", interface, "--env", mode) as endpoints:
        go_on = folder / "go-on"
        for answer in ask(endpoints.function_url, str(go_on)):
            assert answer.read(3) == b"one"
            go_on.touch()
            assert answer.read() == "zwei ä".encode()


def test_a_function_url_that_does_not_stream_gets_the_whole(cli: Path, bootstrap: Path, task: tuple[Path, str]) -> None:
    folder, interface = task
    with serving(cli, bootstrap, folder, "--env", interface) as endpoints:
        for answer in ask(endpoints.function_url):
            assert answer.read() == "onezwei ä".encode()
