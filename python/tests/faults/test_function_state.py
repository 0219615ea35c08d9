"""Functions that take the interpreter apart: modules, variables, builtins, limits."""

import re
import sys

import pytest

from conftest import CompareBoth, PlayFunction
from faults.misbehaving import EVENTS, misbehaves
from playing import ENDED_AFTER_THE_LAST_EVENT, Run, event
from reference import Better

RAISING = """\
class Raising(dict):
    def __getitem__(self, *name): raise RuntimeError(name)
    __contains__ = get = __iter__ = keys = __getitem__
"""

SAME = {
    "sys.modules replaced": "sys.modules = {}",
    "sys.modules is None": "sys.modules = None",
    "sys.modules deleted": "del sys.modules",
    "a sys.modules that raises": f"{RAISING}sys.modules = Raising(sys.modules)",
    "json broken": "json.dumps = json.loads = json.JSONEncoder.encode = json.JSONDecoder.decode = None",
    "logging broken": "logging.Logger._log = logging.Formatter.format = logging.Handler.emit = logging.LogRecord = None",
    "logging emptied": "logging.getLogger().handlers.clear(); logging.getLogger().manager.loggerDict.clear()",
    "os.environ cleared": "os.environ.clear()",
    "the C environment cleared": "ctypes.CDLL(None).clearenv()",
    "the import system emptied": "[x.clear() for x in (sys.path, sys.meta_path, sys.path_hooks, sys.path_importer_cache)]",
    "collections disabled": "gc.disable(); gc.set_threshold(0)",
    "everything frozen": "gc.freeze()",
    "the context emptied": "context.__dict__.clear(); context.aws_request_id = 'rid-1'",
}
BROKEN = {
    "sys emptied": "sys.__dict__.clear()",
    "sys.modules cleared": "sys.modules.clear()",
    "standard modules removed": "[sys.modules.pop(n, None) for n in ('os', 'sys', 'json', 'logging', 'traceback', 'time')]",
    "builtins broken": "import builtins\nbuiltins.len = builtins.getattr = builtins.hasattr = builtins.open = None",
    "os.environ is None": "os.environ = None",
    "a recursion limit of 10": "sys.setrecursionlimit(10)",
    "the working directory is gone": "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "the streams are gone": "del sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__",
    "excepthooks broken": "sys.excepthook = sys.unraisablehook = threading.excepthook = None",
    "traceback broken": "import traceback\ntraceback.extract_tb = traceback.format_list = traceback.format_exception = None",
}
FAILED = ["GET next", "POST rid-1/response", "GET next", "POST rid-2/error", "GET next", "POST rid-3/response", "GET next"]


def assert_served(run: Run) -> None:
    assert (run.calls, run.ending) == (FAILED, ENDED_AFTER_THE_LAST_EVENT), run.story()
    assert run.responses == [[0, "rid-1"], [2, "rid-3"]]
    (error,) = run.errors
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("ZeroDivisionError", "division by zero", "rid-2")
    (entry,) = error["stackTrace"]
    assert re.fullmatch(r'  File ".*/app.py", line \d+, in handler\n    if event == 1: 1 / 0\n', entry)


@pytest.mark.parametrize("bad", SAME.values(), ids=SAME)
@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_what_the_managed_runtime_survives_is_survived_alike(both: CompareBoth, bad: str, log_format: str) -> None:
    assert_served(both(misbehaves(bad), events=EVENTS, environment={"AWS_LAMBDA_LOG_FORMAT": log_format}).whipsnake)


@pytest.mark.parametrize("bad", BROKEN.values(), ids=BROKEN)
def test_the_next_invocation_is_right_and_a_failure_has_its_stack(play: PlayFunction, bad: str) -> None:
    """The managed runtime's process ends of these, here or in a combination with what its functions import."""
    assert_served(play(misbehaves(bad), events=EVENTS))


IMPORT_LOCK = """
import _imp, _thread, time
def keep(has_it):
    _imp.acquire_lock()
    has_it.release()
    time.sleep(25)
def handler(event, context):
    if event == 0:
        has_it = _thread.allocate_lock()
        has_it.acquire()
        _thread.start_new_thread(keep, (has_it,))
        has_it.acquire()
    if event == 1: 1 / 0
    return [event, context.aws_request_id]
"""


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
@pytest.mark.parametrize("names", [False, True])
def test_a_failure_while_another_thread_has_the_import_lock_is_reported(
    both: CompareBoth, play: PlayFunction, log_format: str, names: bool
) -> None:
    """Before CPython 3.14, the managed runtime waits for the lock: formatting a traceback imports a module there."""
    files = {"app.py": ("import awslambdaric.bootstrap\n" if names else "") + IMPORT_LOCK}
    environment = {"AWS_LAMBDA_LOG_FORMAT": log_format}
    if sys.version_info >= (3, 14):
        run = both(files, events=EVENTS, environment=environment).whipsnake
    else:
        run = play(files, events=EVENTS, environment=environment)
    assert_served(run)


def test_the_managed_runtime_ends_where_its_modules_are_taken_away(both: CompareBoth) -> None:
    better = Better(
        "the failure is reported and the next invocation served; the managed runtime's process ends",
        {
            "calls": FAILED,
            "ending": ENDED_AFTER_THE_LAST_EVENT,
            "rid-2": {},
            "rid-3": {},
            "stdout": re.compile("in handler"),
            "stderr": "",
        },
    )
    both(misbehaves("sys.modules.clear()"), events=EVENTS, better=better)


def test_trace_ids_are_right_after_the_environment_was_cleared(both: CompareBoth) -> None:
    events = [event(number, headers={"lambda-runtime-trace-id": f"Root={number}"}) for number in EVENTS]
    pair = both(misbehaves("os.environ.clear()", "print(dict(os.environ))"), events=events)
    assert pair.whipsnake.stdout == "{}\n{'_X_AMZN_TRACE_ID': 'Root=1'}\n{'_X_AMZN_TRACE_ID': 'Root=2'}\n"


def test_an_environment_that_cannot_be_written_is_told_in_one_line(play: PlayFunction) -> None:
    run = play(misbehaves("os.environ = None", ""), events=[0, event(1, headers={"lambda-runtime-trace-id": "Root=1"})])
    assert run.responses == [[0, "rid-1"], [1, "rid-2"]]
    assert re.fullmatch(r"whipsnake: could not set _X_AMZN_TRACE_ID, because os\.environ refused it: .*\n", run.stderr)


def test_collections_stay_as_the_function_wants_them(both: CompareBoth) -> None:
    pair = both(misbehaves("gc.disable()", "print(gc.isenabled())"), events=EVENTS)
    assert pair.whipsnake.stdout == "False\n" * 3
