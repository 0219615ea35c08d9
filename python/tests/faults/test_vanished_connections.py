"""The other end of a connection vanishes without closing it, so that nothing comes over it any more, not even its end."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from faults.handlers import ECHO, HANDLERS
from playing import lambda_variables, write_files

TCP_REPAIR = 19
"""A connection that is closed while it is repaired is forgotten, and its other end is told nothing."""
SECONDS = 20


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as tried:
        try:
            tried.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except OSError as error:
            pytest.skip(f"connections can only be made to vanish by root, who may repair them: {error}")
        server.settimeout(SECONDS)
        yield server


def asked(requests: BinaryIO) -> tuple[str, bytes]:
    """The next request's path and body."""
    path = requests.readline().split()[1].decode()
    length = 0
    while line := requests.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return path.removeprefix("/2018-06-01/runtime/invocation/"), requests.read(length)


def event(name: str) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {name}\r\nContent-Length: {len(name) + 2}\r\n\r\n"
        f'"{name}"'
    ).encode()  # fmt: skip


@pytest.mark.parametrize("handler", ["plain", "async"])
def test_a_connection_whose_other_end_vanished_is_noticed_within_two_seconds(
    bootstrap: Path, tmp_path: Path, listener: socket.socket, handler: str
) -> None:
    write_files(tmp_path, {"app.py": ECHO + HANDLERS[handler]})
    variables = {name: str(value) for name, value in lambda_variables(tmp_path, tmp_path, "app.handler").items()}
    variables["AWS_LAMBDA_RUNTIME_API"] = "{}:{}".format(*listener.getsockname())
    with subprocess.Popen([bootstrap], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            vanishing, _ = listener.accept()
            with vanishing.makefile("rb") as requests:
                assert asked(requests) == ("next", b"")
                vanishing.sendall(event("first"))
                assert asked(requests) == ("first/response", b'"first"')
                vanishing.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                assert asked(requests) == ("next", b"")
                # What is not acknowledged is sent again, and would find nobody there.
                vanishing.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                vanishing.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            vanishing.close()
            vanished = time.monotonic()
            connection, _ = listener.accept()
            assert time.monotonic() - vanished < 2
            with connection, connection.makefile("rb") as requests:
                assert asked(requests) == ("next", b"")
                connection.sendall(event("second"))
                assert asked(requests) == ("second/response", b'"second"')
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""
