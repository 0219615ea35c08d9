"""Handlers that fail: what is reported, what is logged, and what becomes of the process."""

import re
import signal

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, Files
from reference import Better

RAISED = {
    "a built-in exception": "1 / 0",
    "an exception with a message": "raise ValueError('message')",
    "an exception without a message": "raise ValueError",
    "an exception with two arguments": "raise ValueError('a', 2)",
    "a KeyError": "{}['key']",
    "an AttributeError": "None.x",
    "a NameError": "no_such_name",
    "an assertion": "assert event == 1, 'not one'",
    "a nested class": "raise Outer.Inner('nested')",
    "a class with a text of its own": "raise WithText('x')",
    "a text that is no ASCII": "raise ValueError('é日本😀')",
    "a text of many lines": "raise ValueError('a\\n  b\\r\\n\\tc\\n')",
    "a text with quotes": "raise ValueError('\"q\" \\\\ \\'s\\'')",
    "a text with control characters": "raise ValueError('\\x00\\x01\\x1b[31m\\x85\\u2028')",
    "an exception from another": "raise_from()",
    "an exception while handling another": "raise_in_except()",
    "a group": "raise ExceptionGroup('g', [ValueError('a'), KeyError('b')])",
    "an exception with notes": "raise_with_note()",
    "an exception in nested functions": "outer()",
    "an exception in a comprehension": "[1 / x for x in [1, 0]]",
    "an exception in a generator": "list(1 / x for x in [1, 0])",
    "an exception in a lambda": "(lambda: 1 / 0)()",
    "an exception in C code": "int('x')",
    "an exception in a callback from C": "sorted([1, 2], key=lambda x: 1 / 0)",
    "an exception in the standard library": "json.loads('{')",
    "an exception in another module": "other.fail()",
    "an exception in exec": "exec('1 / 0')",
    "an exception in a file that does not exist": "exec(compile('\\n\\n1 / 0', 'gone.py', 'exec'))",
    "a statement of many lines": "many_lines()",
    "a syntax error": "exec('x =')",
    "an ImportError": "import no_such_module",
    "StopIteration": "next(iter([]))",
    "an exception raised twice": "raise SAME",
    "an exception whose traceback was cleared": "raise ValueError('v').with_traceback(None)",
    "TimeoutError": "raise TimeoutError('late')",
    "OSError": "open('/no/such/file')",
    "MemoryError": "raise MemoryError",
    "UnicodeDecodeError": "b'\\xff'.decode()",
    "a class with a name that is no ASCII": "raise type('Fehlér', (Exception,), {})('x')",
    "an exception with a __module__": "raise decimal.InvalidOperation",
    "EOFError from standard input": "input()",
}

PRELUDE = """
import decimal, json, other, sys
class Outer:
    class Inner(Exception): pass
class WithText(Exception):
    def __str__(self): return "text of its own"
SAME = ValueError("same")
def raise_from():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise ValueError("v") from error
def raise_in_except():
    try:
        1 / 0
    except ZeroDivisionError:
        raise ValueError("v")
def raise_with_note():
    error = ValueError("v")
    error.add_note("noted")
    raise error
def outer():
    class Local:
        def method(self):
            raise ValueError("deep")
    Local().method()
def many_lines():
    return dict(
        a=1,
        b=1 / 0,
    )
def recurse(): recurse()
"""
OTHER = "\n\ndef fail():\n    raise LookupError('in other')\n"


def app(body: str) -> Files:
    return {"app.py": f"{PRELUDE}\ndef handler(event, context):\n    {body}\n", "other.py": OTHER}


@pytest.mark.parametrize("name", RAISED)
def test_an_exception_is_reported_and_logged_alike_and_the_process_goes_on(both: CompareBoth, name: str) -> None:
    pair = both(app(f"if event: return 'next'\n    {RAISED[name]}"), events=[0, 0, 1])
    assert pair.whipsnake.calls[1::2] == ["POST rid-1/error", "POST rid-2/error", "POST rid-3/response"]
    assert len({request.connection for request in pair.whipsnake.requests}) == 1


def test_a_recursion_without_end_is_three_frames_and_a_count(both: CompareBoth) -> None:
    pair = both(app("recurse()"), events=[0], free={"rid-1/x-ray": "the managed runtime sends a thousand frames"})
    cause = pair.whipsnake.answers["rid-1"].header("lambda-runtime-function-xray-error-cause")
    assert cause is not None
    assert '"type": "RecursionError"' in cause
    assert len(cause) <= 64 * 1024


def test_a_del_in_the_message_does_not_end_the_process(both: CompareBoth) -> None:
    both(
        app("raise ValueError('a\x7fb')"),
        events=[0],
        better=Better(
            "the managed runtime's client refuses to send the X-Ray header, and the process dies",
            {
                "calls": ["GET next", "POST rid-1/error", "GET next"],
                "ending": ENDED_AFTER_THE_LAST_EVENT,
                "rid-1": {"body": re.compile('"errorMessage": "a\x7fb"')},
            },
        ),
    )


LOGGED_AS_JSON = ["a built-in exception", "a text that is no ASCII", "a text of many lines", "an exception without a message",
                  "a text with control characters"]  # fmt: skip


@pytest.mark.parametrize("name", LOGGED_AS_JSON)
@pytest.mark.parametrize("level", [None, "FATAL"])
def test_an_exception_is_logged_as_json_at_any_level(both: CompareBoth, name: str, level: str | None) -> None:
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}
    pair = both(app(RAISED[name]), events=[{}], environment=environment)
    assert '"level": "ERROR"' in pair.whipsnake.stdout


def test_the_report_and_the_log_line_are_what_awss_documentation_shows(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context):\n    return 1/0\n"}, events=[{}])
    answer = run.answers["rid-1"]
    root = run.answers["rid-1"].json()["stackTrace"][0].split('"')[1].removesuffix("/app.py")
    assert answer.body.decode() == (
        '{"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "requestId": "rid-1", "stackTrace": '
        f'["  File \\"{root}/app.py\\", line 2, in handler\\n    return 1/0\\n"]}}'
    )
    assert run.stdout == (
        "[ERROR] ZeroDivisionError: division by zero\rTraceback (most recent call last):\r"
        f'\u00a0\u00a0File "{root}/app.py", line 2, in handler\r\u00a0\u00a0\u00a0\u00a0return 1/0\n'
    )
    assert answer.header("lambda-runtime-function-xray-error-cause") == (
        f'{{"working_directory": "{root}", "exceptions": [{{"message": "division by zero", "type": "ZeroDivisionError", '
        f'"stack": [{{"label": "handler", "path": "{root}/app.py", "line": 2}}]}}], "paths": ["{root}/app.py"]}}'
    )
    assert run.stderr == ""


def test_the_stack_of_a_handler_in_a_file_named_bootstrap_is_the_functions_own(play: PlayFunction) -> None:
    """The managed runtime takes its frames for its own, and shows its own."""
    run = play({"bootstrap.py": "def handler(event, context):\n    1 / 0\n"}, handler="bootstrap.handler", events=[{}])
    assert len(run.errors[0]["stackTrace"]) == 1
    assert 'bootstrap.py", line 2, in handler' in run.errors[0]["stackTrace"][0]


def test_a_file_that_is_gone_has_no_source_line(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import importlib, pathlib, shutil, tempfile
            def handler(event, context):
                shutil.copy("gone.txt", "gone.py")
                import gone
                pathlib.Path("gone.py").unlink()
                gone.fail()
        """,
        "gone.txt": "def fail():\n    1 / 0\n",
    }
    pair = both(files, events=[{}])
    assert pair.whipsnake.errors[0]["stackTrace"][-1].endswith('gone.py", line 2, in fail\n')


def test_a_long_cause_for_x_ray_is_cropped_and_the_error_arrives(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): raise ValueError('é' * event)"}, events=[600_000, 3_000_000, 1])
    assert [len(error["errorMessage"]) for error in run.errors] == [600_000, 3_000_000, 1]
    for answer in run.answers.values():
        cause = answer.header("lambda-runtime-function-xray-error-cause")
        assert cause is None or len(cause.encode()) <= 64 * 1024


ALWAYS_REPORTED = {
    "a message with a lone surrogate": "raise ValueError('a\\ud800b')",
    "a text that cannot be made": "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "a text that is no text": "raise type('E', (Exception,), {'__str__': lambda self: 5})()",
    "a folder that is gone": "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); 1 / 0",
    "a class with a broken metaclass": "raise type('M', (type,), {'__name__': property(lambda c: 1 / 0)})('E', (Exception,), {})('x')",
    "a replaced traceback module": "sys.modules['traceback'] = None; 1 / 0",
    "a closed standard output": "sys.stdout.close(); 1 / 0",
    "no standard output": "sys.stdout = None; 1 / 0",
    "a broken standard output": "sys.stdout = 5; 1 / 0",
}


@pytest.mark.parametrize("name", ALWAYS_REPORTED)
def test_an_error_is_reported_even_with(play: PlayFunction, name: str) -> None:
    """The managed runtime dies without a report in these."""
    files = app(f"if event: return 'next'\n    {ALWAYS_REPORTED[name]}")
    run = play(files, events=[0, 1])
    assert run.calls == ["GET next", "POST rid-1/error", "GET next", "POST rid-2/response", "GET next"]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT
    assert "requestId" in run.errors[0]


EXITS = {
    "sys.exit(0)": "exit code 0",
    "sys.exit()": "exit code 0",
    "sys.exit(3)": "exit code 3",
    "sys.exit(256 + 7)": "exit code 7",
    "sys.exit(-1)": "exit code 255",
    "sys.exit('bye')": "exit code 1",
    "raise SystemExit((1, 2))": "exit code 1",
    "exit(2)": "exit code 2",
    "raise KeyboardInterrupt": f"signal {signal.SIGINT}",
    "raise GeneratorExit": "exit code 1",
    "raise BaseException('base')": "exit code 1",
    "import asyncio; raise asyncio.CancelledError": "exit code 1",
    "raise BaseExceptionGroup('g', [SystemExit(3)])": "exit code 1",
    "import os; os._exit(9)": "exit code 9",
    "import os; os.abort()": f"signal {signal.SIGABRT}",
    "import os; os.kill(os.getpid(), 11)": f"signal {signal.SIGSEGV}",
    "import os; os.kill(os.getpid(), 7)": f"signal {signal.SIGBUS}",
    "import os; os.kill(os.getpid(), 9)": f"signal {signal.SIGKILL}",
    "import ctypes; ctypes.string_at(0)": f"signal {signal.SIGSEGV}",
}


@pytest.mark.parametrize("body", EXITS)
def test_a_handler_that_ends_the_process_has_its_way_and_nothing_is_posted(both: CompareBoth, body: str) -> None:
    pair = both(app(f"print('before')\n    {body}"), events=[{}])
    assert pair.whipsnake.calls == ["GET next"]
    assert pair.whipsnake.ending == EXITS[body]
    assert pair.whipsnake.stdout == "before\n"


def test_an_orderly_exit_runs_exit_functions_and_joins_threads(both: CompareBoth) -> None:
    both(
        {
            "app.py": """
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
        },
        events=[{}],
    )


def test_the_functions_excepthook_has_the_last_word(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import sys
            sys.excepthook = lambda kind, value, stack: print("hook", kind.__name__)
            def handler(event, context): raise GeneratorExit
        """
    }
    assert both(files, events=[{}]).whipsnake.stdout == "hook GeneratorExit\n"


def test_a_traceback_limit_is_heeded_or_not_but_the_error_is_reported(play: PlayFunction) -> None:
    run = play({"app.py": "import sys\nsys.tracebacklimit = 0\ndef handler(e, c): 1 / 0"}, events=[{}])
    assert run.errors[0]["errorType"] == "ZeroDivisionError"


@pytest.mark.xfail(strict=True, reason="not there yet: causes, notes and groups in the log")
def test_the_log_shows_causes_notes_and_groups_that_the_report_leaves_out(play: PlayFunction) -> None:
    """Users of the managed runtime ask for it. On standard error, as Python would print it."""
    for body, word in (("raise_from()", "ZeroDivisionError"), ("raise_with_note()", "noted")):
        run = play(app(body), events=[{}])
        assert word not in run.answers["rid-1"].body.decode()
        assert word in run.stderr


FAULT = """
from awslambdaric.lambda_runtime_exception import FaultException
def handler(event, context): raise FaultException('My.Type', 'message', event)
"""


@pytest.mark.parametrize("trace", [["t1", "  t2\n    t3"], [], None, [""]])
def test_the_managed_runtimes_own_exception_is_reported_as_it_stands(both: CompareBoth, trace: list[str] | None) -> None:
    both({"app.py": FAULT}, events=[trace])
