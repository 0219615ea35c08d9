"""What is reported, and how the process ends, when the function's module cannot be imported."""

import signal

import pytest

from conftest import CompareBoth, PlayFunction
from playing import Files
from reference import Better

REPORTED: dict[str, Files] = {
    "a syntax error": {"app.py": "def handler(e, c)\n    return 1\n"},
    "a syntax error in the middle": {"app.py": "x = 1\ny = 2\n\ndef handler(e, c):\n    return (1\n"},
    "an indentation error": {"app.py": "def handler(e, c):\nreturn 1\n"},
    "a tab error": {"app.py": "if True:\n\tx = 1\n        y = 2\n"},
    "a syntax error in a module it imports": {"app.py": "import other", "other.py": "x ="},
    "a syntax error raised by hand": {"app.py": "raise SyntaxError('by hand')"},
    "a syntax error from compile": {"app.py": "compile('x = = 1', '<template>', 'exec')"},
    "a NUL byte in the source": {"app.py": b"x = 1\0\n"},
    "a module that does not exist": {"app.py": "import no_such_module"},
    "a name that does not exist in a module": {"app.py": "from json import no_such_name"},
    "an ImportError raised by hand": {"app.py": "raise ImportError('by hand')"},
    "an ImportError without a message": {"app.py": "raise ImportError"},
    "an ImportError in a module it imports": {"app.py": "import other", "other.py": "import no_such_module"},
    "an exception": {"app.py": "raise ValueError('at import')"},
    "an exception without a message": {"app.py": "raise ValueError"},
    "an exception with two arguments": {"app.py": "raise ValueError('a', 2)"},
    "a KeyError": {"app.py": "{}['key']"},
    "an exception of a nested class": {"app.py": "class A:\n    class B(Exception): pass\nraise A.B('nested')"},
    "an exception in a function": {"app.py": "def f():\n    1 / 0\n\ndef g():\n    f()\n\ng()\n"},
    "an exception in a module it imports": {"app.py": "import other", "other.py": "\n\n1 / 0\n"},
    "an exception in a package": {"app.py": "import pkg.mod", "pkg/__init__.py": "", "pkg/mod.py": "1 / 0"},
    "an exception in a package's __init__": {"app.py": "import pkg.mod", "pkg/__init__.py": "1 / 0", "pkg/mod.py": ""},
    "an exception in importlib's import": {"app.py": "import importlib\nimportlib.import_module('x')", "x.py": "1/0"},
    "a chained exception": {"app.py": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('v') from e"},
    "an exception group": {"app.py": "raise ExceptionGroup('g', [ValueError('a'), KeyError('b')])"},
    "an exception with notes": {"app.py": "e = ValueError('v')\ne.add_note('noted')\nraise e"},
    "a recursion without end": {"app.py": "def f(): f()\nf()"},
    "a message with line ends": {"app.py": "raise ValueError('a\\nb\\r\\n  c')"},
    "a message with quotes and a backslash": {"app.py": "raise ValueError('\"\\\\\\t')"},
    "a file that is executed": {"app.py": "exec(compile('\\n1/0', 'gone.py', 'exec'))"},
    "output before the failure": {"app.py": "print('out')\nimport sys\nprint('err', file=sys.stderr)\nraise ValueError('v')"},
    "records before the failure": {"app.py": "import logging\nlogging.error('record')\nraise ValueError('v')"},
}  # fmt: skip


@pytest.mark.parametrize("files", REPORTED.values(), ids=REPORTED)
@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_a_failed_import_is_reported_and_logged_and_the_process_ends_with_1(
    both: CompareBoth, files: Files, log_format: str
) -> None:
    pair = both(files, environment={"AWS_LAMBDA_LOG_FORMAT": log_format})
    assert pair.whipsnake.calls == ["POST init/error"]
    assert pair.whipsnake.exit_code == 1


def test_an_exception_in_the_package_of_the_handler_is_reported(both: CompareBoth) -> None:
    both({"pkg/__init__.py": "1 / 0", "pkg/app.py": ""}, handler="pkg/app.handler")


BETTER_IN_UTF_8: dict[str, tuple[str | bytes, str, str]] = {
    "a message in Latin-1's range": ("raise ValueError('é')", "ValueError", "é"),
    "a message beyond": ("raise ValueError('日本')", "ValueError", "日本"),
    "a source line": ("1 / 0  # 日本", "ZeroDivisionError", "division by zero"),
    # Worded differently from 3.14 on; before, a comment may hold anything.
    "source that is not UTF-8": (b"x = '\xff'", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': "),
}


@pytest.mark.parametrize("case", BETTER_IN_UTF_8)
def test_an_init_error_is_reported_in_utf_8(both: CompareBoth, case: str) -> None:
    source, error_type, message = BETTER_IN_UTF_8[case]
    both(
        {"app.py": source},
        better=Better(
            "the managed runtime's http.client sends Latin-1, or fails to",
            {
                "calls": ["POST init/error"],
                "init/error": {
                    "error-type": error_type,
                    "body": lambda body: isinstance(body, str) and f'"errorMessage": "{message}' in body,
                },
            },
        ),
    )


@pytest.mark.parametrize("handler", ["日本.handler", "app.日本"])
def test_a_handler_name_in_any_script_is_reported(play: PlayFunction, handler: str) -> None:
    run = play({"app.py": ""}, handler=handler)
    assert "日本" in run.init_error["errorMessage"]
    assert run.exit_code == 1


def test_an_exception_whose_text_cannot_be_made_is_reported_all_the_same(both: CompareBoth) -> None:
    both(
        {"app.py": "class E(Exception):\n    def __str__(self): raise ValueError('no text')\nraise E"},
        better=Better(
            "the managed runtime dies without a report",
            {
                "calls": ["POST init/error"],
                "init/error": {"error-type": "E", "body": lambda body: '"errorType": "E"' in body},
                "stdout": lambda stdout: stdout.startswith("[ERROR] E: "),
            },
        ),
    )


def test_a_lone_surrogate_in_the_message_is_reported_readably(play: PlayFunction) -> None:
    run = play({"app.py": "raise ValueError('a\\ud800b')"})
    assert run.init_error["errorMessage"].startswith("a")
    assert run.exit_code == 1


def test_the_log_has_no_word_about_managed_runtime_updates(play: PlayFunction) -> None:
    run = play({"app.py": "raise ValueError('v')"})
    assert run.stdout.startswith("[ERROR] ValueError: v\rTraceback (most recent call last):\r")
    assert run.stderr == ""


EXITS = {
    "import sys; sys.exit(0)": "exit code 0",
    "import sys; sys.exit()": "exit code 0",
    "import sys; sys.exit(3)": "exit code 3",
    "import sys; sys.exit('goodbye')": "exit code 1",
    "raise SystemExit(2)": "exit code 2",
    "import os; os._exit(7)": "exit code 7",
    "import os; os.abort()": f"signal {signal.SIGABRT}",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": f"signal {signal.SIGSEGV}",
    "import ctypes; ctypes.string_at(0)": f"signal {signal.SIGSEGV}",
    "raise KeyboardInterrupt": f"signal {signal.SIGINT}",
    "raise GeneratorExit": "exit code 1",
    "class B(BaseException): pass\nraise B('base')": "exit code 1",
    "import atexit, sys; atexit.register(print, 'at exit'); sys.exit(4)": "exit code 4",
    "import atexit; atexit.register(print, 'at exit'); raise GeneratorExit": "exit code 1",
}


@pytest.mark.parametrize("source", EXITS)
def test_a_module_that_ends_the_process_has_its_way_and_nothing_is_reported(both: CompareBoth, source: str) -> None:
    pair = both({"app.py": source})
    assert pair.whipsnake.calls == []
    assert pair.whipsnake.ending == EXITS[source]


def test_an_exit_message_and_a_traceback_go_to_standard_error(play: PlayFunction) -> None:
    assert play({"app.py": "import sys; sys.exit('goodbye')"}).stderr == "goodbye\n"
    stderr = play({"app.py": "raise GeneratorExit('why')"}).stderr
    assert stderr.startswith("Traceback (most recent call last):\n")
    assert stderr.endswith("GeneratorExit: why\n")


def test_after_a_report_exit_functions_run_and_threads_are_joined(both: CompareBoth) -> None:
    both(
        {
            "app.py": """
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
        }
    )


@pytest.mark.parametrize("status", [200, 403, 500])
def test_the_process_ends_with_1_whatever_lambda_says_to_the_report(play: PlayFunction, status: int) -> None:
    run = play({"app.py": "raise ValueError('v')"}, init_error=[{"status": status}])
    assert run.calls == ["POST init/error"]
    assert run.exit_code == 1


def test_the_process_ends_with_1_when_the_report_cannot_be_delivered(play: PlayFunction) -> None:
    run = play({"app.py": "raise ValueError('v')"}, init_error=[{"close": "before"}])
    assert run.exit_code == 1
    assert "Traceback" not in run.stderr
    assert "panicked" not in run.stderr
    run = play({"app.py": "raise ValueError('v')"}, environment={"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"})
    assert run.exit_code == 1
    assert run.stdout.startswith("[ERROR] ValueError: v\r")


@pytest.mark.xfail(strict=True, reason="not there yet: the traceback behind an import error")
def test_the_log_has_the_traceback_behind_an_import_error(play: PlayFunction) -> None:
    """What the managed runtime reports and logs says nothing about where. On standard error, as Python would print it: the log
    line is the managed runtime's."""
    run = play({"app.py": "import other", "other.py": "import no_such_module"})
    assert run.init_error["stackTrace"] == []
    assert "other.py" in run.stderr
