"""What tools send their data to: small servers on this machine that keep what they get."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request, its body unpacked. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"


@dataclass
class HttpBackend:
    """A server while `serve` lasts."""

    url: str
    received: list[Received] = field(default_factory=list)

    def sent_to(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path.partition("?")[0] == path]


@contextmanager
def serve(
    answer: Callable[[Received], Answer] = lambda request: Answer(),  # noqa: ARG005
    *,
    answers_after: float = 0,
) -> Iterator[HttpBackend]:
    """Answers every request, `answers_after` seconds after it came. Who waits for the answer can be told by the time."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one piece: in two, the client's delayed acknowledgement costs 40 ms.
        wbufsize = -1

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _unpacked(_body(self, headers), headers.get("content-encoding", ""))
            request = Received(self.command, self.path, headers, body)
            backend.received.append(request)
            time.sleep(answers_after)
            answered = answer(request)
            self.send_response(answered.status)
            self.send_header("Content-Type", answered.content_type)
            self.send_header("Content-Length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was killed: every play ends so."""

    with Server(("127.0.0.1", 0), Handler) as server:
        backend = HttpBackend(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield backend
        server.shutdown()
        thread.join()


def _body(handler: BaseHTTPRequestHandler, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(headers.get("content-length", 0)))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _unpacked(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case _:
            return body


class UdpBackend:
    """A socket that is read when the play is over: what was sent to it waits in it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def datagrams(self) -> Iterator[bytes]:
        """Everything that came since it was asked last."""
        self._socket.setblocking(False)
        while True:
            try:
                yield self._socket.recv(65_536)
            except BlockingIOError:
                return

    def close(self) -> None:
        self._socket.close()


class Table:
    """A DynamoDB table with the key `id`, as far as idempotency needs one: a put fails where an item is."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def answer(self, request: Received) -> Answer:
        operation, asked = request.headers["x-amz-target"].removeprefix("DynamoDB_20120810."), request.json()
        answered, status = getattr(self, f"_{operation}")(asked), 200
        if "__type" in answered:
            status = 400
        return Answer(json.dumps(answered).encode(), status, "application/x-amz-json-1.0")

    def _PutItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = asked["Item"]["id"]["S"]
        if asked["ConditionExpression"].startswith("attribute_not_exists(") and key in self.items:
            failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            return {"__type": failed, "message": "The conditional request failed", "Item": self.items[key]}
        self.items[key] = asked["Item"]
        return {}

    def _UpdateItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        item = self.items[asked["Key"]["id"]["S"]]
        for assignment in asked["UpdateExpression"].removeprefix("SET ").split(", "):
            name, value = assignment.split(" = ")
            item[asked["ExpressionAttributeNames"][name]] = asked["ExpressionAttributeValues"][value]
        return {}

    def _DeleteItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        del self.items[asked["Key"]["id"]["S"]]
        return {}
