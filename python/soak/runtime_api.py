"""A Runtime API that looks at every answer: whose it claims to be, and whether it is that one's. One thread a connection."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedReader
from typing import cast

from invocations import Invocation, Load
from ledger import Ledger

ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"OK"}'
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]


@dataclass
class RuntimeApi:
    """Serves the invocations of a load until all are answered. `between` is called when one is asked for."""

    load: Load
    ledger: Ledger
    between: Callable[[int], None]
    done: threading.Event = field(default_factory=threading.Event)
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=128))

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb", 1 << 16) as reader:
                while request := read_request(cast("BufferedReader", reader)):
                    answer = self._answer(request)
                    if answer is None:
                        return
                    connection.sendall(answer)
        except OSError:
            # The process has ended, or the runtime has given up the connection.
            return

    def _answer(self, request: Request) -> bytes | None:
        """None: hang up."""
        if request.method == "GET":
            return self._give()
        *_, request_id, outcome = request.path.split("/")
        invocation = self.ledger.answered(request_id, outcome, request)
        if self.ledger.is_whole(self.load.number):
            self.done.set()
        if invocation is None or invocation.kind == "refused":
            return REFUSED
        return None if invocation.kind == "lost" else ACCEPTED

    def _give(self) -> bytes | None:
        with self._lock:
            if self._next == self.load.number:
                invocation: Invocation | None = None
            else:
                self._next += 1
                invocation = self.load.invocation(self._next)
                self.ledger.given(invocation)
        if invocation is None:
            # Held: Lambda ends the process meanwhile.
            threading.Event().wait()
            return None
        self.between(invocation.n)
        return invocation.answer()


def read_request(reader: BufferedReader) -> Request | None:
    """None at the end of the connection."""
    line = reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ")
    headers = _read_headers(reader)
    if headers.get("transfer-encoding") != "chunked":
        return Request(method, path, headers, reader.read(int(headers.get("content-length", 0))), {})
    pieces = []
    while size := int(reader.readline(), 16):
        pieces.append(reader.read(size))
        reader.readline()
    return Request(method, path, headers, b"".join(pieces), _read_headers(reader))


def _read_headers(reader: BufferedReader) -> dict[str, str]:
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers
