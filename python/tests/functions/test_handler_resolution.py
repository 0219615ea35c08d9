"""Which function a handler string names, and what is reported when it names none."""

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT
from reference import Better

NAMES_ITSELF = """
    def handler(event, context):
        return __name__
"""

FOUND = {
    "a/b.handler": "a/b.py",
    "a.b.c.handler": "a/b/c.py",
    "a/b.c.handler": "a/b/c.py",
    "pkg.handler": "pkg/__init__.py",
    "my-app.handler": "my-app.py",
    "é.handler": "é.py",
    "lambda_function.handler": "lambda_function.py",
}


@pytest.mark.parametrize("handler", FOUND)
def test_a_handler_is_a_module_and_a_function_with_dots_or_slashes_between(both: CompareBoth, handler: str) -> None:
    pair = both({FOUND[handler]: NAMES_ITSELF}, handler=handler, events=[{}])
    assert pair.whipsnake.responses == [handler.rsplit(".", 1)[0].replace("/", ".")]


APP = {
    "app.py": """
        class A:
            def handler(event, context): pass
    """,
    "a/b.py": "",
    "sys.py": "def handler(event, context): pass",
}

NOT_FOUND = {
    "handler": "Runtime.MalformedHandlerName",
    "": "Runtime.MalformedHandlerName",
    "nomod.handler": "Runtime.ImportModuleError",
    "c/nomod.handler": "Runtime.ImportModuleError",
    "app.A.handler": "Runtime.ImportModuleError",
    "a/.handler": "Runtime.ImportModuleError",
    " app.handler ": "Runtime.ImportModuleError",
    "time/x.handler": "Runtime.ImportModuleError",
    "app.nope": "Runtime.HandlerNotFound",
    "app.": "Runtime.HandlerNotFound",
    "a/b.nope": "Runtime.HandlerNotFound",
    "sys.handler": "Runtime.BuiltInModuleConflict",
    "time.x.handler": "Runtime.BuiltInModuleConflict",
    "/app.handler": "TypeError",
    "./app.handler": "TypeError",
    "../app.handler": "TypeError",
    ".handler": "ValueError",
}


@pytest.mark.parametrize("handler", NOT_FOUND)
def test_a_handler_that_names_no_function_is_reported_in_the_managed_runtimes_words(both: CompareBoth, handler: str) -> None:
    pair = both(APP, handler=handler)
    assert pair.whipsnake.init_error["errorType"] == NOT_FOUND[handler]
    assert pair.whipsnake.exit_code == 1


def test_an_unset_handler_is_an_empty_one(play: PlayFunction) -> None:
    run = play(APP, environment={"_HANDLER": None})
    assert run.init_error["errorMessage"] == "Bad handler '': not enough values to unpack (expected 2, got 1)"


MODULES = ["array", "select", "zlib", "binascii"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_no_conflict_for_being_built_into_this_build_of_the_interpreter(play: PlayFunction, module: str) -> None:
    """The managed runtime's interpreter has these in files, whatever the reference here has."""
    run = play({f"{module}.py": NAMES_ITSELF}, handler=f"{module}.handler", events=[{}])
    assert run.response == module


@pytest.mark.parametrize("module", ["queue", "types", "json", "logging", "decimal"])
def test_a_file_named_like_a_module_that_the_managed_runtime_has_imported_is_not_looked_at(
    play: PlayFunction, module: str
) -> None:
    run = play({f"{module}.py": NAMES_ITSELF}, handler=f"{module}.handler")
    assert run.init_error["errorMessage"] == f"Handler 'handler' missing on module '{module}'"


@pytest.mark.parametrize("module", ["queue", "random", "string", "email", "asyncio", "types", "token", "select"])
def test_a_file_named_like_a_standard_module_does_not_harm_the_runtime(play: PlayFunction, module: str) -> None:
    files = {f"{module}.py": "", "app.py": f"import {module}\ndef handler(event, context):\n    1 / event"}
    run = play(files, events=[1, 0, 1])
    assert run.calls[1::2] == ["POST rid-1/response", "POST rid-2/error", "POST rid-3/response"]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT


@pytest.mark.parametrize(
    "body",
    [
        "def __getattr__(name):\n    raise AttributeError(name)",
        "def __getattr__(name):\n    raise ValueError(name)",
        "def __getattr__(name):\n    return lambda event, context: name",
    ],
)
def test_a_modules_getattr_may_make_the_handler_or_refuse(both: CompareBoth, body: str) -> None:
    both({"app.py": body}, events=[{}])


@pytest.mark.parametrize(
    "body",
    [
        "handler = 5",
        "def handler(): pass",
        "def handler(a, b, c): pass",
        "def handler(event): pass",
        "handler = len",
        "class handler: pass",
        "handler = None",
    ],
)
def test_what_cannot_be_called_with_event_and_context_fails_at_each_invocation_and_not_before(
    both: CompareBoth, body: str
) -> None:
    pair = both({"app.py": body}, events=[{}, {}])
    assert [error["errorType"] for error in pair.whipsnake.errors] == ["TypeError", "TypeError"]


@pytest.mark.parametrize(
    "body",
    [
        "def handler(*args, **kwargs): return [len(args), kwargs]",
        "def handler(event, context, extra=1, *, more=2): return [extra, more]",
        "handler = lambda e, c: e",
        "from functools import partial\nhandler = partial(lambda x, e, c: [x, e], 1)",
        "class C:\n    def __call__(self, e, c): return e\nhandler = C()",
        "class C:\n    def m(self, e, c): return e\nhandler = C().m",
        "class C:\n    @staticmethod\n    def m(e, c): return e\nhandler = C.m",
        "from operator import is_ as handler",
        "handler = dict.fromkeys",
    ],
)
def test_anything_callable_is_a_handler_and_gets_two_positional_arguments(both: CompareBoth, body: str) -> None:
    both({"app.py": body}, events=[["x"]], free={"stdout": "dict.fromkeys fails and logs"} if "dict" in body else None)


@pytest.mark.xfail(strict=True, reason="not there yet: async handlers")
def test_a_coroutine_function_is_awaited(both: CompareBoth) -> None:
    both(
        {"app.py": "import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0)\n    return event"},
        events=["hi", "again"],
        better=Better(
            "async handlers are awaited (design.md)",
            {
                "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"],
                "rid-1": {"call": "POST rid-1/response", "body": '"hi"', "content-type": "application/json"},
                "rid-2": {"call": "POST rid-2/response", "body": '"again"'},
                "stdout": "",
            },
        ),
    )
