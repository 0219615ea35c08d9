"""Handlers that end the process."""

import re
import signal

from conformance.case import Case
from reference import Expected

EVENT = {"key1": 1, "key2": {"key1": "value", "key3": [{"key2": None}]}}
"""Names of two and more characters are kept from one event to the next, and must not be there when the interpreter is gone."""


def ended(name: str, body: str, ending: str, **shows: Expected) -> Case:
    """A handler whose process ends before there is an answer, and without a report."""
    return Case(
        name=name,
        files={"app.py": f"import sys\ndef handler(event, context):\n    print('before')\n    {body}\n"},
        events=[EVENT],
        shows={"calls": ["GET next"], "ending": ending, "stdout": "before\n", **shows},
    )


def exits(statement: str, code: int, **shows: Expected) -> Case:
    return ended(statement, statement, f"exit code {code}", **shows)


def killed(name: str, statement: str, by: signal.Signals) -> Case:
    return ended(name, statement, f"signal {by}")


ENDS_SLOWLY = """
    import atexit, sys, threading
    ending = threading.Event()
    def last():
        ending.wait()
        print("thread")
    def handler(event, context):
        threading.Thread(target=last).start()
        threading._register_atexit(ending.set)
        atexit.register(print, "at exit")
        sys.stdout.write("no line end, ")
        sys.exit(3)
"""

EXCEPTHOOK = """
    import sys
    sys.excepthook = lambda kind, value, stack: print("hook", kind.__name__)
    def handler(event, context):
        raise GeneratorExit
"""

IN_A_CHILD = """
    import os, sys
    def handler(event, context):
        if child := os.fork():
            return os.waitpid(child, 0)[1]
        sys.exit(3)
"""

IN_A_THREAD = """
    import json, sys, threading
    def handler(event, context):
        threading.Thread(target=sys.exit).start()
        threading.Thread(target=json.loads, args=['{"key1": 1}']).start()
        sys.exit(3)
"""

IN_A_GENERATOR = """
    import sys
    def steps():
        yield 1
        sys.exit(3)
    def handler(event, context):
        return list(steps())
"""

AT_EXIT = """
    import atexit, sys
    def handler(event, context):
        atexit.register(lambda: print(sorted(event)))
        sys.exit(3)
"""

AFTER_A_SECOND_EVENT = """
    import sys
    def handler(event, context):
        return event if event.pop("key2") else sys.exit(3)
"""

EXITS = [
    exits("sys.exit(0)", 0),
    exits("sys.exit()", 0),
    exits("sys.exit(3)", 3),
    exits("sys.exit(256 + 7)", 7),
    exits("sys.exit(-1)", 255),
    exits("sys.exit('bye')", 1, stderr="bye\n"),
    exits("raise SystemExit((1, 2))", 1, stderr="(1, 2)\n"),
    exits("exit(2)", 2),
    Case(
        name="exit functions and threads",
        files={"app.py": ENDS_SLOWLY},
        events=[EVENT],
        shows={"ending": "exit code 3", "stdout": "no line end, thread\nat exit\n"},
    ),
    Case(name="in a generator", files={"app.py": IN_A_GENERATOR}, events=[EVENT], shows={"ending": "exit code 3"}),
    Case(name="beside threads", files={"app.py": IN_A_THREAD}, events=[EVENT], shows={"ending": "exit code 3"}),
    Case(name="in a forked child", files={"app.py": IN_A_CHILD}, events=[EVENT], shows={"rid-1": {"body": "768"}}),
    Case(
        name="the event is there at exit",
        files={"app.py": AT_EXIT},
        events=[EVENT],
        shows={"ending": "exit code 3", "stdout": "['key1', 'key2']\n"},
    ),
    Case(
        name="the second of two events",
        files={"app.py": AFTER_A_SECOND_EVENT},
        events=[EVENT, {"key1": 1, "key2": None}],
        shows={"ending": "exit code 3"},
    ),
    Case(
        name="breakpoint()",
        files={"app.py": "def handler(event, context):\n    breakpoint()\n    return event\n"},
        events=[EVENT],
        free={"rid-1": "a stack of the debugger's own", "stdout": "a stack of the debugger's own"},
    ),
]

NO_EXCEPTIONS = [
    ended(
        "KeyboardInterrupt",
        "raise KeyboardInterrupt",
        f"signal {signal.SIGINT}",
        stderr=re.compile("\nKeyboardInterrupt\n$"),
    ),
    exits("raise GeneratorExit", 1, stderr=re.compile("\nGeneratorExit\n$")),
    exits("raise BaseException('base')", 1, stderr=re.compile("\nBaseException: base\n$")),
    exits("import asyncio; raise asyncio.CancelledError", 1, stderr=re.compile("CancelledError\n$")),
    exits("raise BaseExceptionGroup('g', [SystemExit(3)])", 1, stderr=re.compile(r"\| SystemExit: 3\n")),
    Case(
        name="sys.excepthook",
        files={"app.py": EXCEPTHOOK},
        events=[{}],
        shows={"ending": "exit code 1", "stdout": "hook GeneratorExit\n", "stderr": ""},
    ),
]

DEATHS = [
    ended("os._exit(9)", "import os; os._exit(9)", "exit code 9"),
    killed("os.abort()", "import os; os.abort()", signal.SIGABRT),
    killed("SIGSEGV", "import os; os.kill(os.getpid(), 11)", signal.SIGSEGV),
    killed("SIGBUS", "import os; os.kill(os.getpid(), 7)", signal.SIGBUS),
    killed("SIGKILL", "import os; os.kill(os.getpid(), 9)", signal.SIGKILL),
    killed("a null pointer", "import ctypes; ctypes.string_at(0)", signal.SIGSEGV),
]
