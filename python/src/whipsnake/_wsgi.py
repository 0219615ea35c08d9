"""Serves a WSGI application. Imported when the handler is one, and not before."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import whipsnake
from whipsnake import _http_event
from whipsnake.http import HttpResponse

type ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]
type App = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]


class Application:
    """A WSGI application as a handler."""

    def __init__(self, app: App, streams: bool, root_path: str) -> None:
        self._app = app
        self._streams = streams
        self._root_path = root_path

    def __call__(self, event: Any, context: object) -> dict[str, object] | HttpResponse:
        request = _http_event.read(event, self._root_path)
        response = Response()
        body = response.body_of(self._app, _environ(request, context))
        streams = self._streams and request.streams
        try:
            # With the first bytes the head is settled.
            first = next(body, b"") if streams else b"".join(body)
        except Exception as error:
            whipsnake.running().log_failure(error)
            status, headers, first = _http_event.INTERNAL_SERVER_ERROR
        else:
            status, headers = response.status, response.headers
        if streams:
            return HttpResponse(status, *_http_event.head_of_stream(headers), _beginning_with(first, body))
        return request.response(status, headers, first)


class Response:
    """What an application says of its response, and its body."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._has_begun = False
        self._written: list[bytes] = []

    def body_of(self, app: App, environ: dict[str, Any]) -> Iterator[bytes]:
        """Runs an application. Yields its body, and never an empty piece."""
        items = app(environ, self._start)
        try:
            for item in items:
                yield from self._pieces(item)
            yield from self._pieces(b"")
            self._expect_start()
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _pieces(self, item: bytes) -> Iterator[bytes]:
        """What was written and an item, as far as there is something in it."""
        written, self._written = self._written, []
        for piece in (*written, item):
            if piece:
                self._expect_start()
                self._has_begun = True
                yield piece

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExceptionInfo | None = None
    ) -> Callable[[bytes], object]:
        if exc_info is not None and self._has_begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self.status:
            raise AssertionError("the application called start_response twice")
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._written.append

    def _expect_start(self) -> None:
        if not self.status:
            raise AssertionError("the application did not call start_response before its body")


def _environ(request: _http_event.HttpEvent, context: object) -> dict[str, Any]:
    host, port = request.server
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": _native(request.root_path),
        "PATH_INFO": _native(request.path),
        "QUERY_STRING": _native(request.query),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "aws.event": request.event,
        "aws.context": context,
    }
    for name, value in request.headers:
        # One with an underscore could pose as one with a dash.
        if "_" not in name:
            variable = "HTTP_" + name.upper().replace("-", "_")
            environ[variable] = f"{environ[variable]}, {_native(value)}" if variable in environ else _native(value)
    if "HTTP_CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    # Of what there is, and not of what the sender's base64 was.
    if environ.pop("HTTP_CONTENT_LENGTH", None) or request.body:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ


def _native(text: str) -> str:
    """A text in the form that WSGI has for bytes."""
    return text.encode().decode("latin-1")


def _beginning_with(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
