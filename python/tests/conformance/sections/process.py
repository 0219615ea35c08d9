"""Threads, signals, child processes, and the end of the process."""

import re

from conformance.case import Behaviour, Case, Section, by_number
from conformance.sections.process_signals import SETTLED, SIGNAL_BEHAVIOURS
from playing import Files, step
from reference import Expected

THREADS: Files = {
    "app.py": """
        import os, threading
        def look():
            return [threading.current_thread() is threading.main_thread(), os.getpid() == threading.get_native_id()]
        at_import = look()
        def handler(event, context):
            return [at_import, look()]
    """
}

ONLY_THREAD: Files = {
    "app.py": """
        import os, threading
        def look():
            return [[thread.name for thread in threading.enumerate()], len(os.listdir("/proc/self/task"))]
        at_import = look()
        def handler(event, context):
            return [at_import, look()]
    """
}

TIMER: Files = {
    "app.py": """
        import signal, threading
        def late(*_): raise TimeoutError("too late")
        def handler(event, context):
            signal.signal(signal.SIGALRM, late)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            threading.Event().wait(10)
    """
}


def event_loop(call: str) -> Case:
    return Case(
        name=call,
        files={
            "app.py": f"""
                import asyncio, signal
                async def work():
                    done = asyncio.Event()
                    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, done.set)
                    signal.raise_signal(signal.SIGUSR1)
                    await done.wait()
                    asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
                    return "done"
                def handler(event, context):
                    return {call}
            """
        },
        events=[{}, {}],
        shows={"rid-2": {"body": '"done"'}},
    )


BETWEEN: Files = {
    "app.py": """
        import threading
        beats = 0
        def beat():
            global beats
            while True:
                beats += 1
                if beats == 1000:
                    print("a thousand", flush=True)
                    return
        def handler(event, context):
            if event == "start":
                threading.Thread(target=beat).start()
            return event
    """
}

STAYS: Files = {
    "app.py": """
        import contextvars, decimal, threading
        variable = contextvars.ContextVar("variable", default=0)
        local = threading.local()
        count = 0
        def handler(event, context):
            global count
            count += 1
            variable.set(variable.get() + 1)
            local.x = getattr(local, "x", 0) + 1
            decimal.getcontext().prec += 1
            return [count, variable.get(), local.x, decimal.getcontext().prec]
    """
}

MULTIPROCESSING: Files = {
    "app.py": """
        import multiprocessing, os
        def work(pipe, x):
            pipe.send([x * x, os.getpid()])
            pipe.close()
        def handler(event, context):
            methods = multiprocessing.get_context(event)
            ours, theirs = methods.Pipe()
            process = methods.Process(target=work, args=(theirs, 7))
            process.start()
            square, child = ours.recv()
            process.join()
            return [square, child == process.pid != os.getpid(), process.exitcode]
    """
}

FORKS: Files = {
    "app.py": """
        import os, warnings
        warnings.simplefilter("error")
        def handler(event, context):
            child = os.fork()
            if child == 0:
                os._exit(5)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """
}

DIVES: Files = {
    "app.py": """
        import sys
        def dive(n): return n if n == 0 else dive(n - 1)
        def handler(event, context): return [dive(event), sys.getrecursionlimit()]
    """
}

ENDS: Files = {
    "app.py": """
        import atexit, sys, threading, time
        atexit.register(print, "at exit")
        class Last:
            def __del__(self): print("deleted")
        last = Last()
        def work():
            time.sleep(0.1)
            print("thread joined")
        def handler(event, context):
            threading.Thread(target=work).start()
            print("no line end", end="|")
            sys.exit(event)
    """
}


def ending(status: object, exit_code: int, stderr: Expected) -> Case:
    return Case(
        name=f"sys.exit({status!r})",
        files=ENDS,
        events=[status],
        shows={
            "calls": ["GET next"],
            "ending": f"exit code {exit_code}",
            "stdout": "no line end|thread joined\nat exit\ndeleted\n",
            "stderr": stderr,
        },
    )


SECTION = Section(
    "The process",
    by_number(
        [
            *SIGNAL_BEHAVIOURS,
            Behaviour(
                "G1",
                "Import and handler run on the main thread, so that signal handlers, timers and event loops work.",
                [
                    Case(
                        name="the main thread",
                        files=THREADS,
                        events=[{}, {}],
                        shows={"rid-2": {"body": "[[true, true], [true, true]]"}},
                    ),
                    Case(
                        name="a timer interrupts the handler",
                        files=TIMER,
                        events=[{}, {}],
                        shows={"rid-2": {"call": "POST rid-2/error"}, "stdout": re.compile("TimeoutError: too late")},
                    ),
                    event_loop("asyncio.run(work())"),
                    event_loop("asyncio.new_event_loop().run_until_complete(work())"),
                ],
            ),
            Behaviour(
                "G2",
                "It is the only thread, and `os.fork` gives no warning.",
                [
                    Case(
                        name="threads",
                        files=ONLY_THREAD,
                        events=[{}, {}],
                        shows={"rid-2": {"body": '[[["MainThread"], 1], [["MainThread"], 1]]'}},
                    ),
                    Case(name="os.fork", files=FORKS, events=[{}, {}], shows={"rid-2": {"body": "5"}, "stderr": ""}),
                ],
            ),
            Behaviour(
                "G5",
                "Threads of the function go on between invocations.",
                [
                    Case(
                        name="a thread that counts",
                        files=BETWEEN,
                        events=[
                            "start",
                            step(idle_signal={"name": "SIGCONT", "after_ms": SETTLED, "until_output": "a thousand\n"}),
                            "after",
                        ],
                        shows={"rid-2": {"body": '"after"'}, "stdout": "a thousand\n"},
                    )
                ],
            ),
            Behaviour(
                "G6",
                "Globals, context variables and what belongs to the thread stay from one invocation to the next.",
                [Case(name="counters", files=STAYS, events=[{}] * 3, shows={"rid-3": {"body": "[3, 3, 3, 31]"}})],
            ),
            Behaviour(
                "G7",
                "`multiprocessing` works by every method.",
                [
                    *(
                        Case(
                            name=f"multiprocessing by {method}",
                            files=MULTIPROCESSING,
                            events=[method, method],
                            shows={"rid-2": {"body": "[49, true, 0]"}, "stderr": ""},
                        )
                        for method in ("fork", "spawn", "forkserver")
                    ),
                ],
            ),
            Behaviour(
                "G8",
                "Calls may go as deep as Python's own limit says.",
                [
                    Case(name="980 calls within each other", files=DIVES, events=[980], shows={"rid-1": {"body": "[0, 1000]"}}),
                ],
            ),
            Behaviour(
                "G9",
                "When the function exits, its threads are joined, exit functions run, and output is flushed.",
                [ending(None, 0, ""), ending(3, 3, ""), ending("bye", 1, "bye\n")],
            ),
        ]
    ),
)
