"""sys.stdout and sys.stderr."""

import json
import re

from conformance.case import Behaviour, Case, Section
from conformance.expectations import no_failures
from playing import Files, event, step
from reference import Better

EVALUATES: Files = {
    "app.py": """
        import io, sys
        def handler(event, context):
            return repr(eval(event))
    """
}

ATTRIBUTES = [
    "sys.stdout.encoding",
    "sys.stderr.encoding",
    "sys.stderr.errors",
    "sys.stdout.fileno()",
    "sys.stderr.fileno()",
    "sys.stdout.isatty()",
    "sys.stdout.writable()",
    "sys.stdout.closed",
    "sys.stdout.name",
    "sys.stdout.mode",
    "sys.stdout.newlines",
    "sys.stdout.buffer",
    "hasattr(sys.stdout, 'reconfigure')",
    "sys.__stdout__.fileno()",
    "sys.stdin.read()",
    "sys.stdin.encoding",
]


def flushed(name: str, line: str) -> Case:
    """The signal is sent when the line has arrived, and nothing else ends the handler."""
    return Case(
        name=name,
        files={
            "app.py": f"""
                import signal, sys
                def handler(event, context):
                    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
                    {line}
                    return signal.sigtimedwait([signal.SIGUSR1], 10) is not None
            """
        },
        events=[event({}, signal={"name": "SIGUSR1", "until_output": "here\n"})],
        shows={"rid-1": {"body": "true"}},
    )


# A pipe that keeps writes apart stands in for standard output while the event runs.
PIECES: Files = {
    "app.py": """
        import os
        def handler(event, context):
            reader, writer = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
            stdout = os.dup(1)
            os.dup2(writer, 1)
            exec(event)
            os.dup2(stdout, 1)
            pieces = []
            try:
                while True:
                    pieces.append(os.read(reader, 100).decode())
            except BlockingIOError:
                return pieces
    """
}


def in_locale(name: str, **environment: str | None) -> Case:
    return Case(
        name=name,
        files={
            "app.py": """
                import codecs, sys
                def handler(event, context):
                    print("é😀")
                    print("ü", file=sys.stderr)
                    with open("/dev/null") as file:
                        return [codecs.lookup(stream.encoding).name for stream in (sys.stdin, sys.stdout, sys.stderr, file)]
            """
        },
        events=[{}],
        environment=environment,
        shows={"stdout": "é😀\n", "stderr": "ü\n", "rid-1": {"body": '["utf-8", "utf-8", "utf-8", "utf-8"]'}},
    )


REDIRECTED: Files = {
    "app.py": """
        import contextlib, io, logging
        def handler(event, context):
            target = io.StringIO()
            with contextlib.redirect_stdout(target):
                print("printed")
                logging.error("record")
                context.log("logged")
            text = target.getvalue()
            return [text.startswith("printed\\n[ERROR]\\t"), text.endswith("\\trecord\\nlogged")]
    """
}

REPLACED: Files = {
    "app.py": """
        import io, sys
        def handler(event, context):
            sys.stdout = sys.stderr = io.StringIO()
            print("lost")
            1 / 0
    """
}

SHOUTS: Files = {
    "app.py": """
        import io, os, sys
        class Shout(io.StringIO):
            def write(self, text): return os.write(1, text.replace("quiet", "LOUD").encode())
        def handler(event, context):
            sys.stdout = Shout()
            raise ValueError("quiet")
    """
}

ALL_SORTS: Files = {
    "app.py": """
        import os, subprocess, sys
        print("import")
        def handler(event, context):
            print("a", "b", 1, sep="-")
            os.write(1, b"descriptor\\n")
            print("c")
            subprocess.run(["echo", "child"])
            sys.stdout.buffer.write(b"buffer\\n")
            print("d")
            sys.__stdout__.write("e\\n")
            print("last")
    """
}

C_LIBRARY: Files = {
    "app.py": """
        import ctypes
        libc = ctypes.CDLL(None)
        def handler(event, context):
            print("Python")
            libc.puts(b"C")
            libc.fflush(None)
            print("Python again")
    """
}

FROM_A_THREAD: Files = {
    "app.py": """
        import threading
        def handler(event, context):
            if event == 1:
                threading.Timer(0.05, print, ["from a thread"]).start()
    """
}

NO_END = """
    import sys
    def handler(event, context):
        sys.stdout.write("no end")
        sys.stderr.write("none")
"""

WAYS_TO_LOSE_IT = {
    "closed": "sys.stdout.close()",
    "closed below Python": "os.close(1)",
    "set to None": "sys.stdout = None",
    "deleted": "del sys.stdout",
}


def loses_output(line: str, then: str) -> Files:
    return {
        "app.py": f"""
            import os, sys
            def handler(event, context):
                if event == 0:
                    {line}
                {then}
        """
    }


def lost(way: str) -> Case:
    return Case(
        name=way,
        files=loses_output(WAYS_TO_LOSE_IT[way], "return event"),
        events=[0, 1, 2],
        shows={"rid-3": {"body": "2"}},
    )


def lost_and_failed(way: str) -> Case:
    headline = "[ERROR] ZeroDivisionError: division by zero\rTraceback (most recent call last):\r"
    frame = '\u00a0\u00a0File "/var/task/app.py", line 5, in handler\r\u00a0\u00a0\u00a0\u00a0return 1 / event\n'
    return Case(
        name=f"an exception after it was {way}",
        files=loses_output(WAYS_TO_LOSE_IT[way], "return 1 / event"),
        events=[0, 1],
        better=Better(
            "an exception is reported and the next invocation served; the managed runtime's process ends, as it cannot log it",
            {
                "calls": ["GET next", "POST rid-1/error", "GET next", "POST rid-2/response", "GET next"],
                "ending": "signal 9",
                "rid-1": {"call": "POST rid-1/error"},
                "rid-2": {"body": "1.0"},
                "stdout": "" if way == "closed below Python" else headline + frame,
                "stderr": "",
            },
        ),
    )


IN_ONE_PIECE = {
    "1, True, None, 2.5, sep='-'": "1-True-None-2.5\n",
    "[1, 'a', (b'x', {'k': [None]})], {}": "[1, 'a', (b'x', {'k': [None]})] {}\n",
    "'a\\nb\\nc\\nd\\ne'": "a\nb\nc\nd\ne\n",
    "'é' * 40, 'x'": f"{'é' * 40} x\n",
    "'a', 'b', end='', flush=True": "a b",
}


def in_one_piece(values: str, written: str) -> Case:
    return Case(
        name=f"print({values})",
        files=PIECES,
        events=[f"print({values})"],
        better=Better(
            "the managed runtime writes it in pieces",
            {"rid-1": {"body": json.dumps([written], ensure_ascii=False)}},
        ),
    )


HALF = "print('half a line', end='')"

# What ends a process without a word, by name.
DEATHS = {
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "os._exit": "os._exit(7)",
    "os.abort": "os.abort()",
    "a null pointer": "ctypes.string_at(0)",
}

# How the text gets there, by name.
WRITES = {
    "print": HALF,
    "print of several values": "print('half', 'a line', 1, None, end='')",
    "print of an object": "print('half', pathlib.Path('a line'), end='')",
    "sys.stdout.write": "sys.stdout.write('half a line')",
    "sys.stdout.writelines": "sys.stdout.writelines(['half ', 'a line'])",
    "standard error": "print('half a line', end='', file=sys.stderr)",
    "sys.stderr.write": "sys.stderr.write('half a line')",
    "write_through": "sys.stdout.reconfigure(write_through=True); print('half a line', end='')",
    "line_buffering": "sys.stdout.reconfigure(line_buffering=True); print('half a line', end='')",
    "a carriage return": "print('half', end='\\r'); print('a line', end='\\r')",
    "many": "[print('.', end='') for _ in range(20_000)]",
    "a text beyond all buffers": "print('x' * 100_000, end='')",
    "logging": "logging.getLogger().handlers[0].terminator = ''; logging.warning('half a line')",
    "another thread": "t = threading.Thread(target=print, args=['half a line'], kwargs={'end': ''}); t.start(); t.join()",
}

# What else writes, by name: it comes behind the half line.
OTHERS = {
    "os.write": "os.write(1, b'!')",
    "a subprocess": "subprocess.run(['echo', '!'])",
    "the C library": "libc.puts(b'C'); libc.fflush(None)",
    "sys.stdout.buffer": "sys.stdout.buffer.write(b'!'); sys.stdout.flush()",
    "sys.__stdout__": "sys.__stdout__.write('!'); sys.__stdout__.flush()",
    "another thread": "t = threading.Thread(target=os.write, args=[1, b'!']); t.start(); t.join()",
    "a forked child that exits": "os.fork() or sys.exit(); os.wait()",
    "a forked child that prints": "os.fork() or (print('child'), os._exit(0)); os.wait()",
    "an exit function": "atexit.register(os.write, 1, b'!'); sys.exit(3)",
    "a writelines whose texts write": "sys.stdout.writelines(str(os.write(1, b'!')) for _ in range(3))",
    "a __str__ that writes": "print('a', type('Own', (), {'__str__': lambda self: str(os.write(1, b'!'))})(), 'b')",
    "a value in a list that writes": "print('a', [type('Own', (), {'__repr__': lambda self: str(os.write(1, b'!'))})()], 'b')",
    "a __str__ that dies": "print('a', type('Own', (), {'__str__': lambda self: os._exit(4)})(), 'b')",
    "a __str__ that raises": "print('a', type('Own', (), {'__str__': lambda self: 1 / 0})(), 'b')",
    "a signal handler": "signal.signal(signal.SIGUSR1, lambda *_: print('handled')); signal.raise_signal(signal.SIGUSR1)",
    "a write that is replaced": "sys.stdout.write = lambda text: os.write(1, text.upper().encode()); print('a', 'b')",
    "a value that cannot be encoded": "print('a', '\\ud800', 'b')",
    "a number that is too long for a text": "print('a', 10 ** 5000, 'b')",
}

WRITING = """
    import atexit, ctypes, logging, os, pathlib, signal, subprocess, sys, threading
    libc = ctypes.CDLL(None)
"""


def at_import(*lines: str) -> Files:
    return {"app.py": WRITING + "".join(f"    {line}\n" for line in lines) + "    def handler(event, context): pass\n"}


def in_handler(*lines: str, kind: str = "def") -> Files:
    body = "".join(f"        {line}\n" for line in lines)
    return {"app.py": f"{WRITING}    {kind} handler(event, context):\n{body}"}


UNFINISHED_LINES = [
    *(Case(name=f"then {name}", files=in_handler(HALF, death), events=[{}]) for name, death in DEATHS.items()),
    *(
        Case(name=f"by {name}, then os._exit", files=in_handler(write, DEATHS["os._exit"]), events=[{}])
        for name, write in WRITES.items()
    ),
    *(
        Case(name=f"then {name}", files=in_handler(HALF, other), events=[{}], shows={"stdout": re.compile("^half a line")})
        for name, other in OTHERS.items()
    ),
    Case(name="at import, then SIGKILL", files=at_import(HALF, DEATHS["SIGKILL"])),
    Case(name="at import, which fails", files=at_import(HALF, "1 / 0")),
    Case(
        name="while the handler waits",
        files=in_handler(
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
            HALF,
            "return signal.sigtimedwait([signal.SIGUSR1], 10) is not None",
        ),
        events=[event({}, signal={"name": "SIGUSR1", "until_output": "half a line"})],
        shows={"rid-1": {"body": "true"}},
    ),
    Case(
        name="in an async handler, then SIGKILL",
        files=in_handler(HALF, DEATHS["SIGKILL"], kind="async def"),
        events=[{}],
        better=Better(
            "an async handler runs",
            {"calls": ["GET next"], "ending": "signal 9", "stdout": "half a line", "stderr": "", "rid-1": None},
        ),
    ),
]

PRINTS = [
    Case(
        name="what is returned and raised",
        files=EVALUATES,
        events=[
            "print()",
            "print('a', sep=None, end=None, file=None, flush=None)",
            "print('a', 'b', sep='')",
            "print('a', file=sys.stderr, flush=1)",
            "print('a', 'b', sep=1)",
            "print('a', end=b'x')",
            "print('a', none='x')",
            "print('a', file='x')",
            "print('a', file=io.BytesIO())",
            "print(*range(50), sep=', ')",
            "print(*[type('Text', (str,), {'__str__': lambda self: 'own'})('given')] * 2)",
            "[print(i, end=',') for i in range(5)]",
            "sys.stdout.write(1)",
            "sys.stdout.writelines(1)",
            "sys.stdout.writelines(['a', 1])",
        ],
        free={f"rid-{number}": "the names of streams' classes are in the text" for number in (13,)},
    ),
    Case(
        name="what it says about itself",
        files=EVALUATES,
        events=[
            "print",
            "print.__name__, print.__qualname__, print.__module__, print.__text_signature__, print.__self__.__name__",
            "print.__doc__",
            "type(print)",
            "print is __import__('builtins').print",
            "__import__('pickle').loads(__import__('pickle').dumps(print)) is print",
            "str(__import__('inspect').signature(print))",
        ],
        shows={"calls": no_failures},
    ),
]

SECTION = Section(
    "Standard output and error",
    [
        Behaviour(
            "S1",
            "`sys.stdout` and `sys.stderr` have the usual attributes, and each line is out when it is written.",
            [
                Case(name="attributes", files=EVALUATES, events=ATTRIBUTES, shows={"calls": no_failures}),
                Case(
                    name="what is written is counted",
                    files=EVALUATES,
                    events=["sys.stdout.write('a\\n')", "isinstance(sys.stdout, io.TextIOBase)"],
                    better=Better(
                        "as Python has it; the managed runtime's streams are of another kind, and their `write` returns None",
                        {"rid-1": {"body": '"2"'}, "rid-2": {"body": '"True"'}},
                    ),
                ),
                Case(
                    name="writelines",
                    files=EVALUATES,
                    events=["sys.stdout.writelines(['a', 'b\\n'])"],
                    shows={"rid-1": {"body": '"None"'}, "stdout": "ab\n"},
                ),
                Case(
                    name="with sys.stdout",
                    files={
                        "app.py": """
                            import sys
                            def handler(event, context):
                                with sys.stdout as out:
                                    out.write("a\\n")
                                print("b")
                        """
                    },
                    events=[{}],
                    shows={"stdout": "a\nb\n"},
                ),
                flushed("a line is out while the handler runs", 'print("here")'),
                flushed("also on standard error", 'print("here", file=sys.stderr)'),
                Case(
                    name="a line without an end is out with the answer",
                    files={"app.py": NO_END},
                    events=[{}],
                    shows={"stdout": "no end", "stderr": "none"},
                ),
                Case(
                    name="bytes in the buffer are out with the answer",
                    files={
                        "app.py": """
                            import sys
                            def handler(event, context):
                                sys.stdout.buffer.write(b"raw\\xff")
                        """
                    },
                    events=[{}],
                    better=Better("the managed runtime leaves them for the next invocation, or none", {"stdout": "raw\\xff"}),
                ),
                Case(
                    name="a megabyte",
                    files={
                        "app.py": """
                            import sys
                            def handler(event, context):
                                print("x" * 1_000_000)
                                print("é" * 300_000, file=sys.stderr)
                        """
                    },
                    events=[{}],
                    shows={"rid-1": {"body": "null"}},
                ),
            ],
        ),
        Behaviour(
            "S2",
            "What one `print` writes stays together: other threads and processes do not write into the middle of a line.",
            [
                Case(
                    name="print of two values",
                    files=PIECES,
                    events=["print('a', 'b')"],
                    better=Better("the managed runtime writes it in pieces", {"rid-1": {"body": '["a b\\n"]'}}),
                ),
                Case(
                    name="a line in two prints",
                    files=PIECES,
                    events=["print('a', end=''); print('b')"],
                    better=Better("the managed runtime writes it in three", {"rid-1": {"body": '["a", "b\\n"]'}}),
                ),
                *(in_one_piece(values, written) for values, written in IN_ONE_PIECE.items()),
                Case(
                    name="what comes before a value whose str() runs code is out when it runs",
                    files=PIECES,
                    events=["class Own:\n def __str__(self): return str(os.write(1, b'!'))\nprint(1, 2, Own(), 3, Own(), 4)"],
                    better=Better(
                        "the managed runtime writes it in more pieces, in the same order",
                        {"rid-1": {"body": '["1 2 ", "!", "1 3 ", "!", "1 4\\n"]'}},
                    ),
                ),
            ],
        ),
        Behaviour(
            "S3",
            "Both streams are UTF-8, whatever the locale. Names of files that are none pass, other lone surrogates do not.",
            [
                in_locale("Lambda's own locale"),
                in_locale("LANG=C", LANG="C"),
                in_locale("LC_ALL=POSIX", LC_ALL="POSIX"),
                in_locale("no locale", LANG=None, LC_ALL=None),
                Case(
                    name="a lone surrogate cannot be printed",
                    files={
                        "app.py": """
                            def handler(event, context):
                                print("\\ud800")
                        """
                    },
                    events=[{}],
                    shows={"stdout": re.compile(r"^\[ERROR\] UnicodeEncodeError: ")},
                ),
                Case(
                    name="the name of a file that is not UTF-8",
                    files={
                        "app.py": """
                            import os, sys
                            def handler(event, context):
                                print(os.fsdecode(b"caf\\xe9"))
                                return [sys.stdin.errors, sys.stdout.errors, sys.stderr.errors]
                        """
                    },
                    events=[{}],
                    shows={"stdout": "caf\\xe9\n"},
                ),
            ],
        ),
        Behaviour(
            "S4",
            "A function may redirect or replace the streams: log records and error reports then go where its prints go.",
            [
                Case(
                    name="redirect_stdout",
                    files=REDIRECTED,
                    events=[{}, {}],
                    shows={"rid-1": {"body": "[true, true]"}, "stdout": ""},
                ),
                Case(name="replaced for good", files=REPLACED, events=[{}, {}], shows={"stdout": "", "stderr": ""}),
                Case(
                    name="a stream class of its own",
                    files=SHOUTS,
                    events=[{}, {}],
                    shows={"stdout": re.compile(r"^\[ERROR\] ValueError: LOUD\r")},
                ),
            ],
        ),
        Behaviour(
            "S5",
            "Prints, writes to the descriptor and output of children come in the order in which they were made.",
            [
                Case(
                    name="six ways to write",
                    files=ALL_SORTS,
                    events=[{}],
                    shows={"stdout": "import\na-b-1\ndescriptor\nc\nchild\nbuffer\nd\ne\nlast\n"},
                ),
                Case(name="the C library", files=C_LIBRARY, events=[{}], shows={"stdout": "Python\nC\nPython again\n"}),
                Case(
                    name="bytes that are no text",
                    files={
                        "app.py": """
                            import sys
                            def handler(event, context):
                                sys.stdout.buffer.write(b"raw\\xff")
                                sys.stdout.flush()
                        """
                    },
                    events=[{}],
                    shows={"stdout": "raw\\xff"},
                ),
                Case(
                    name="a thread between two invocations",
                    files=FROM_A_THREAD,
                    events=[1, step(idle_signal={"name": "SIGCONT", "until_output": "from a thread\n"}), 2],
                    shows={"stdout": "from a thread\n"},
                ),
            ],
        ),
        Behaviour(
            "S6",
            "Warnings go to standard error in Python's own form.",
            [
                Case(
                    name="warnings.warn",
                    files={
                        "app.py": """
                            import warnings
                            def handler(event, context):
                                warnings.warn("careful")
                        """
                    },
                    events=[{}],
                    shows={"stdout": "", "stderr": '/var/task/app.py:3: UserWarning: careful\n  warnings.warn("careful")\n'},
                ),
            ],
        ),
        Behaviour(
            "S7",
            "A function that closes or loses its standard output is still served.",
            [case(way) for case in (lost, lost_and_failed) for way in WAYS_TO_LOSE_IT],
        ),
        Behaviour(
            "S8",
            "What is written is out when the call returns, also without a line end: it is in the log of a process that is "
            "killed, and before what anything else writes afterwards.",
            UNFINISHED_LINES,
        ),
        Behaviour(
            "S9",
            "`print` is CPython's, in all that it accepts and refuses.",
            PRINTS,
        ),
    ],
)
