"""What a function made when it was imported, before its checkpoint, works after a restore as after a fork."""

import pytest

from checkpoint.conftest import FromCheckpoint
from conftest import EmbeddedPython

# Hooks and identities.


def test_hooks_of_a_fork_run_once_in_the_child(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        calls = []
        os.register_at_fork(before=lambda: calls.append("before"), after_in_child=lambda: calls.append("child"),
                            after_in_parent=lambda: calls.append("parent"))
        def handler(event, context): return calls
    """
    run = from_checkpoint(app, events=[1, 2])
    assert run.responses == [["before", "child"], ["before", "child"]]


def needs_3_14(embedded_python: EmbeddedPython, what: str) -> None:
    """A restored process is a forked child, and CPython knows less of its threads there before 3.14."""
    if tuple(map(int, embedded_python.version.split(".")[:2])) < (3, 14):
        pytest.skip(f"in a forked child of CPython {embedded_python.version} {what}")


def test_the_main_thread_is_the_one_that_was_restored(from_checkpoint: FromCheckpoint, embedded_python: EmbeddedPython) -> None:
    needs_3_14(embedded_python, "the main thread has the native id of its parent's")
    app = """
        import os, threading
        imported_in = threading.current_thread()
        local = threading.local()
        local.value = "kept"

        def handler(event, context):
            thread = threading.current_thread()
            return [thread is threading.main_thread(), thread is imported_in, thread.name, thread.native_id == os.getpid(),
                    threading.get_native_id() == os.getpid(), threading.active_count(), thread.is_alive(), local.value]
    """
    assert from_checkpoint(app).response == [True, True, "MainThread", True, True, 1, True, "kept"]


def test_the_process_id_is_the_restored_process_s(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os, multiprocessing
        at_import = os.getpid()
        process = multiprocessing.current_process()
        def handler(event, context):
            own = int(os.readlink("/proc/self"))
            return [os.getpid() == own, at_import != own, multiprocessing.current_process().pid == own]
    """
    assert from_checkpoint(app).response == [True, True, True]


# Threads.

LOCKS = """
    import logging, queue, threading
    lock, reentrant, condition = threading.Lock(), threading.RLock(), threading.Condition()
    semaphore, happened, tasks = threading.Semaphore(2), threading.Event(), queue.Queue()
    semaphore.acquire()
    happened.set()
    tasks.put("from the import")
    held, held_reentrant = threading.Lock(), threading.RLock()
    held.acquire()
    held_reentrant.acquire()

    def handler(event, context):
        box = []
        def work():
            with lock, reentrant:
                box.append(tasks.get())
            with condition:
                condition.notify()
            box.append(held_reentrant.acquire(blocking=False))
        with condition:
            thread = threading.Thread(target=work)
            thread.start()
            notified = condition.wait(10)
        thread.join(10)
        held_reentrant.release()
        released = held_reentrant.acquire(blocking=False)
        return [box, notified, happened.is_set(), held.locked(), semaphore.acquire(blocking=False),
                semaphore.acquire(blocking=False), released, thread.is_alive()]
"""


def test_locks_and_queues_work_between_threads(from_checkpoint: FromCheckpoint) -> None:
    # A lock that the main thread held when it was dumped, the main thread still holds.
    assert from_checkpoint(LOCKS).response == [["from the import", False], True, True, True, True, False, True, False]


def test_threads_start_after_a_restore(from_checkpoint: FromCheckpoint, embedded_python: EmbeddedPython) -> None:
    needs_3_14(embedded_python, "a thread that was made before the fork cannot be started")
    app = """
        import threading, time
        from concurrent.futures import ThreadPoolExecutor
        made_at_import = threading.Thread(target=lambda: done.append("thread"))
        done = []
        timer = threading.Timer(0.01, lambda: done.append("timer"))
        executor = ThreadPoolExecutor(4)

        def handler(event, context):
            made_at_import.start()
            made_at_import.join(10)
            timer.start()
            timer.join(10)
            squares = list(executor.map(lambda number: number ** 2, range(100)))
            with ThreadPoolExecutor() as another:
                another.submit(done.append, "executor").result(10)
            return [done, squares == [number ** 2 for number in range(100)]]
    """
    assert from_checkpoint(app).response == [["thread", "timer", "executor"], True]


def test_a_thread_that_has_ended_before_is_no_hindrance(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        result = []
        thread = threading.Thread(target=result.append, args=("import",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as executor:
            result += executor.map(str, range(3))

        def handler(event, context):
            return [result, thread.is_alive(), threading.active_count()]
    """
    assert from_checkpoint(app).response == [["import", "0", "1", "2"], False, 1]


# Other processes.


def test_a_process_can_be_forked(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        def handler(event, context):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.write(writer, f"{os.getppid()} {os.getpid()}".encode())
                os._exit(7)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            parent, own = map(int, os.read(reader, 100).split())
            return [status, parent == os.getpid(), own == child]
    """
    assert from_checkpoint(app, events=[1, 2]).responses == [[7, True, True]] * 2


def test_programs_can_be_started(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os, subprocess
        at_import = subprocess.run(["echo", "at import"], capture_output=True, text=True).stdout

        def handler(event, context):
            shown = subprocess.run(["sh", "-c", "echo $SEEN; cat"], input="typed", capture_output=True, text=True, check=True)
            failed = subprocess.run(["sh", "-c", "exit 3"]).returncode
            os.environ["SEEN"] = "changed"
            changed = subprocess.check_output("echo $SEEN", shell=True, text=True)
            spawned = os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)[1])
            return [at_import, shown.stdout, failed, changed, spawned, os.system("exit 4") >> 8]
    """
    run = from_checkpoint(app, environment={"SEEN": "yes"})
    assert run.response == ["at import\n", "yes\ntyped", 3, "changed\n", 0, 4]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(from_checkpoint: FromCheckpoint, method: str) -> None:
    app = f"""
        import multiprocessing
        import work
        context = multiprocessing.get_context("{method}")

        def handler(event, _):
            queue, happened = context.Queue(), context.Event()
            process = context.Process(target=work.put, args=(queue, happened))
            process.start()
            got = queue.get(timeout=20)
            process.join(20)
            with context.Pool(2) as pool:
                squares = pool.map(work.square, range(5))
            one, other = context.Pipe()
            another = context.Process(target=work.send, args=(other,))
            another.start()
            sent = one.recv()
            another.join(20)
            return [got == process.pid, process.exitcode, squares, sent, happened.is_set()]
    """
    work = """
        import os
        def put(queue, happened): happened.set(); queue.put(os.getpid())
        def square(number): return number ** 2
        def send(connection): connection.send("hello")
    """
    run = from_checkpoint(app, files={"work.py": work})
    assert run.response == [True, 0, [0, 1, 4, 9, 16], "hello", True]


def test_a_pool_of_processes_works(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import work
        from concurrent.futures import ProcessPoolExecutor
        def handler(event, context):
            with ProcessPoolExecutor(2) as executor:
                return list(executor.map(work.square, range(5)))
    """
    run = from_checkpoint(app, files={"work.py": "def square(number): return number ** 2\n"})
    assert run.response == [0, 1, 4, 9, 16]


# Event loops.


@pytest.mark.parametrize(
    "at_import", ["", "asyncio.run(asyncio.sleep(0))", "loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)"]
)
def test_event_loops_run(from_checkpoint: FromCheckpoint, at_import: str) -> None:
    app = f"""
        import asyncio
        {at_import}

        async def work(number):
            await asyncio.sleep(0.001)
            return number

        async def several():
            process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
            output, _ = await process.communicate()
            in_thread = await asyncio.to_thread(lambda: "thread")
            return [*await asyncio.gather(work(1), work(2)), output.decode(), in_thread]

        def handler(event, context):
            return asyncio.run(several())
    """
    assert from_checkpoint(app, events=[1, 2]).responses == [[1, 2, "hello\n", "thread"]] * 2


def test_a_loop_that_was_made_at_import_runs_after_the_restore(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import asyncio, threading
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        first = loop.run_until_complete(asyncio.sleep(0, "first"))
        runner = asyncio.Runner()
        runner.run(asyncio.sleep(0))

        def handler(event, context):
            future = loop.create_future()
            # From another thread, which needs the pair that wakes the loop.
            threading.Timer(0.01, lambda: loop.call_soon_threadsafe(future.set_result, "woken")).start()
            return [first, loop.run_until_complete(asyncio.wait_for(future, 10)),
                    asyncio.get_event_loop() is runner.get_loop(), runner.run(asyncio.sleep(0, "runner"))]
    """
    assert from_checkpoint(app, events=[1, 2]).responses == [["first", "woken", True, "runner"]] * 2


def test_handlers_may_be_coroutine_functions(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import asyncio
        lock = asyncio.Lock()
        calls = 0

        async def handler(event, context):
            global calls
            async with lock:
                await asyncio.sleep(0)
                calls += 1
            return [event, calls]
    """
    assert from_checkpoint(app, events=["a", "b"]).responses == [["a", 1], ["b", 2]]


# Signals.


def test_sigterm_ends_an_idle_process(from_checkpoint: FromCheckpoint) -> None:
    run = from_checkpoint("def handler(event, context): return event", end="SIGTERM")
    assert run.ending == "signal 15"


def test_a_signal_handler_of_the_function_runs(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os, signal, sys
        def stop(number, frame):
            print("stopping", number, flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append("usr1"))

        def handler(event, context):
            os.kill(os.getpid(), signal.SIGUSR1)
            return [seen, signal.getsignal(signal.SIGTERM) is stop]
    """
    run = from_checkpoint(app, end="SIGTERM")
    assert (run.response, run.stdout) == ([["usr1"], True], "stopping 15\n")


def test_an_ignored_signal_stays_ignored(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os, signal
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

        def handler(event, context):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR2)
            return [signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN, signal.SIGUSR2 in signal.sigpending()]
    """
    assert from_checkpoint(app).response == [True, True]


def test_a_broken_pipe_is_an_exception(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        def handler(event, context):
            reader, writer = os.pipe()
            os.close(reader)
            try:
                os.write(writer, b"x")
            except BrokenPipeError:
                return "an exception"
    """
    assert from_checkpoint(app).response == "an exception"


def test_a_crash_is_reported(from_checkpoint: FromCheckpoint) -> None:
    # With the stack of Python, which faulthandler prints on a stack of its own.
    app = """
        import faulthandler, os, signal
        faulthandler.enable()
        def handler(event, context): os.kill(os.getpid(), signal.SIGSEGV)
    """
    run = from_checkpoint(app)
    assert run.ending == "signal 11" or "Segmentation fault" in run.stderr, run.story()
    assert "Fatal Python error: Segmentation fault" in run.stderr
    assert 'app.py", line 3 in handler' in run.stderr


def test_deep_recursion_is_an_exception(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import json
        def deep(number): return number if number == 0 else deep(number - 1)
        def handler(event, context):
            value = []
            for _ in range(200000): value = [value]
            try:
                json.dumps(value)
            except RecursionError:
                nested = "RecursionError"
            try:
                deep(10 ** 7)
            except RecursionError:
                return [nested, deep(500)]
    """
    assert from_checkpoint(app).response == ["RecursionError", 0]


# Modules, files, memory.


@pytest.mark.parametrize("kind", ["imports", "init"])
def test_extension_modules_can_be_imported_late(from_checkpoint: FromCheckpoint, kind: str) -> None:
    app = """
        def handler(event, context):
            import ctypes, decimal, lzma, sqlite3, ssl, zoneinfo
            database = sqlite3.connect(":memory:")
            database.execute("create table t (x)")
            database.execute("insert into t values (7)")
            library = ctypes.CDLL(None)
            callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number * 2)
            return [database.execute("select x from t").fetchone(), library.getpid() == __import__("os").getpid(),
                    str(decimal.Decimal(1) / 3), lzma.decompress(lzma.compress(b"x")).decode(), callback(21),
                    ssl.create_default_context().protocol.name]
    """
    assert from_checkpoint(app, kind).response == [[7], True, "0." + "3" * 28, "x", 42, "PROTOCOL_TLS_CLIENT"]


def test_extension_modules_of_the_import_work(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import ctypes, decimal, mmap, sqlite3, ssl, time, zipfile
        database = sqlite3.connect(":memory:")
        database.execute("create table t (x)")
        database.execute("insert into t values (7)")
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number * 2)
        tls = ssl.create_default_context()
        decimal.getcontext().prec = 5
        memory = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE)
        memory[:5] = b"hello"
        started = time.monotonic()

        def handler(event, context):
            return [database.execute("select x from t").fetchone(), callback(21), str(decimal.Decimal(1) / 3),
                    tls.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x").server_side, memory[:5].decode(),
                    0 < time.monotonic() - started < 60, abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 1]
    """
    assert from_checkpoint(app).response == [[7], 42, "0.33333", False, "hello", True, True]


def test_a_large_value_is_whole(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import hashlib
        values = [bytes([number % 251]) * 100_000 for number in range(500)]
        digest = hashlib.sha256(b"".join(values)).hexdigest()
        def handler(event, context):
            values.append(b"x" * 50_000_000)
            return hashlib.sha256(b"".join(values[:500])).hexdigest() == digest
    """
    assert from_checkpoint(app).response is True


def test_the_memory_of_a_restored_process_does_not_grow(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import resource
        table = {number: str(number) for number in range(10_000)}
        def handler(event, context): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    """
    sizes = from_checkpoint(app, events=[*range(3000)]).responses
    assert sizes[-1] - sizes[500] < 1024, "kilobytes"


# Environment, time, output.


def test_what_the_function_has_set_in_its_environment_survives(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        os.environ["SET_AT_IMPORT"] = "by the function"
        os.environ.pop("REMOVED_AT_IMPORT", None)
        os.putenv("ONLY_IN_C", "by the function")

        def handler(event, context):
            seen = [os.environ.get(name) for name in ("SET_AT_IMPORT", "REMOVED_AT_IMPORT", "GIVEN")]
            child = os.popen("echo $SET_AT_IMPORT:$REMOVED_AT_IMPORT:$GIVEN:$ONLY_IN_C").read().strip()
            return [seen, child]
    """
    run = from_checkpoint(app, environment={"REMOVED_AT_IMPORT": "x", "GIVEN": "y"})
    assert run.response == [["by the function", None, "y"], "by the function::y:by the function"]


def test_the_time_zone_is_that_of_the_environment(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import time
        at_import = time.tzname
        def handler(event, context): return [time.tzname[0], time.localtime(0).tm_hour]
    """
    assert from_checkpoint(app, environment={"TZ": "XYZ-3"}).response == ["XYZ", 3]


def test_what_was_printed_at_import_is_printed_once(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import sys
        print("half a line", end="")
        sys.stderr.write("to stderr")
        def handler(event, context): print(", the other half")
    """
    run = from_checkpoint(app, events=[1, 2])
    assert run.stdout == "half a line, the other half\n, the other half\n"
    assert run.stderr.startswith("to stderr")
    assert run.stderr.count("to stderr") == 1


def test_what_the_import_has_changed_of_the_process_is_as_it_was(from_checkpoint: FromCheckpoint) -> None:
    """The kernel keeps these, so they are not in the memory that was saved."""
    app = """
        import os, resource
        os.makedirs("sub", exist_ok=True)
        os.chdir("sub")
        os.umask(0o027)
        resource.setrlimit(resource.RLIMIT_NOFILE, (123, 456))

        def handler(event, context):
            mask = os.umask(0)
            os.umask(mask)
            return [os.path.basename(os.getcwd()), oct(mask), resource.getrlimit(resource.RLIMIT_NOFILE)]
    """
    assert from_checkpoint(app).response == ["sub", "0o27", [123, 456]]


def test_a_function_may_put_its_own_environment_in_the_place_of_pythons(from_checkpoint: FromCheckpoint) -> None:
    app = """
        import os
        os.environ = dict(os.environ, NEW="1")
        def handler(event, context): return [type(os.environ).__name__, os.environ["NEW"]]
    """
    assert from_checkpoint(app).response == ["dict", "1"]
