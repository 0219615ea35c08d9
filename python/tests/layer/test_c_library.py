"""A layer that brings its own C library: the whole process is loaded from it, and the programs of the system are not."""

import contextlib
import json
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layer.conftest import OnLambda, runner
from layer.sandbox import Sandbox
from layer.test_packages import CALCULATE, installed
from playing import Player

MAPS = """
    def libraries():
        with open("/proc/self/maps") as maps:
            return sorted({line.split()[-1] for line in maps if ".so" in line})
"""

FAMILY = ["libanl.so.1", "libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1"]


def test_every_library_of_a_process_is_the_layers(on_own_c_library: OnLambda) -> None:
    """Extension modules, what the C library itself loads to look up a name, and a child that is started as `python3`."""
    module = """
        import bz2, ctypes, json, lzma, maps, socket, sqlite3, ssl, subprocess, sys, uuid, zlib

        def handler(event, context):
            socket.getaddrinfo("127.0.0.1", 80)
            try:
                socket.getaddrinfo("no-such-name.invalid", 80)
            except socket.gaierror:
                pass
            ask = "import json, maps, ssl; print(json.dumps(maps.libraries()))"
            child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
            return [maps.libraries(), json.loads(child.stdout)]
    """
    for loaded in on_own_c_library({"app.py": module, "maps.py": MAPS}, events=[{}]).response:
        assert "/opt/whipsnake/lib/libc.so.6" in loaded
        assert any(library.startswith("/opt/whipsnake/lib/ld-linux-") for library in loaded)
        assert [library for library in loaded if not library.startswith("/opt/")] == []


def test_a_wheel_with_a_search_path_of_its_own_gets_the_layers_libraries(on_own_c_library: OnLambda, tmp_path: Path) -> None:
    """For a file with DT_RUNPATH the loader does not look into the layer: it has to have loaded the libraries before."""
    task = tmp_path / "task"
    task.mkdir()
    (tmp_path / "wheel.c").write_text("#include <math.h>\ndouble length(double a, double b) { return hypot(a, b); }")
    options = ["-Wl,--enable-new-dtags,-rpath,$ORIGIN,--no-as-needed", *(f"-l:{name}" for name in FAMILY)]
    command: list[str | Path] = ["cc", "-shared", "-fPIC", "-o", task / "wheel.so", tmp_path / "wheel.c", *options]
    subprocess.run(command, check=True, timeout=60)
    module = """
        import ctypes, maps

        def handler(event, context):
            wheel = ctypes.CDLL("/var/task/wheel.so")
            wheel.length.restype = ctypes.c_double
            wheel.length.argtypes = [ctypes.c_double] * 2
            return [wheel.length(3, 4), maps.libraries()]
    """
    length, loaded = on_own_c_library({"app.py": module, "maps.py": MAPS}, events=[{}]).response
    assert length == 5
    assert [library for library in loaded if not library.startswith("/opt/")] == ["/var/task/wheel.so"]


def test_programs_of_the_system_have_the_systems_c_library(on_own_c_library: OnLambda) -> None:
    module = """
        import os, subprocess

        def handler(event, context):
            read = "while read -r line; do echo $line; done < /proc/$$/maps"
            shell = subprocess.run(["/bin/sh", "-c", read], capture_output=True, text=True, check=True)
            loaded = sorted({line.split()[-1] for line in shell.stdout.splitlines() if ".so" in line})
            return [loaded, os.environ["LD_LIBRARY_PATH"], os.environ.get("LD_PRELOAD")]
    """
    loaded, search_path, preloaded = on_own_c_library({"app.py": module}, events=[{}]).response
    assert any(library.endswith("/libc.so.6") for library in loaded)
    assert [library for library in loaded if library.startswith("/opt/")] == []
    assert "whipsnake" not in search_path
    assert preloaded is None


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_starts_processes(on_own_c_library: OnLambda, method: str) -> None:
    module = """
        import multiprocessing

        def child(pipe, number):
            pipe.send(number * 2)

        def handler(method, context):
            processes = multiprocessing.get_context(method)
            ours, theirs = processes.Pipe()
            process = processes.Process(target=child, args=(theirs, 21))
            process.start()
            doubled = ours.recv()
            process.join()
            return [doubled, process.exitcode]
    """
    assert on_own_c_library({"app.py": module}, events=[method]).response == [42, 0]


def test_text_is_utf_8(on_own_c_library: OnLambda) -> None:
    module = """
        import codecs, locale, os, subprocess, sys

        def handler(event, context):
            command = [sys.executable, "-c", "import sys; print(sys.argv[1])", "é"]
            child = subprocess.run(command, capture_output=True, text=True)
            names = [sys.getfilesystemencoding(), locale.getpreferredencoding(), sys.stdout.encoding]
            return [{codecs.lookup(name).name for name in names} == {"utf-8"}, os.fsencode("é").hex(), child.stdout]
    """
    assert on_own_c_library({"app.py": module}, events=[{}]).response == [True, "c3a9", "é\n"]


@contextlib.contextmanager
def name_server(address: bytes) -> Iterator[None]:
    """Answers each question with one address, where the C library asks without /etc/resolv.conf."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.0.0.1", 53))
        except OSError as error:
            pytest.skip(f"the port of a name server is not free here: {error}")

        def serve() -> None:
            while True:
                question, client = server.recvfrom(512)
                if not question:
                    return
                end = question.index(b"\0", 12) + 5
                is_for_ipv4 = question[end - 4 : end - 2] == b"\0\1"
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + address if is_for_ipv4 else b""
                count = b"\0\1" if is_for_ipv4 else b"\0\0"
                server.sendto(question[:2] + b"\x81\x80\0\1" + count + b"\0\0\0\0" + question[12:end] + answer, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.sendto(b"", ("127.0.0.1", 53))
            thread.join()


def test_names_are_looked_up(on_own_c_library: OnLambda) -> None:
    module = """
        import socket
        def handler(name, context):
            return sorted({address[4][0] for address in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)})
    """
    with name_server(bytes([192, 0, 2, 7])):
        run = on_own_c_library({"app.py": module}, events=["lambda.example.com"])
    assert run.response == ["192.0.2.7"], run.story()


PACKAGES = {
    "boto3==1.44.8": (
        "import boto3\nclient = boto3.client('s3', region_name='eu-west-1', aws_access_key_id='a', aws_secret_access_key='b')\n"
        "def handler(event, context):\n"
        "    return client.generate_presigned_url('get_object', Params={'Bucket': 'orders', 'Key': 'k'}).partition('?')[0]",
        "https://orders.s3.amazonaws.com/k",
    ),
    "cryptography==50.0.2": (
        "from cryptography.fernet import Fernet\n"
        "def handler(event, context):\n"
        "    box = Fernet(Fernet.generate_key())\n"
        "    return box.decrypt(box.encrypt(b'secret')).decode()",
        "secret",
    ),
    "grpcio==1.85.3": (
        "import concurrent.futures, grpc\n"
        "def handler(event, context):\n"
        "    double = grpc.unary_unary_rpc_method_handler(lambda request, context: request * 2)\n"
        "    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))\n"
        "    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler('s', {'double': double})])\n"
        "    port = server.add_insecure_port('127.0.0.1:0')\n"
        "    server.start()\n"
        "    with grpc.insecure_channel(f'127.0.0.1:{port}') as channel:\n"
        "        answer = channel.unary_unary('/s/double')(b'ab', timeout=10).decode()\n"
        "    server.stop(None).wait()\n"
        "    return answer",
        "abab",
    ),
    "lxml==6.1.3": (
        "from lxml import etree\ndef handler(event, context): return etree.fromstring('<a><b>1</b></a>').xpath('string(//b)')",
        "1",
    ),
    "numpy==2.4.6": CALCULATE["numpy"],
    "pandas==3.1.1": (
        "import pandas\n"
        "def handler(event, context): return pandas.DataFrame({'a': [1, 2, 3]}).a.rolling(2).mean().tolist()[1:]",
        [1.5, 2.5],
    ),
    "psycopg[binary]==3.3.9": (
        "import psycopg\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        psycopg.connect('host=127.0.0.1 port=1 user=ann password=x sslmode=require')\n"
        "    except psycopg.OperationalError as error:\n"
        "        return [psycopg.pq.__impl__, 'Connection refused' in str(error)]",
        ["binary", True],
    ),
    "pydantic==2.14.4": (
        "import pydantic\nclass Model(pydantic.BaseModel): number: int\n"
        "def handler(event, context): return Model(number='42').number",
        42,
    ),
}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_with_libraries_in_c_and_cpp_work(
    own_sandbox: Sandbox, player: Player, layer_python: Path, tmp_path: Path, package: str
) -> None:
    folder = tmp_path / "user"
    problem = installed(package, layer_python, folder / "python")
    if problem:
        pytest.skip(f"no wheel of {package} for {layer_python.name}: {problem[-200:]}")
    module, expected = PACKAGES[package]
    # Hundreds of modules without bytecode, such as those of pandas, take their time on a busy machine.
    run_slowly = runner(own_sandbox, player, tmp_path, times_slower=3)
    run = run_slowly({"app.py": module}, layer_folder=folder, events=[{}])
    assert run.response == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_licences_and_versions_of_the_c_library_travel_with_it(own_layer_zip: Path) -> None:
    with zipfile.ZipFile(own_layer_zip) as layer:
        licences = {name: layer.read(name).decode() for name in layer.namelist() if name.startswith("whipsnake/licences/")}
        [loader] = [member for member in layer.infolist() if member.filename.startswith("whipsnake/lib/ld-linux-")]
    text = "".join(licences.values())
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert "GCC Runtime Library" in text or "GCC RUNTIME LIBRARY EXCEPTION" in text
    # The kernel runs the loader.
    assert loader.external_attr >> 16 & 0o777 == 0o755
    bill: dict[str, Any] = json.loads(own_layer_zip.with_suffix(".cdx.json").read_text())
    components = bill["components"]
    urls = [component.get("purl", "") for component in components]
    [glibc] = [url for url in urls if url.startswith(("pkg:deb/", "pkg:rpm/")) and "upstream=glibc" in url]
    assert "@2." in glibc
    hashed = {component["name"] for component in components if component["type"] == "file"}
    assert {"whipsnake/lib/libc.so.6", loader.filename} <= hashed


def test_a_bill_names_a_c_library_only_if_the_layer_brings_one(layer_zip: Path) -> None:
    with zipfile.ZipFile(layer_zip) as layer:
        names = {Path(name).name for name in layer.namelist()}
    bill = layer_zip.with_suffix(".cdx.json").read_text()
    assert ("libc.so.6" in names) is ("libpthread.so.0" in names) is ("upstream=glibc" in bill)
