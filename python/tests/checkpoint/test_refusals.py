"""What cannot be in a checkpoint is refused when it is made, and the packer names it."""

import platform

import pytest

from checkpoint.conftest import KINDS, Kind, Pack, Start
from conftest import EmbeddedPython

HELLO = "def handler(event, context): return 'hello'\n"
ADVICE = "Move that into the handler, or use --checkpoint=imports, which runs the function's own code after the restore."

CASES = {
    "a socket that listens": (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n",
        "is a socket that listens",
    ),
    "a bound socket": (
        "import socket\nreceiver = socket.socket(type=socket.SOCK_DGRAM)\nreceiver.bind(('127.0.0.1', 0))\n",
        "is a socket that is bound to an address",
    ),
    "a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='ticker', daemon=True).start()\n",
        "threads are running: ",
    ),
    "a file open for writing": (
        "import tempfile\nfile = tempfile.NamedTemporaryFile()\n",
        "is open for writing",
    ),
    "a deleted file": (
        "import os, tempfile\npath = tempfile.mktemp()\nopen(path, 'w').close()\nfile = open(path)\nos.unlink(path)\n",
        "is a deleted file",
    ),
    "a pipe with contents": (
        "import os\nreader, writer = os.pipe()\nos.write(writer, b'x')\n",
        "is a pipe with unread bytes",
    ),
    "a socket pair with contents": (
        "import socket\none, other = socket.socketpair()\none.send(b'x')\n",
        "is a socket pair with unread bytes",
    ),
    "a pipe to another process": (
        "import subprocess\nchild = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n",
        "is a pipe to another process",
    ),
    "an end of a pipe twice": (
        "import os\nreader, writer = os.pipe()\nagain = os.dup(writer)\n",
        "is a second one of the same end of a pair",
    ),
    "an end of a socket pair twice": (
        "import os, socket\none, other = socket.socketpair()\nagain = os.dup(one.fileno())\n",
        "is a second one of the same end of a pair",
    ),
    "a timer": (
        "import os, time\ntimer = os.timerfd_create(time.CLOCK_MONOTONIC) if hasattr(os, 'timerfd_create') else None\n"
        "assert timer is not None\n",
        "cannot be made again",
    ),
    "an epoll that watches what is closed": (
        "import os, select\nepoll = select.epoll()\ncounter = os.eventfd(0)\nother = os.dup(counter)\n"
        "epoll.register(counter)\nos.close(counter)\n",
        "watches a descriptor that is closed",
    ),
    "shared memory": (
        "import mmap\nshared = mmap.mmap(-1, 4096)\nshared[:5] = b'hello'\n",
        "memory is shared with other processes",
    ),
    "a lock between processes": (
        "import multiprocessing\nlock = multiprocessing.get_context('fork').Lock()\n",
        "memory is shared with other processes",
    ),
    "a background task": (
        "import asyncio\nloop = asyncio.new_event_loop()\nasync def forever(): await asyncio.sleep(60)\n"
        "task = loop.create_task(forever())\nloop.run_until_complete(asyncio.sleep(0))\n",
        "an event loop has work to do (1 tasks): start background tasks in the handler",
    ),
    "an exception": (
        "raise ValueError('not here')\n",
        "the function could not be imported: ",
    ),
    "an exit": (
        "import os\nprint('goodbye', flush=True)\nos._exit(3)\n",
        "the process ended with exit status: 3",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_restored_is_refused(pack: Pack, case: str) -> None:
    source, reason = CASES[case]
    packed = pack({"app.py": source + HELLO}, "init")
    assert packed.exit_code == 2, packed.stdout
    assert "no checkpoint can be made: " in packed.stderr or "making the checkpoint: " in packed.stderr
    assert reason in packed.stderr
    assert not packed.checkpoint.exists()


@pytest.mark.parametrize("case", ["a socket that listens", "a thread", "a file open for writing", "a background task"])
def test_a_refusal_offers_the_other_kind(pack: Pack, case: str) -> None:
    assert ADVICE in pack({"app.py": CASES[case][0] + HELLO}, "init").stderr


ORIGINS = {
    "a socket that listens": "app.py:2: server = socket.create_server(('127.0.0.1', 0))",
    "a thread": "app.py:2: threading.Thread(target=time.sleep, args=(60,), name='ticker', daemon=True).start()",
    "a file open for writing": "app.py:2: file = tempfile.NamedTemporaryFile()",
    "a pipe with contents": "app.py:2: reader, writer = os.pipe()",
    "a pipe to another process": ("app.py:2: child = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)"),
    "an end of a socket pair twice": "app.py:3: again = os.dup(one.fileno())",
    "shared memory": "app.py:2: shared = mmap.mmap(-1, 4096)",
    "a lock between processes": "app.py:2: lock = multiprocessing.get_context('fork').Lock()",
}


@pytest.mark.parametrize("case", ORIGINS)
def test_a_refusal_names_the_line_of_code(pack: Pack, case: str) -> None:
    packed = pack({"app.py": CASES[case][0] + HELLO}, "init")
    assert f"\n  {ORIGINS[case]}\n" in packed.stderr


def test_a_line_in_a_function_is_named_with_it(pack: Pack) -> None:
    app = "import socket\ndef serve():\n    return socket.create_server(('127.0.0.1', 0))\nserver = serve()\n"
    refused = pack({"app.py": app + HELLO}, "init").stderr
    assert "\n  app.py:3, in serve: return socket.create_server(('127.0.0.1', 0))\n" in refused


def test_a_descriptor_that_was_closed_is_not_blamed_for_its_number(pack: Pack) -> None:
    app = "open(__file__).read()\nfile = open('/tmp/whipsnake-refused', 'w')\n"
    assert "\n  app.py:2: file = open('/tmp/whipsnake-refused', 'w')\n" in pack({"app.py": app + HELLO}, "init").stderr


def test_a_background_task_is_named(pack: Pack) -> None:
    packed = pack({"app.py": CASES["a background task"][0] + HELLO}, "init")
    assert f"\n  {packed.task_root}/app.py:3, in forever\n" in packed.stderr
    assert "Traceback" not in packed.stderr


def test_a_module_that_raises_is_told_of_variables(pack: Pack) -> None:
    refused = pack({"app.py": "import os\nTABLE = os.environ['TABLE']\n" + HELLO}, "init").stderr
    assert "the function could not be imported: 'TABLE'" in refused
    assert "\nIf it needs variables, pass them with --env. Or use --checkpoint=imports" in refused


def test_a_thread_is_named(pack: Pack) -> None:
    assert "threads are running: ticker (" in pack({"app.py": CASES["a thread"][0] + HELLO}, "init").stderr


def test_the_packer_shows_what_the_function_printed(pack: Pack) -> None:
    assert "\n  goodbye\n" in pack({"app.py": CASES["an exit"][0] + HELLO}, "init").stderr


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("an exception", "an exit")])
def test_the_functions_own_leftovers_do_not_matter_to_a_checkpoint_of_imports(pack: Pack, start: Start, case: str) -> None:
    packed = pack({"app.py": CASES[case][0] + HELLO}, "imports")
    assert packed.exit_code == 0, packed.stderr
    assert start(packed).response == "hello"


def test_a_function_that_fails_fails_the_same_way_after_imports(pack: Pack, start: Start) -> None:
    packed = pack({"app.py": CASES["an exception"][0] + HELLO}, "imports")
    assert packed.exit_code == 0, packed.stderr
    assert "left out        the function's import failed (ValueError: not here)" in packed.stdout + packed.stderr
    assert start(packed).init_error["errorMessage"] == "not here"


THREAD = "threading.Thread(target=time.sleep, args=(60,), name='ticker', daemon=True).start()"

LEAVES_A_THREAD = {
    # An installed package, by its RECORD.
    "leftover.py": CASES["a thread"][0],
    "leftover-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: leftover\nVersion: 1.0\n",
    "leftover-1.0.dist-info/RECORD": "leftover.py,,\nleftover-1.0.dist-info/METADATA,,\nleftover-1.0.dist-info/RECORD,,\n",
    "app.py": "import leftover\n" + HELLO,
}


def test_a_package_that_cannot_be_restored_is_refused(pack: Pack) -> None:
    packed = pack(LEAVES_A_THREAD, "imports")
    assert packed.exit_code == 2
    assert "threads are running: ticker (" in packed.stderr
    assert f"\n  leftover 1.0, leftover.py:2: {THREAD}\n" in packed.stderr
    assert "Use --checkpoint=try to pack without a checkpoint where none can be made." in packed.stderr


def test_the_functions_own_line_comes_before_the_packages(pack: Pack) -> None:
    refused = pack(LEAVES_A_THREAD, "init").stderr
    assert f"\n  app.py:1: import leftover\n  leftover 1.0, leftover.py:2: {THREAD}\n" in refused


def test_try_packs_without_a_checkpoint(pack: Pack) -> None:
    packed = pack(LEAVES_A_THREAD, "try")
    assert packed.exit_code == 0, packed.stderr
    assert "threads are running: ticker (" in packed.stderr
    assert "\nThe function is packed without a checkpoint.\n" in packed.stderr
    assert not packed.checkpoint.exists()
    assert not (packed.task_root / "bootstrap").exists()
    assert (packed.task_root / "app.py").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapper_script_is_refused(pack: Pack, kind: Kind) -> None:
    packed = pack({"app.py": HELLO}, kind, variables={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"})
    assert packed.exit_code == 2
    assert "AWS_LAMBDA_EXEC_WRAPPER is set" in packed.stderr


def test_a_file_of_the_functions_own_is_not_replaced(pack: Pack) -> None:
    packed = pack({"app.py": HELLO, "bootstrap": "#!/bin/sh\nexit 1\n"}, "init")
    assert packed.exit_code == 2
    assert "the function has a file bootstrap of its own, which the checkpoint needs: rename it" in packed.stderr


def test_a_refusal_leaves_no_program_in_the_folder(pack: Pack) -> None:
    packed = pack({"app.py": CASES["a thread"][0] + HELLO}, "init")
    assert packed.exit_code == 2
    left = sorted(str(path.relative_to(packed.task_root)) for path in packed.task_root.rglob("*") if path.is_file())
    assert "bootstrap" not in left
    assert ".whipsnake/checkpoint" not in left


OTHER = "x86_64" if platform.machine() == "aarch64" else "arm64"


def test_a_checkpoint_for_another_processor_is_refused(pack: Pack) -> None:
    packed = pack({"app.py": HELLO}, "init", "--arch", OTHER)
    assert packed.exit_code == 2
    assert f"a checkpoint for {OTHER} is the memory of a process that has run there" in packed.stderr
    assert f"run the command on an {OTHER} machine" in packed.stderr
    assert not packed.task_root.exists()


def test_try_packs_for_another_processor_without_a_checkpoint(pack: Pack) -> None:
    packed = pack({"app.py": HELLO}, "try", "--arch", OTHER)
    assert packed.exit_code == 0, packed.stderr
    assert f"a checkpoint for {OTHER} is the memory of a process that has run there" in packed.stderr
    assert not packed.checkpoint.exists()


def test_a_free_threaded_python_is_refused(pack: Pack, embedded_python: EmbeddedPython) -> None:
    if not embedded_python.standard_library.endswith("t"):
        pytest.skip("this CPython is not free-threaded")
    packed = pack({"app.py": HELLO}, "imports")
    assert packed.exit_code == 2
    assert "no checkpoint can be made: this CPython is free-threaded" in packed.stderr
