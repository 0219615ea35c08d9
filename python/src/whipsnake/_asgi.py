"""Serves an ASGI application. Imported when the handler is one, and not before."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

import whipsnake
from whipsnake import _event_loop, _http_event
from whipsnake.http import HttpResponse

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_ASGI = {"version": "3.0", "spec_version": "2.4"}


class Application:
    """An ASGI application as a handler. It has started when this has been made, and ends with the event loop."""

    def __init__(self, app: App, streams: bool, root_path: str) -> None:
        self._app = app
        self._streams = streams
        self._root_path = root_path
        lifespan = Lifespan(app)
        whipsnake.running().outcome_of(lifespan.start())
        _event_loop.before_close.append(lifespan.stop)
        self._state = lifespan.state

    async def __call__(self, event: Any, context: object) -> dict[str, object] | HttpResponse:
        request = _http_event.read(event, self._root_path)
        scope = self._scope(request, context)
        if self._streams and request.streams:
            return await self._stream(scope, StreamedExchange(request.body))
        exchange = Exchange(request.body)
        try:
            await self._app(scope, exchange.receive, exchange.send)
            exchange.expect_end()
        except Exception as error:
            whipsnake.running().log_failure(error)
        if not exchange.is_complete:
            return request.response(*_http_event.INTERNAL_SERVER_ERROR)
        return request.response(exchange.status, exchange.headers, b"".join(exchange.chunks))

    async def _stream(self, scope: dict[str, Any], exchange: "StreamedExchange") -> HttpResponse:
        body = exchange.body(asyncio.create_task(_run(self._app, scope, exchange)))
        try:
            first = await anext(body, b"")
        except Exception as error:
            whipsnake.running().log_failure(error)
            status, headers, text = _http_event.INTERNAL_SERVER_ERROR
            return HttpResponse(status, *_http_event.head_of_stream(headers), text)
        return HttpResponse(exchange.status, *_http_event.head_of_stream(exchange.headers), _beginning_with(first, body))

    def _scope(self, request: _http_event.HttpEvent, context: object) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": request.root_path + request.path,
            # Nobody tells us.
            "raw_path": None,
            "query_string": request.query.encode(),
            "root_path": request.root_path,
            "headers": [(name.encode(), value.encode()) for name, value in request.headers],
            "client": (request.client, 0) if request.client else None,
            "server": request.server,
            "state": self._state.copy(),
            "aws.event": request.event,
            "aws.context": context,
        }


class Lifespan:
    """Starts the application and stops it, as far as it wants to know of that."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._told_to_start = False
        self._failure: str | None = None

    async def start(self) -> None:
        """Raises what the startup failed with."""
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._settled.set())
        await self._settled.wait()
        if self._failure is not None:
            # The exception itself comes behind the message, in most frameworks.
            await asyncio.wait([self._task], timeout=1)
            if self._task.done():
                self._task.result()
            raise RuntimeError(f"the application's startup failed: {self._failure}")
        if self._task.done() and not self._task.cancelled():
            # What it raised says that it has no lifespan. Looked at, or asyncio would tell of it in the end.
            self._task.exception()

    async def stop(self) -> None:
        """Tells the log what the shutdown failed with."""
        if self._task.done():
            return
        self._stopping.set()
        try:
            await self._task
            if self._failure is not None:
                raise RuntimeError(f"the application's shutdown failed: {self._failure}")
        except Exception as error:
            whipsnake.running().log_failure(error)

    async def _run(self) -> None:
        await self._app({"type": "lifespan", "asgi": _ASGI, "state": self.state}, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._told_to_start:
            self._told_to_start = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._failure = message.get("message", "")
        self._settled.set()


class Exchange:
    """A request and the response to it, which is collected."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: _http_event.Headers = ()
        self.chunks: list[bytes] = []
        self.is_complete = False
        self._unread: bytes | None = body
        # Nobody waits for a response any more: it is complete, or its reader has gone.
        self._over = asyncio.Event()

    async def receive(self) -> Message:
        if self._unread is not None:
            body, self._unread = self._unread, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.status:
            self.status = message["status"]
            self.headers = message.get("headers", ())
        elif message["type"] == "http.response.body" and self.status and not self.is_complete:
            if body := message.get("body", b""):
                await self._pass_on(body)
            if not message.get("more_body", False):
                self.is_complete = True
                self._over.set()
        else:
            raise RuntimeError(f"the application sent {message['type']!r} where no server expects it")

    def expect_end(self) -> None:
        """The application has returned."""
        if not self.is_complete:
            raise RuntimeError("the application returned before its response was complete")

    async def _pass_on(self, chunk: bytes) -> None:
        self.chunks.append(chunk)


class StreamedExchange(Exchange):
    """A request and the response to it, which goes out while it is made. The application waits until a chunk has gone."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        # None when the application has returned.
        self._passed_on: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._is_deserted = False

    async def body(self, running: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        """The chunks, until the application has ended."""
        running.add_done_callback(lambda _: self._passed_on.put_nowait(None))
        try:
            while (chunk := await self._passed_on.get()) is not None:
                try:
                    yield chunk
                finally:
                    self._passed_on.task_done()
        except (GeneratorExit, asyncio.CancelledError):
            # Nobody reads on. The application hears of it, and what it then has to do is part of the invocation.
            self._is_deserted = True
            self._over.set()
            # Whatever it comes to, there is nobody to tell.
            await asyncio.gather(running, return_exceptions=True)
            raise
        running.result()

    async def _pass_on(self, chunk: bytes) -> None:
        if not self._is_deserted:
            self._passed_on.put_nowait(chunk)
            await self._passed_on.join()
        if self._is_deserted:
            raise OSError("nobody reads the response any more")


async def _run(app: App, scope: dict[str, Any], exchange: StreamedExchange) -> None:
    try:
        await app(scope, exchange.receive, exchange.send)
        exchange.expect_end()
    except Exception as error:
        if not exchange.is_complete:
            raise
        # The response is good: an application that has answered with an error page tells the server of it, too.
        whipsnake.running().log_failure(error)


async def _beginning_with(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()
