"""Signals, and SIGTERM above all."""

import re

from conformance.case import Behaviour, Case
from conformance.expectations import no_failures
from playing import ENDED_AFTER_THE_LAST_EVENT, Files, event, step
from reference import Better

SIGNALS = [
    *(
        f"signal.getsignal(signal.{name})"
        for name in (
            "SIGTERM", "SIGINT", "SIGPIPE", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGSEGV", "SIGBUS", "SIGCHLD", "SIGXFSZ",
        )
    ),
    "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "faulthandler.is_enabled()",
]  # fmt: skip

ASKS_ABOUT_SIGNALS: Files = {
    "app.py": f"""
        import faulthandler, signal
        at_import = {{question: str(eval(question)) for question in {SIGNALS!r}}}
        def handler(event, context):
            return [at_import[event], str(eval(event))]
    """
}

ASKS_FOR_THE_DESCRIPTOR = """
    import signal
    at_import = signal.set_wakeup_fd(-1)
    def handler(event, context):
        return [at_import, signal.set_wakeup_fd(-1)]
"""

WAKE_UP: Files = {
    "app.py": """
        import os, signal
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        def handler(event, context):
            return signal.set_wakeup_fd(writer) == writer
    """
}

AT_EXIT_WHEN_BUSY: Files = {
    "app.py": """
        import atexit, threading
        atexit.register(print, "at exit", flush=True)
        def handler(event, context):
            print("busy", flush=True)
            threading.Event().wait(10)
    """
}

AT_EXIT: Files = {
    "app.py": """
        import atexit
        atexit.register(print, "at exit")
        def handler(event, context):
            return event
    """
}

# Not at once: a signal that comes while the managed runtime's main thread goes into its wait is lost until the next event.
SETTLED = 50  # milliseconds

IDLE_SIGTERM = step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED, "until_output": "handled 15\n"})

BUSY_SIGTERM = event(1, signal={"name": "SIGTERM", "after_ms": SETTLED, "until_output": "busy\n"})

# How a handler of SIGTERM ends: how the process does then, and its last words.
REACTIONS = {
    "that returns": ("pass", ENDED_AFTER_THE_LAST_EVENT, ""),
    "that exits with 0": ("sys.exit(0)", "exit code 0", "at exit\n"),
    "that exits with 5": ("sys.exit(5)", "exit code 5", "at exit\n"),
    "that exits at once": ("os._exit(6)", "exit code 6", ""),
}

RAISED = """\
Traceback (most recent call last):
  File "/var/task/app.py", line 5, in on_sigterm
    raise RuntimeError('in the signal handler')
RuntimeError: in the signal handler
"""

RAISES = "raise RuntimeError('in the signal handler')"


def idle_function(reaction: str) -> Files:
    return {
        "app.py": f"""
            import atexit, os, signal, sys
            atexit.register(print, "at exit", flush=True)
            def on_sigterm(number, frame):
                print("handled", number, flush=True)
                {reaction}
            signal.signal(signal.SIGTERM, on_sigterm)
            def handler(event, context):
                return event
        """
    }


def busy_function(reaction: str) -> Files:
    """Its output is written below Python's streams, and it waits without a lock: a signal handler must enter neither again."""
    return {
        "app.py": f"""
            import atexit, os, signal, sys, time
            atexit.register(os.write, 1, b"at exit\\n")
            arrived = []
            def on_sigterm(number, frame):
                arrived.append(number)
                os.write(1, b"handled\\n")
                {reaction}
            signal.signal(signal.SIGTERM, on_sigterm)
            def handler(event, context):
                if event == 1:
                    os.write(1, b"busy\\n")
                    while not arrived: time.sleep(0.01)
                return event
        """
    }


def handled_when_idle(name: str) -> Case:
    reaction, ending, last = REACTIONS[name]
    return Case(
        name=f"while idle: a handler {name}",
        files=idle_function(reaction),
        events=[{"key1": 1}, IDLE_SIGTERM, {"key1": 2}],
        shows={"ending": ending, "stdout": f"handled 15\n{last}"},
    )


def handled_when_busy(name: str) -> Case:
    reaction, ending, last = REACTIONS[name]
    return Case(
        name=f"while busy: a handler {name}",
        files=busy_function(reaction),
        events=[BUSY_SIGTERM, 2],
        shows={"ending": ending, "stdout": f"busy\nhandled\n{last}"},
    )


AGAIN_AND_AGAIN: Files = {
    "app.py": """
        import os, signal
        count = 0
        def on_sigterm(*_):
            global count
            count += 1
            os.write(1, b"handled %d\\n" % count)
        signal.signal(signal.SIGTERM, on_sigterm)
        def handler(event, context): return count
    """
}


def set_to(action: str, ending: str) -> Case:
    return Case(
        name=action,
        files={
            "app.py": f"""
                import signal
                signal.signal(signal.SIGTERM, signal.{action})
                def handler(event, context): return event
            """
        },
        events=[1, step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED}), 2],
        shows={"ending": ending},
    )


SIGNAL_BEHAVIOURS = [
    Behaviour(
        "G3",
        "Signals are as Python leaves them; SIGTERM ends the process.",
        [
            Case(
                name="signal.set_wakeup_fd",
                files={"app.py": ASKS_FOR_THE_DESCRIPTOR},
                events=[1, 2],
                shows={"rid-1": {"body": "[-1, -1]"}, "rid-2": {"body": "[-1, -1]"}},
            ),
            Case(name="a wake-up descriptor of its own", files=WAKE_UP, events=[1, 2, 3], shows={"rid-3": {"body": "true"}}),
            Case(name="signal.getsignal", files=ASKS_ABOUT_SIGNALS, events=SIGNALS, shows={"calls": no_failures}),
            Case(
                name="SIGTERM while the function runs",
                files=AT_EXIT_WHEN_BUSY,
                events=[event({}, signal={"name": "SIGTERM", "until_output": "busy\n"})],
                shows={"ending": "signal 15", "stdout": "busy\n"},
            ),
            Case(
                name="SIGTERM while it is idle",
                files=AT_EXIT,
                events=[1],
                script={"end": "SIGTERM"},
                shows={"ending": "signal 15", "stderr": ""},
                better=Better("exit functions run before the process dies of the signal", {"stdout": "at exit\n"}),
            ),
            set_to("SIG_IGN", ENDED_AFTER_THE_LAST_EVENT),
            set_to("SIG_DFL", "signal 15"),
        ],
    ),
    Behaviour(
        "G4",
        "A handler of SIGTERM runs at once, also while no event is there; what it raises or returns decides what follows.",
        [
            *(handled_when_idle(name) for name in REACTIONS),
            Case(
                name="while idle: a handler that raises",
                files=idle_function(RAISES),
                events=[1, IDLE_SIGTERM, 2],
                shows={"ending": "exit code 1", "stdout": "handled 15\nat exit\n"},
                better=Better("standard error has the function's own traceback and nothing else", {"stderr": RAISED}),
            ),
            *(handled_when_busy(name) for name in REACTIONS),
            Case(
                name="while busy: a handler that raises",
                files=busy_function(RAISES),
                events=[BUSY_SIGTERM, 2],
                shows={"stdout": re.compile("RuntimeError: in the signal handler"), "rid-2": {"body": "2"}},
            ),
            Case(
                name="while idle: again and again",
                files=AGAIN_AND_AGAIN,
                events=[
                    *(
                        step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED, "until_output": f"handled {n}\n"})
                        for n in (1, 2, 3)
                    ),
                    0,
                    0,
                ],
                shows={"rid-2": {"body": "3"}},
            ),
        ],
    ),
]
