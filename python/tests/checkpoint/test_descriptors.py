"""What a function has open when its checkpoint is made, and what it finds after a restore."""

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkpoint.conftest import FromCheckpoint, Pack


def test_a_file_goes_on_at_its_position(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        file = open(os.path.join(os.environ["LAMBDA_TASK_ROOT"], "lines.txt"))
        first = file.readline()
        raw = os.open(os.path.join(os.environ["LAMBDA_TASK_ROOT"], "lines.txt"), os.O_RDONLY)
        os.lseek(raw, 4, os.SEEK_SET)
        folder = os.open(os.environ["LAMBDA_TASK_ROOT"], os.O_RDONLY | os.O_DIRECTORY)

        def handler(event, context):
            return [first, file.read(), os.read(raw, 3).decode(), "app.py" in os.listdir(folder), os.get_inheritable(raw)]
    """
    run = from_checkpoint(app, files={"lines.txt": b"one\ntwo\nthree\n"})
    assert run.response == ["one\n", "two\nthree\n", "two", True, False]


@pytest.mark.parametrize("device", ["/dev/urandom", "/dev/null", "/dev/zero"])
def test_a_device_is_open_again(from_checkpoint: FromCheckpoint, device: str) -> None:
    app = f"""
        import os
        device = open("{device}", "rb", buffering=0)
        def handler(event, context): return [device.fileno(), len(device.read(8))]
    """
    run = from_checkpoint(app)
    assert run.response[1] == (0 if device == "/dev/null" else 8)


def test_the_numbers_stay_the_same(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        folder = os.environ["LAMBDA_TASK_ROOT"]
        low = os.open(folder, os.O_RDONLY)
        high = os.dup2(low, 500, inheritable=False)
        inherited = os.dup2(low, 501, inheritable=True)
        os.close(low)
        def handler(event, context):
            return [os.path.samefile(f"/proc/self/fd/{number}", folder) for number in (500, 501)] + [
                os.get_inheritable(500), os.get_inheritable(501)]
    """
    assert from_checkpoint(app).response == [True, True, False, True]


def test_an_unconnected_socket_can_send(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import socket
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        later = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        later.setblocking(False)

        def handler(event, context):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
                receiver.bind(("127.0.0.1", 0))
                receiver.settimeout(5)
                sender.sendto(b"hello", receiver.getsockname())
                received = receiver.recv(10).decode()
            with socket.create_server(("127.0.0.1", 0)) as server:
                later.setblocking(True)
                later.connect(server.getsockname())
                peer, _ = server.accept()
                peer.sendall(b"there")
                return [received, later.recv(10).decode()]
    """
    assert from_checkpoint(app).response == ["hello", "there"]


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_socket_pair_is_one_again(from_checkpoint: FromCheckpoint, kind: str) -> None:
    app = f"""
        import socket
        one, other = socket.socketpair(type=socket.{kind})
        other.setblocking(False)

        def handler(event, context):
            one.sendall(b"hello")
            said = other.recv(10).decode()
            other.sendall(b"there")
            return [said, one.recv(10).decode(), one.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.{kind},
                    other.getblocking()]
    """
    assert from_checkpoint(app).response == ["hello", "there", True, False]


def test_a_pipe_is_one_again(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        reader, writer = os.pipe()
        later_reader, later_writer = os.pipe()
        higher = os.dup2(later_reader, 300); os.close(later_reader)  # The end for reading has the higher number.

        def handler(event, context):
            os.write(writer, b"hello")
            os.write(later_writer, b"there")
            said = os.read(reader, 10).decode(), os.read(higher, 10).decode()
            os.close(writer)
            return [*said, os.read(reader, 10).decode()]
    """
    assert from_checkpoint(app).response == ["hello", "there", ""]


@pytest.mark.parametrize("make", ["os.pipe()", "[end.detach() for end in socket.socketpair()]"])
def test_each_end_has_its_own_flags(from_checkpoint: FromCheckpoint, make: str) -> None:
    app = f"""
        import os, socket
        pairs = [{make} for _ in range(4)]
        for bits, pair in enumerate(pairs):
            for end, bit in zip(pair, (1, 2)):
                os.set_blocking(end, not bits & bit)
                os.set_inheritable(end, bool(bits & bit))

        def handler(event, context):
            return [[[os.get_blocking(end), os.get_inheritable(end)] for end in pair] for pair in pairs]
    """
    expected = [[[not bits & bit, bool(bits & bit)] for bit in (1, 2)] for bits in range(4)]
    assert from_checkpoint(app).response == expected


def test_counters_and_memory_files_have_their_contents(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        counter = os.eventfd(7)
        memory = os.memfd_create("words")
        os.write(memory, b"in memory")

        def handler(event, context):
            os.lseek(memory, 0, os.SEEK_SET)
            return [os.eventfd_read(counter), os.read(memory, 100).decode(), "words" in os.readlink(f"/proc/self/fd/{memory}")]
    """
    assert from_checkpoint(app).response == [7, "in memory", True]


def test_a_memory_file_goes_on_at_its_position(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        memory = os.memfd_create("words")
        os.write(memory, b"in memory")
        os.lseek(memory, 3, os.SEEK_SET)
        def handler(event, context): return os.read(memory, 100).decode()
    """
    assert from_checkpoint(app).response == "memory"


def test_an_epoll_instance_watches_what_it_watched(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os, select
        epoll = select.epoll()
        counter = os.eventfd(0)
        reader, writer = os.pipe()
        epoll.register(counter, select.EPOLLIN)
        epoll.register(reader, select.EPOLLIN | select.EPOLLET)

        def handler(event, context):
            before = epoll.poll(0)
            os.eventfd_write(counter, 1)
            os.write(writer, b"x")
            names = {counter: "counter", reader: "pipe"}
            ready = sorted(names[number] for number, _ in epoll.poll(1))
            return [before, ready, [names[number] for number, _ in epoll.poll(0)]]
    """
    # The pipe is watched for edges: it is ready once.
    assert from_checkpoint(app).response == [[], ["counter", "pipe"], ["counter"]]


@pytest.fixture
def server() -> Iterator[str]:
    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(line)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_address[1])
        server.shutdown()


CONNECTED = """
    import os, socket
    address = "127.0.0.1", int(os.environ["SERVER_PORT"])
    connection = socket.create_connection(address)
    connection.sendall(b"first\\n")
    first = connection.recv(10).decode()
    number = connection.fileno()

    def handler(event, context):
        after = connection.recv(10).decode()
        try:
            connection.sendall(b"x")
            sent = "sent"
        except OSError as error:
            sent = type(error).__name__
        connection.close()
        again = socket.create_connection(address)
        again.sendall(b"again\\n")
        return [first, after, sent, again.recv(10).decode(), again.fileno() == number]
"""


def test_a_connection_is_closed_at_the_other_end(from_checkpoint: FromCheckpoint, server: str) -> None:
    run = from_checkpoint(CONNECTED, environment={"SERVER_PORT": server})
    assert run.response == ["first\n", "", "BrokenPipeError", "again\n", True]


def test_the_packer_names_a_connection_that_is_lost(pack: Pack, server: str) -> None:
    packed = pack({"app.py": CONNECTED}, variables={"SERVER_PORT": server})
    assert packed.exit_code == 0, packed.stderr
    assert (
        f"left out        the connection to 127.0.0.1:{server}: code that uses it sees it closed"
        in packed.stdout + packed.stderr
    )


def test_a_file_that_is_gone_at_the_restore_leaves_its_number_unused(from_checkpoint: FromCheckpoint, tmp_path: Path) -> None:
    # The file of a module is checked; one that code merely has open is not.
    (tmp_path / "data").write_text("data")
    app = f"""
        import os
        file = os.open("{tmp_path}/data", os.O_RDONLY)
        def handler(event, context): return os.read(file, 10).decode()
    """
    assert from_checkpoint(app).response == "data"
