"""Functions that fail."""

from playing import Files

DIVIDES = "def handler(event, context):\n    return 1/0\n"

RAISES_ITS_EVENT = """
    def handler(event, context):
        raise ValueError(event)
"""

RAISES_A_LONG_MESSAGE = """
    def handler(event, context):
        raise ValueError("é" * event)
"""

TEXTS = [
    "message",
    "",
    "é日本😀",
    "a\n  b\r\n\tc\n",
    "\"q\" \\ 's'",
    "\x00\x01\x1b[31m\x85\u2028",
    " \u00a0 ",
]
"""Messages."""

CALLS_ITS_EVENT = """

def handler(event, context):
    return globals()[event]()
"""


RAISES_A_FAULT = """
    import os
    from awslambdaric.lambda_runtime_exception import FaultException
    def handler(event, context):
        os.chdir("/")
        raise FaultException(*event)
"""


CHANGES_FOLDER = """
    import os
    def handler(event, context):
        os.chdir(event)
        1 / 0
"""

GONE: Files = {
    "app.py": """
        import pathlib, shutil
        def handler(event, context):
            shutil.copy("gone.txt", "gone.py")
            import gone
            pathlib.Path("gone.py").unlink()
            gone.fail()
    """,
    "gone.txt": "def fail():\n    1 / 0\n",
}

KINDS = """
import decimal, json, sys

class Outer:
    class Inner(Exception): pass

class WithText(Exception):
    def __str__(self): return "text of its own"

SAME = ValueError("same")

def message(): raise ValueError("message")
def no_message(): raise ValueError
def two_arguments(): raise ValueError("a", 2)
def key_error(): return {}["key"]
def attribute_error(): return None.x
def name_error(): return no_such_name
def assertion(): assert 0, "not one"
def nested_class(): raise Outer.Inner("nested")
def text_of_its_own(): raise WithText("x")
def not_ascii(): raise ValueError("é日本😀")
def class_not_ascii(): raise type("Fehlér", (Exception,), {})("x")
def line_ends(): raise ValueError("a\\n  b\\r\\n\\tc\\n")
def suppressed_context():
    try:
        1 / 0
    except ZeroDivisionError:
        raise ValueError("v") from None
def syntax_error(): exec("x =")
def import_error(): import no_such_module
def stop_iteration(): return next(iter([]))
def raised_twice(): raise SAME
def raised_once_more(): raise SAME
def traceback_cleared(): raise ValueError("v").with_traceback(None)
def timeout_error(): raise TimeoutError("late")
def os_error(): return open("/no/such/file")
def memory_error(): raise MemoryError
def unicode_error(): return b"\\xff".decode()
def of_a_module(): raise decimal.InvalidOperation
def end_of_input(): return input()
def json_error(): return json.loads("{")
"""
"""Exceptions of many kinds."""

FRAMES = """
import json, other

def nested_functions():
    class Local:
        def method(self):
            raise ValueError("deep")
    Local().method()

def comprehension():
    return [1 / x for x in [1, 0]]

def generator():
    return list(1 / x for x in [1, 0])

def in_lambda():
    return (lambda: 1 / 0)()

def in_c():
    return int("x")

def called_by_c():
    return sorted([1, 2], key=lambda x: 1 / 0)

def standard_library():
    return json.loads("{")

def another_module():
    return other.fail()

def executed():
    exec("1 / 0")

def no_such_file():
    exec(compile("\\n\\n1 / 0", "gone.py", "exec"))

def many_lines():
    return dict(
        a=1,
        b=1 / 0,
    )

def not_ascii():
    raise ValueError("é日本😀")

def many_marks():
    return (1 + 2) * (3 / 0) + len("four")
"""
"""Frames of many kinds."""

ELSEWHERE = """
def fail():
    raise LookupError("in other")
"""
"""A module beside."""
