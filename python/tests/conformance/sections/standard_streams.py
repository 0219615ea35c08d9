"""sys.stdout and sys.stderr."""

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
                    better=Better("the managed runtime writes it in pieces", {"rid-1": {"body": '["ab\\n"]'}}),
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
    ],
)
