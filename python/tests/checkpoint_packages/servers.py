"""What the functions connect to: small servers on this machine, a new one for each run."""

import json
import os
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from checkpoint_packages import installed
from ecosystem.backends import Answer, Received, UdpBackend, serve


@dataclass(frozen=True)
class Server:
    """Where it is, as the function's variables say, and what it was sent."""

    variables: dict[str, str]
    sent: Callable[[], list[str]]


type Serve = Callable[[], AbstractContextManager[Server]]


@contextmanager
def none() -> Iterator[Server]:
    """For functions that connect to nothing."""
    yield Server({}, list)


@contextmanager
def http() -> Iterator[Server]:
    """Answers each request with its path."""

    def answer(request: Received) -> Answer:
        return Answer(json.dumps({"path": request.path, "ok": True}).encode())

    with serve(answer) as backend:
        yield Server({"SERVER": backend.url}, lambda: [f"{one.method} {one.path}" for one in backend.received])


@contextmanager
def aws() -> Iterator[Server]:
    """All of AWS, as far as each client gets an answer that it takes. What was sent has the access key of each signature."""
    objects: dict[str, bytes] = {}

    def answer(request: Received) -> Answer:
        if request.method == "PUT":
            objects[request.path] = request.body
            return Answer(b"", content_type="application/xml")
        if request.method == "GET":
            return Answer(objects.get(request.path, b""), content_type="application/octet-stream")
        return Answer(
            b'{"MessageId":"1","FailedEntryCount":0,"Entries":[{"EventId":"1"}]}', content_type="application/x-amz-json-1.0"
        )

    with serve(answer) as backend:
        yield Server({"AWS_ENDPOINT_URL": backend.url}, lambda: [_signed(one) for one in backend.received])


def _signed(request: Received) -> str:
    authorization = request.headers.get("authorization", "")
    key = authorization.partition("Credential=")[2].partition("/")[0]
    return f"{request.method} {request.path} {key} {request.headers.get('x-amz-security-token')}"


@contextmanager
def xray() -> Iterator[Server]:
    """AWS, and the daemon that segments are sent to."""
    daemon = UdpBackend()
    with aws() as clients:
        variables = {**clients.variables, "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
        yield Server(variables, lambda: [*clients.sent(), *map(_segment, daemon.datagrams())])
    daemon.close()


def _segment(datagram: bytes) -> str:
    segment = json.loads(datagram.split(b"\n", 1)[1])
    return f"{segment['name']} {segment.get('parent_id')} {segment.get('annotations')}"


@contextmanager
def sentry() -> Iterator[Server]:
    """Sentry's side: what kinds of items were sent."""
    with serve() as backend:
        dsn = backend.url.replace("://", "://key@") + "/1"
        yield Server({"SENTRY_DSN": dsn}, lambda: [" ".join(_items(one.body)) for one in backend.received])


def _items(envelope: bytes) -> Iterator[str]:
    for line in envelope.split(b"\n"):
        if line.startswith(b"{"):
            fields = json.loads(line)
            if fields.get("type") in {"event", "transaction"} and "length" in fields:
                yield fields["type"]
            elif "exception" in fields:
                yield fields["exception"]["values"][0]["value"]


@contextmanager
def collector() -> Iterator[Server]:
    """An OTLP collector, and the same server as what is called."""
    with serve(lambda request: Answer(b"", content_type="application/x-protobuf")) as backend:  # noqa: ARG005
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, "SERVER": backend.url}
        yield Server(variables, lambda: [f"{one.method} {one.path} {b'order' in one.body}" for one in backend.received])


@contextmanager
def _tcp(answer: Callable[["_Connection"], None], sent: list[str]) -> Iterator[Server]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(EOFError, ConnectionError):
                answer(_Connection(self.rfile, self.wfile, sent))

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Threads(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Server({"PORT": str(server.server_address[1])}, lambda: sent)
        server.shutdown()


@dataclass(frozen=True)
class _Connection:
    reader: socketserver._BufferedReader  # type: ignore[name-defined]
    writer: socketserver._BufferedWriter  # type: ignore[name-defined]
    sent: list[str]

    def read(self, count: int) -> bytes:
        data: bytes = self.reader.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def line(self) -> bytes:
        line: bytes = self.reader.readline()
        if not line:
            raise EOFError
        return line.rstrip()


@contextmanager
def redis() -> Iterator[Server]:
    """Redis with the commands that the function uses, with its answers in RESP2, but for a map."""
    values: dict[bytes, bytes] = {}
    sent: list[str] = []

    def command(words: list[bytes]) -> bytes:
        match [words[0].upper(), *words[1:]]:
            case [b"PING"]:
                return b"+PONG\r\n"
            case [b"SET", name, value]:
                values[name] = value
                return b"+OK\r\n"
            case [b"GET", name]:
                return b"$%d\r\n%b\r\n" % (len(values[name]), values[name])
            case [b"INCR", name]:
                values[name] = b"%d" % (int(values.get(name, b"0")) + 1)
                return b":%b\r\n" % values[name]
            case [b"MULTI"] | [b"CLIENT", *_]:
                return b"+OK\r\n"
            case [b"HELLO", *_]:
                return b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n"
            case _:
                return b"-ERR unknown command\r\n"

    def answer(connection: _Connection) -> None:
        queued: list[bytes] | None = None
        while True:
            words = []
            for _ in range(int(connection.line()[1:])):
                words.append(connection.read(int(connection.line()[1:])))
                connection.read(2)
            name = words[0].upper()
            sent.append(name.decode())
            if name == b"EXEC" and queued is not None:
                answered = b"*%d\r\n" % len(queued) + b"".join(queued)
                queued = None
            elif queued is not None:
                queued.append(command(words))
                answered = b"+QUEUED\r\n"
            else:
                answered = command(words)
                if name == b"MULTI":
                    queued = []
            connection.writer.write(answered)

    with _tcp(answer, sent) as server:
        # What the connection pool says first on each connection is not compared: a restored function has one more.
        told = {"SET", "GET", "INCR", "MULTI", "EXEC"}
        yield Server(server.variables, lambda: [name for name in sent if name in told])


@contextmanager
def postgres() -> Iterator[Server]:
    """PostgreSQL, which answers every query with one row, in its protocol 3.0."""
    sent: list[str] = []

    def message(kind: bytes, body: bytes = b"") -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    row = message(b"T", struct.pack("!h", 1) + b"price\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0))
    row += message(b"D", struct.pack("!hi", 1, 3) + b"1.5")
    complete = message(b"C", b"SELECT 1\0")
    ready = message(b"Z", b"I")

    def answer(connection: _Connection) -> None:
        while True:
            (length,) = struct.unpack("!i", connection.read(4))
            (code,) = struct.unpack("!i", connection.read(length - 4)[:4])
            if code == 3 << 16 or code >> 16 == 3:
                break
            connection.writer.write(b"N")
        greeting = message(b"R", struct.pack("!i", 0))
        for name, value in (
            (b"client_encoding", b"UTF8"),
            (b"server_version", b"17.0"),
            (b"standard_conforming_strings", b"on"),
        ):
            greeting += message(b"S", name + b"\0" + value + b"\0")
        connection.writer.write(greeting + message(b"K", struct.pack("!ii", 1, 1)) + ready)
        answered = b""
        while True:
            kind = connection.read(1)
            (length,) = struct.unpack("!i", connection.read(4))
            body = connection.read(length - 4)
            match kind:
                case b"Q":
                    sent.append(body.rstrip(b"\0").decode())
                    connection.writer.write(row + complete + ready)
                case b"P":
                    sent.append(body.split(b"\0")[1].decode())
                    answered += message(b"1")
                case b"B":
                    answered += message(b"2")
                case b"D":
                    answered += row.partition(b"D\0\0")[0]
                case b"E":
                    answered += row[row.index(b"D\0\0") :] + complete
                case b"S":
                    connection.writer.write(answered + ready)
                    answered = b""
                case b"X":
                    return

    with _tcp(answer, sent) as server:
        yield server


@contextmanager
def mysql() -> Iterator[Server]:
    """MySQL, which answers every SELECT with one row."""
    sent: list[str] = []

    def packet(number: int, body: bytes) -> bytes:
        return struct.pack("<i", len(body))[:3] + bytes([number]) + body

    def text(value: bytes) -> bytes:
        return bytes([len(value)]) + value

    ok, end = b"\0\0\0\2\0\0\0", b"\xfe\0\0\2\0"
    capabilities = 0x00000001 | 0x00000004 | 0x00000008 | 0x00000200 | 0x00002000 | 0x00008000 | 0x00080000

    def read(connection: _Connection) -> bytes:
        head = connection.read(4)
        return connection.read(int.from_bytes(head[:3], "little"))

    def answer(connection: _Connection) -> None:
        greeting = (
            b"\x0a8.4.0\0" + struct.pack("<i", 1) + b"12345678\0" + struct.pack("<H", capabilities & 0xFFFF) + b"\xff\2\0"
        )
        greeting += struct.pack("<H", capabilities >> 16) + b"\x15" + bytes(10) + b"123456789012\0mysql_native_password\0"
        connection.writer.write(packet(0, greeting))
        read(connection)
        connection.writer.write(packet(2, ok))
        while True:
            command = read(connection)
            if command[0] == 1:
                return
            query = command[1:].decode()
            sent.append(query)
            if not query.startswith("SELECT"):
                connection.writer.write(packet(1, ok))
                continue
            column = text(b"def") + text(b"shop") + text(b"orders") * 2 + text(b"price") * 2
            column += b"\x0c" + struct.pack("<HIBHB", 45, 40, 253, 0, 0) + b"\0\0"
            bodies = [b"\1", column, end, text(b"1.5"), end]
            connection.writer.write(b"".join(packet(number, body) for number, body in enumerate(bodies, 1)))

    with _tcp(answer, sent) as server:
        yield server


# Answers with the request in capitals.
GRPC_SERVER = """
import grpc
from concurrent import futures
server = grpc.server(futures.ThreadPoolExecutor(4))
say = grpc.unary_unary_rpc_method_handler(lambda request, context: request.upper())
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Shop", {"Say": say}),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


@contextmanager
def grpc() -> Iterator[Server]:
    """A gRPC server in another process, which has the package."""
    environment = {**os.environ, "PYTHONPATH": str(installed.folder_of("grpc"))}
    command = [sys.executable, "-c", GRPC_SERVER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Server({"PORT": process.stdout.readline().strip()}, list)
        process.kill()


@contextmanager
def openai() -> Iterator[Server]:
    """A model that always says the same."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a latte"}}
    completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "small", "choices": [choice]}

    def answer(request: Received) -> Answer:
        if request.method == "GET":
            return Answer(b'{"error": {"message": "no such model"}}', 404)
        return Answer(json.dumps(completion).encode())

    with serve(answer) as backend:
        yield Server({"SERVER": backend.url}, lambda: [f"{one.method} {one.path}" for one in backend.received])


@contextmanager
def closed() -> Iterator[Server]:
    """A port that nobody listens to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = str(bound.getsockname()[1])
        yield Server({"SERVER": f"http://127.0.0.1:{port}", "PORT": port}, list)
