"""What is reported, and how the process ends, when the function's module cannot be imported."""

import re
import signal
from collections.abc import Iterator

from conformance.case import Behaviour, Case, Section
from conformance.sections.import_tracebacks import CAUSES_NOTES_GROUPS, IMPORT_ERRORS, SYNTAX_ERRORS
from playing import Files
from reference import Better, Expected

SYNTAX_ERROR = "Runtime.UserCodeSyntaxError"
ERROR = "ValueError"
DIVISION = "ZeroDivisionError"

DIVIDES_IN_ITS_PACKAGE = {"pkg/__init__.py": "1 / 0", "pkg/mod.py": ""}


def failed(
    name: str, error_type: str, source: str | bytes = "", files: Files | None = None, handler: str = "app.handler"
) -> Iterator[Case]:
    """An import that fails, logged in both formats."""
    for suffix, log_format in {"": "Text", " (JSON)": "JSON"}.items():
        yield Case(
            name=name + suffix,
            files={"app.py": source, **(files or {})},
            handler=handler,
            environment={"AWS_LAMBDA_LOG_FORMAT": log_format},
            shows={
                "calls": ["POST init/error"],
                "ending": "exit code 1",
                "init/error": {"error-type": error_type},
                "stdout": re.compile(re.escape(error_type)),
            },
        )


NO_REPORT = "the managed runtime's process ends without a report"
LATIN_1 = "the report is UTF-8, not Latin-1"
NO_LATIN_1 = "the report is UTF-8; the managed runtime means to send Latin-1, and dies of what that does not have"


def unreported(
    name: str, because: str, source: str | bytes, body: str, handler: str = "app.handler", **shows: Expected
) -> Case:
    """An import that fails, and the report of which is lost or spoilt under the managed runtime."""
    reported = {
        "calls": ["POST init/error"],
        "ending": "exit code 1",
        "init/error": {"body": re.compile(re.escape(body))},
        "stderr": "",
    }
    return Case(name=name, files={"app.py": source}, handler=handler, better=Better(because, {**reported, **shows}))


def in_latin_1(name: str, source: str, body: str) -> Case:
    """The same where all but the report's encoding agrees."""
    return Case(
        name=name,
        files={"app.py": source},
        better=Better(LATIN_1, {"init/error": {"error-type": re.compile("Error$"), "body": re.compile(re.escape(body))}}),
    )


def ended(name: str, source: str, ending: str, **shows: Expected) -> Case:
    """An import that ends the process."""
    return Case(name=name, files={"app.py": source}, shows={"calls": [], "ending": ending, **shows})


def refused(status: int, complaint: str) -> Case:
    return Case(
        name=str(status),
        files={"app.py": "raise ValueError('v')"},
        script={"init_error": [{"status": status}]},
        shows={"calls": ["POST init/error"], "ending": "exit code 1", "stdout": re.compile(r"^\[ERROR\] ValueError: v")},
        better=Better("the log has no traceback of the runtime itself", {"stderr": re.compile(complaint)}),
    )


NO_TEXT = """
class NoText(Exception):
    def __str__(self):
        return {}
raise NoText
"""

OUTPUT = """
    import sys
    print("out")
    print("err", file=sys.stderr)
    raise ValueError("v")
"""
RECORDS = """
    import logging
    logging.error("record")
    raise ValueError("v")
"""

ENDS_SLOWLY = """
    import atexit, threading
    failed = threading.Event()
    def last():
        failed.wait()
        print("thread")
    threading.Thread(target=last).start()
    threading._register_atexit(failed.set)
    atexit.register(print, "at exit")
    raise ValueError("v")
"""

NAMELESS = """
class Meta(type):
    __name__ = property(lambda self: 1 / 0)
raise Meta("Nameless", (Exception,), {})("x")
"""

SECTION = Section(
    "Importing the function",
    [
        Behaviour(
            "I1",
            "A syntax error is `Runtime.UserCodeSyntaxError`, with file, line and source for a stack.",
            [
                *failed("at the start", SYNTAX_ERROR, "def handler(e, c)\n    return 1\n"),
                *failed("further down", SYNTAX_ERROR, "x = 1\ny = 2\n\ndef handler(e, c):\n    return (1\n"),
                *failed("indentation", SYNTAX_ERROR, "def handler(e, c):\nreturn 1\n"),
                *failed("tabs and spaces", SYNTAX_ERROR, "if True:\n\tx = 1\n        y = 2\n"),
                *failed(
                    "in the handler's package",
                    SYNTAX_ERROR,
                    files={"pkg/__init__.py": "x =", "pkg/app.py": ""},
                    handler="pkg/app.handler",
                ),
                *SYNTAX_ERRORS,
            ],
        ),
        Behaviour(
            "I2",
            "So is a NUL byte in the source; neither file nor line are known then.",
            [*failed("after a statement", SYNTAX_ERROR, b"x = 1\0\n")],
        ),
        Behaviour(
            "I3",
            "An `ImportError`, wherever it comes from, is `Runtime.ImportModuleError` with the name of the handler's module "
            "and without a stack.",
            IMPORT_ERRORS,
        ),
        Behaviour(
            "I4",
            "Any other exception is reported with the name of its class, its message and its stack, which begins with Python's "
            "own import system.",
            [
                *failed("an exception", ERROR, "raise ValueError('at import')"),
                *failed("two arguments", ERROR, "raise ValueError('a', 2)"),
                *failed("a KeyError", "KeyError", "{}['key']"),
                *failed("a nested class", "B", "class A:\n    class B(Exception): pass\nraise A.B('nested')"),
                *failed("in a function", DIVISION, "def f():\n    1 / 0\n\ndef g():\n    f()\n\ng()\n"),
                *failed("in a module it imports", DIVISION, "import other", {"other.py": "\n\n1 / 0\n"}),
                *failed("in a package", DIVISION, "import pkg.mod", {"pkg/__init__.py": "", "pkg/mod.py": "1 / 0"}),
                *failed("in a package's __init__", DIVISION, "import pkg.mod", DIVIDES_IN_ITS_PACKAGE),
                *failed("in the handler's package", DIVISION, files=DIVIDES_IN_ITS_PACKAGE, handler="pkg/mod.handler"),
                *failed("by importlib", DIVISION, "import importlib\nimportlib.import_module('x')", {"x.py": "1/0"}),
                *failed("a recursion without end", "RecursionError", "def f(): f()\nf()"),
                *failed("a message with line ends", ERROR, "raise ValueError('a\\nb\\r\\n  c')"),
                *failed("a message with quotes and a backslash", ERROR, "raise ValueError('\"\\\\\\t')"),
                *failed("in a file that does not exist", DIVISION, "exec(compile('\\n1/0', 'gone.py', 'exec'))"),
            ],
        ),
        Behaviour(
            "I5",
            "An exception without a message is reported with an empty one.",
            [*failed("ValueError", ERROR, "raise ValueError")],
        ),
        Behaviour(
            "I6",
            "The report has neither causes nor notes nor the members of a group.",
            CAUSES_NOTES_GROUPS,
        ),
        Behaviour(
            "I7",
            "A module that exits has its way: nothing is reported, and the process ends as any Python program does.",
            [
                ended("sys.exit(0)", "import sys; sys.exit(0)", "exit code 0"),
                ended("sys.exit()", "import sys; sys.exit()", "exit code 0"),
                ended("sys.exit(3)", "import sys; sys.exit(3)", "exit code 3"),
                ended("sys.exit('goodbye')", "import sys; sys.exit('goodbye')", "exit code 1", stderr="goodbye\n"),
                ended("raise SystemExit(2)", "raise SystemExit(2)", "exit code 2"),
                ended(
                    "exit functions",
                    "import atexit, sys; atexit.register(print, 'at exit'); sys.exit(4)",
                    "exit code 4",
                    stdout="at exit\n",
                ),
            ],
        ),
        Behaviour(
            "I8",
            "`KeyboardInterrupt` ends the process with SIGINT and is not reported.",
            [
                ended(
                    "raised",
                    "raise KeyboardInterrupt",
                    f"signal {signal.SIGINT}",
                    stderr=re.compile("^Traceback .*\nKeyboardInterrupt\n$", re.DOTALL),
                )
            ],
        ),
        Behaviour(
            "I9",
            "Whatever else is no `Exception` ends the process, with its traceback on standard error, and is not reported.",
            [
                ended("GeneratorExit", "raise GeneratorExit('why')", "exit code 1", stderr=re.compile("GeneratorExit: why\n$")),
                ended(
                    "a class of one's own",
                    "class B(BaseException): pass\nraise B('base')",
                    "exit code 1",
                    stderr=re.compile("B: base\n$"),
                ),
                ended(
                    "a group",
                    "raise BaseExceptionGroup('g', [SystemExit(3)])",
                    "exit code 1",
                    stderr=re.compile(r"\| SystemExit: 3\n"),
                ),
                ended(
                    "exit functions",
                    "import atexit; atexit.register(print, 'at exit'); raise GeneratorExit",
                    "exit code 1",
                    stdout="at exit\n",
                ),
                ended(
                    "sys.excepthook",
                    "import sys\nsys.excepthook = lambda kind, *_: print('hook', kind.__name__)\nraise GeneratorExit",
                    "exit code 1",
                    stdout="hook GeneratorExit\n",
                    stderr="",
                ),
            ],
        ),
        Behaviour(
            "I10",
            "An exception that has no text is reported.",
            [
                unreported(
                    name, NO_REPORT, NO_TEXT.format(text), '"errorType": "NoText"', stdout=re.compile(r"^\[ERROR\] NoText: ")
                )
                for name, text in {"__str__ fails": "1 / 0", "__str__ gives a number": "5"}.items()
            ],
        ),
        Behaviour(
            "I11",
            "The report may have letters of western Europe.",
            [
                in_latin_1("in the message", "raise ValueError('é')", '{"errorMessage": "é", "errorType": "ValueError"'),
                in_latin_1("in the source", "1 / 0  # é", "1 / 0  # é"),
            ],
        ),
        Behaviour(
            "I12",
            "The report may have any character there is.",
            [
                unreported(
                    "in the message", NO_LATIN_1, "raise ValueError('日本')", '{"errorMessage": "日本", "errorType": "V'
                ),
                unreported("in the source", NO_LATIN_1, "1 / 0  # 日本", "1 / 0  # 日本"),
                unreported("a handler's module", NO_LATIN_1, "", "Unable to import module '日本'", "日本.handler"),
                unreported("a handler's function", NO_LATIN_1, "", "Handler '日本' missing on module 'app'", "app.日本"),
                # Worded differently from 3.14 on; before, a comment may hold anything.
                unreported("source that is not UTF-8", NO_LATIN_1, b"x = '\xff'", "Syntax error in module 'app': "),
                unreported(
                    "a lone surrogate",
                    NO_REPORT,
                    "raise ValueError('a\\ud800b')",
                    '{"errorMessage": "a',
                    stdout=re.compile(r"^\[ERROR\] ValueError: a"),
                ),
            ],
        ),
        Behaviour(
            "I13",
            "The process ends with exit code 1 whatever Lambda says to the report.",
            [
                refused(200, "^$"),
                refused(403, "^whipsnake: could not post the init error: the Runtime API answered 403 Forbidden .*\n$"),
                refused(
                    500, "^whipsnake: could not post the init error: the Runtime API answered 500 Internal Server Error .*\n$"
                ),
            ],
        ),
        Behaviour(
            "I14",
            "It does so, too, where the report cannot be delivered.",
            [
                Case(
                    name="the connection is closed",
                    files={"app.py": "raise ValueError('v')"},
                    script={"init_error": [{"close": "before"}]},
                    shows={"ending": "exit code 1", "stdout": re.compile(r"^\[ERROR\] ValueError: v")},
                    better=Better(
                        "sent once more, over a new connection",
                        {"calls": ["POST init/error", "POST init/error"], "stderr": ""},
                    ),
                ),
                Case(
                    name="no Runtime API",
                    files={"app.py": "raise ValueError('v')"},
                    environment={"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"},
                    shows={"calls": [], "ending": "exit code 1", "stdout": re.compile(r"^\[ERROR\] ValueError: v")},
                    better=Better(
                        "the log has no traceback of the runtime itself",
                        {
                            "stderr": re.compile(
                                "^whipsnake: could not post the init error: no answer from the Runtime API: .*\n$"
                            )
                        },
                    ),
                ),
            ],
        ),
        Behaviour(
            "I15",
            "A process that ends itself or is killed ends as it would under Python.",
            [
                ended("os._exit(7)", "import os; os._exit(7)", "exit code 7"),
                ended("os.abort()", "import os; os.abort()", f"signal {signal.SIGABRT}"),
                ended("SIGSEGV", "import os; os.kill(os.getpid(), 11)", f"signal {signal.SIGSEGV}"),
                ended("a null pointer", "import ctypes; ctypes.string_at(0)", f"signal {signal.SIGSEGV}"),
            ],
        ),
        Behaviour(
            "I16",
            "What was printed and logged before comes first in the log.",
            [*failed("print", ERROR, OUTPUT), *failed("logging", ERROR, RECORDS)],
        ),
        Behaviour(
            "I17",
            "After the report, threads are joined and exit functions run.",
            [
                Case(
                    name="both",
                    files={"app.py": ENDS_SLOWLY},
                    shows={"ending": "exit code 1", "stdout": re.compile("\nthread\nat exit\n$")},
                )
            ],
        ),
        Behaviour(
            "I18",
            "A module that breaks what a report is made with is reported.",
            [
                unreported(
                    name, NO_REPORT, source, f'"errorType": "{error_type}"', stdout=re.compile(rf"^\[ERROR\] {error_type}: ")
                )
                for name, error_type, source in (
                    ("closed standard output", DIVISION, "import sys; sys.stdout.close(); 1 / 0"),
                    ("no standard output", DIVISION, "import sys; sys.stdout = None; 1 / 0"),
                    ("a class without a name", "Nameless", NAMELESS),
                )
            ],
        ),
    ],
)
