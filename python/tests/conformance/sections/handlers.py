"""Which function a handler string names, and what is reported when it names none."""

import re

from conformance.case import Behaviour, Case, Section
from playing import ENDED_AFTER_THE_LAST_EVENT, Files
from reference import Better, Expected

NAMES_ITSELF = """
    def handler(event, context):
        return __name__
"""


def found(handler: str, file: str) -> Case:
    module = handler.rsplit(".", 1)[0].replace("/", ".")
    return Case(
        name=handler,
        files={file: NAMES_ITSELF},
        handler=handler,
        events=[{}],
        shows={"rid-1": {"body": f'"{module}"'}},
    )


APP: Files = {
    "app.py": """
        class A:
            def handler(event, context): pass
    """,
    "a/b.py": "",
    "sys.py": "def handler(event, context): pass",
}


def not_found(handler: str, error_type: str, message: str, files: Files = APP) -> Case:
    return Case(
        name=repr(handler),
        files=files,
        handler=handler,
        shows={
            "calls": ["POST init/error"],
            "ending": "exit code 1",
            "init/error": {"error-type": error_type, "body": re.compile(f'"errorMessage": "{re.escape(message)}"')},
        },
    )


def malformed(handler: str) -> Case:
    message = f"Bad handler '{handler}': not enough values to unpack (expected 2, got 1)"
    return not_found(handler, "Runtime.MalformedHandlerName", message)


def no_module(handler: str, reason: str) -> Case:
    message = f"Unable to import module '{handler.rpartition('.')[0]}': {reason}"
    return not_found(handler, "Runtime.ImportModuleError", message)


def no_function(handler: str, files: Files = APP) -> Case:
    module, _, function = handler.rpartition(".")
    return not_found(handler, "Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'", files)


def built_in(handler: str) -> Case:
    module = handler.rpartition(".")[0]
    return not_found(handler, "Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module} as a handler module")


def relative(handler: str) -> Case:
    package = handler.rpartition(".")[0].replace("/", ".")
    return not_found(handler, "TypeError", f"the 'package' argument is required to perform a relative import for '{package}'")


HIDDEN = ["types", "json", "logging", "decimal"]
"""Modules that the managed runtime has imported when it imports the function."""

HARMLESS = ["random", "string", "email", "asyncio", "types", "token", "select"]

WORKS_AND_FAILS = """
def handler(event, context):
    1 / event
"""


def module_getattr(name: str, body: str, **fields: object) -> Case:
    files = {"app.py": f"def __getattr__(name):\n    {body}"}
    return Case(name=name, files=files, events=[{}], **fields)  # type: ignore[arg-type]


def not_callable(name: str, source: str, reason: str) -> Case:
    return Case(
        name=name,
        files={"app.py": source},
        events=[{}, {}],
        shows={
            "calls": ["GET next", "POST rid-1/error", "GET next", "POST rid-2/error", "GET next"],
            "rid-2": {"body": re.compile(f'"errorMessage": "{re.escape(reason)}.*", "errorType": "TypeError"')},
        },
    )


def callable_as(name: str, source: str, body: str = '["x"]') -> Case:
    return Case(name=name, files={"app.py": source}, events=[["x"]], shows={"rid-1": {"body": body}})


CANNOT_STREAM = "the managed runtime cannot serialise it"


def streamed(name: str, source: str, body: str) -> Case:
    answer = {"call": "POST rid-1/response", "content-type": "application/octet-stream", "body": body}
    shows: dict[str, Expected] = {"calls": ["GET next", "POST rid-1/response", "GET next"], "rid-1": answer}
    return Case(
        name=name,
        files={"app.py": source},
        events=[{}],
        better=Better(CANNOT_STREAM, {**shows, "stdout": "", "stderr": ""}),
    )


ASKS_FOR_CALLERS = """
    import inspect, logging, os, sys, warnings

    def named(frame):
        return [frame.f_code.co_name, os.path.basename(frame.f_code.co_filename), frame.f_globals["__name__"],
                frame.f_back.f_code.co_name]

    importer = sys._getframe()
    while "importlib" in importer.f_code.co_filename or importer.f_code.co_name == "<module>":
        importer = importer.f_back
    at_import = named(importer)

    def handler(event, context):
        if event == "frame":
            return named(inspect.stack()[1].frame)
        if event == "stack":
            return at_import
        if event == "warning":
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                warnings.warn("w", stacklevel=2)
            return [os.path.basename(caught[0].filename), str(caught[0].message)]
        if event == "record":
            caller = logging.getLogger().findCaller(stacklevel=2)
            return [caller[2], caller[0].endswith("/bootstrap.py")]
        raise ValueError(event)
"""

SECTION = Section(
    "Finding the handler",
    [
        Behaviour(
            "H1",
            "A slash separates folders, which need no `__init__.py`.",
            [found("a/b.handler", "a/b.py"), found("a/b.c.handler", "a/b/c.py")],
        ),
        Behaviour(
            "H2",
            "Any module that Python can import may hold the handler: in folders and packages, or with an odd name.",
            [
                found("lambda_function.handler", "lambda_function.py"),
                found("a.b.c.handler", "a/b/c.py"),
                found("pkg.handler", "pkg/__init__.py"),
                found("my-app.handler", "my-app.py"),
                found("é.handler", "é.py"),
            ],
        ),
        Behaviour("H3", "A handler without a dot is `Runtime.MalformedHandlerName`.", [malformed("handler")]),
        Behaviour("H4", "So is an empty one.", [malformed("")]),
        Behaviour(
            "H5",
            "A module that does not exist is `Runtime.ImportModuleError`.",
            [no_module("nomod.handler", "No module named 'nomod'")],
        ),
        Behaviour(
            "H6",
            "So is one in a folder that does not exist; the message has the handler's slashes, the reason has dots.",
            [no_module("c/nomod.handler", "No module named 'c'"), no_module("a/nomod.handler", "No module named 'a.nomod'")],
        ),
        Behaviour(
            "H7",
            "A function in a class is not found: all before the last dot is the module.",
            [no_module("app.A.handler", "No module named 'app.A'; 'app' is not a package")],
        ),
        Behaviour(
            "H8",
            "A slash right before the dot is part of the module's name.",
            [no_module("a/.handler", "No module named 'a.'")],
        ),
        Behaviour(
            "H9",
            "Spaces around the handler are part of its names.",
            [no_module(" app.handler ", "No module named ' app'")],
        ),
        Behaviour(
            "H10",
            "A function that the module does not have is `Runtime.HandlerNotFound`.",
            [no_function("app.nope"), no_function("app.")],
        ),
        Behaviour("H11", "The message then has the handler's slashes.", [no_function("a/b.nope")]),
        Behaviour(
            "H12",
            "A module that is part of the interpreter itself is `Runtime.BuiltInModuleConflict`, even where a file of that "
            "name exists.",
            [built_in("sys.handler"), built_in("time.x.handler")],
        ),
        Behaviour(
            "H13",
            "That is looked for before the first dot only; behind a slash the module is merely not found.",
            [no_module("time/x.handler", "No module named 'time.x'; 'time' is not a package")],
        ),
        Behaviour(
            "H14",
            "A file named like a module that only some builds of Python have built in, such as `array.py` or `zlib.py`, may "
            "hold the handler.",
            note="same: as on Lambda, where these modules are files; which ones the reference here has built in depends on its "
            "build, so that there is nothing to compare with",
        ),
        Behaviour(
            "H15",
            "A file named like a module that the managed runtime has imported itself is not seen; any other may be named like "
            "a standard module.",
            [
                *(no_function(f"{module}.handler", {f"{module}.py": NAMES_ITSELF}) for module in HIDDEN),
                *(found(f"{module}.handler", f"{module}.py") for module in ("csv", "random")),
                Case(
                    name="queue.handler",
                    files={"queue.py": NAMES_ITSELF},
                    handler="queue.handler",
                    better=Better(
                        "as reported for every other such module; the managed runtime breaks and reports nothing",
                        {
                            "calls": ["POST init/error"],
                            "init/error": {
                                "error-type": "Runtime.HandlerNotFound",
                                "body": re.compile("Handler 'handler' missing on module 'queue'"),
                            },
                            "stdout": re.compile(r"^\[ERROR\] Runtime\.HandlerNotFound: "),
                            "stderr": "",
                        },
                    ),
                ),
            ],
        ),
        Behaviour(
            "H16",
            "A file named like a standard module does not harm the runtime.",
            [
                *(
                    Case(
                        name=f"{module}.py",
                        files={f"{module}.py": "", "app.py": f"import {module}\n{WORKS_AND_FAILS}"},
                        events=[1, 0, 1],
                        shows={"ending": ENDED_AFTER_THE_LAST_EVENT, "rid-3": {"body": "null"}},
                        # Before 3.14, the managed runtime takes the function's file for the standard module.
                        since=(3, 14) if module == "token" else (3, 12),
                    )
                    for module in HARMLESS
                ),
                Case(
                    name="queue.py",
                    files={"queue.py": "", "app.py": f"import queue\n{WORKS_AND_FAILS}"},
                    events=[1, 0, 1],
                    better=Better(
                        "the managed runtime takes the function's file for the standard module, and its process ends",
                        {
                            "calls": [
                                "GET next",
                                "POST rid-1/response",
                                "GET next",
                                "POST rid-2/error",
                                "GET next",
                                "POST rid-3/response",
                                "GET next",
                            ],
                            "ending": ENDED_AFTER_THE_LAST_EVENT,
                            "rid-1": {"body": "null"},
                            "rid-2": {"body": re.compile('"errorType": "ZeroDivisionError"')},
                            "rid-3": {"body": "null"},
                            "stdout": re.compile(r"^\[ERROR\] ZeroDivisionError: "),
                            "stderr": "",
                        },
                    ),
                ),
            ],
        ),
        Behaviour(
            "H17",
            "A path that begins with a slash or a dot is refused as a relative import.",
            [relative("/app.handler"), relative("./app.handler"), relative("../app.handler")],
        ),
        Behaviour(
            "H18",
            "A handler that begins with its only dot names an empty module, which is a `ValueError`.",
            [not_found(".handler", "ValueError", "Empty module name")],
        ),
        Behaviour(
            "H19",
            "A module's `__getattr__` may make the handler or refuse.",
            [
                module_getattr("a function", "return lambda event, context: name", shows={"rid-1": {"body": '"handler"'}}),
                module_getattr(
                    "AttributeError",
                    "raise AttributeError(name)",
                    shows={"init/error": {"error-type": "Runtime.HandlerNotFound"}},
                ),
                module_getattr("ValueError", "raise ValueError(name)", shows={"init/error": {"error-type": "ValueError"}}),
            ],
        ),
        Behaviour(
            "H20",
            "What cannot be called with an event and a context fails at each invocation, and not before.",
            [
                not_callable("a number", "handler = 5", "'int' object is not callable"),
                not_callable("None", "handler = None", "'NoneType' object is not callable"),
                not_callable("no parameters", "def handler(): pass", "handler() takes 0 positional arguments but 2 were given"),
                not_callable(
                    "one parameter", "def handler(event): pass", "handler() takes 1 positional argument but 2 were given"
                ),
                not_callable(
                    "three parameters", "def handler(a, b, c): pass", "handler() missing 1 required positional argument: 'c'"
                ),
                not_callable("a function in C", "handler = len", "len() takes exactly one argument (2 given)"),
                not_callable("a class without parameters", "class handler: pass", "handler() takes no arguments"),
            ],
        ),
        Behaviour(
            "H21",
            "Anything callable is a handler, and is given two positional arguments.",
            [
                callable_as("any arguments", "def handler(*args, **kwargs): return [len(args), kwargs]", "[2, {}]"),
                callable_as(
                    "more parameters", "def handler(event, context, extra=1, *, more=2): return [extra, more]", "[1, 2]"
                ),
                callable_as("a lambda", "handler = lambda e, c: e"),
                callable_as(
                    "a partial function",
                    "from functools import partial\nhandler = partial(lambda x, e, c: [x, e], 1)",
                    '[1, ["x"]]',
                ),
                callable_as("an object", "class C:\n    def __call__(self, e, c): return e\nhandler = C()"),
                callable_as("a method", "class C:\n    def m(self, e, c): return e\nhandler = C().m"),
                callable_as("a static method", "class C:\n    @staticmethod\n    def m(e, c): return e\nhandler = C.m"),
                callable_as("a function in C", "from operator import is_ as handler", "false"),
                callable_as("a method in C", "handler = '{0}'.format", '''"['x']"'''),
                Case(
                    name="a class method in C",
                    files={"app.py": "handler = dict.fromkeys"},
                    events=[["x"]],
                    shows={"rid-1": {"body": re.compile("Object of type LambdaContext is not JSON serializable")}},
                ),
            ],
        ),
        Behaviour(
            "H24",
            "The handler is called by a Python function, `handle_event_request`, and its module is imported by `_get_handler`; "
            "a report has neither.",
            [
                Case(
                    name="callers",
                    files={"app.py": ASKS_FOR_CALLERS},
                    events=["frame", "stack", "warning", "record", "raise", "frame"],
                    shows={
                        "rid-1": {"body": '["handle_event_request", "bootstrap.py", "awslambdaric.bootstrap", "run"]'},
                        "rid-2": {"body": '["_get_handler", "bootstrap.py", "awslambdaric.bootstrap", "run"]'},
                        "rid-3": {"body": '["bootstrap.py", "w"]'},
                        "rid-4": {"body": '["handle_event_request", true]'},
                    },
                ),
            ],
        ),
        Behaviour(
            "H22",
            "A coroutine function is awaited.",
            [
                Case(
                    name="async def",
                    files={
                        "app.py": """
                            import asyncio
                            async def handler(event, context):
                                await asyncio.sleep(0)
                                return event
                        """
                    },
                    events=["hi", "again"],
                    better=Better(
                        "the managed runtime cannot serialise the coroutine",
                        {
                            "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"],
                            "rid-1": {"call": "POST rid-1/response", "body": '"hi"', "content-type": "application/json"},
                            "rid-2": {"call": "POST rid-2/response", "body": '"again"'},
                            "stdout": "",
                            "stderr": "",
                        },
                    ),
                )
            ],
        ),
        Behaviour(
            "H23",
            "What a generator or any other iterator yields is streamed as it is yielded.",
            [
                streamed("a generator function", 'def handler(event, context):\n    yield "a"\n    yield b"b"', "ab"),
                streamed("an async generator", 'async def handler(event, context):\n    yield "a"\n    yield "é"', "aé"),
                streamed("a map", "def handler(event, context): return map(str, [1, 2])", "12"),
                streamed("nothing", "def handler(event, context): return iter([])", ""),
                Case(
                    name="what is no text",
                    files={"app.py": "def handler(event, context):\n    yield 1"},
                    events=[{}],
                    better=Better(
                        CANNOT_STREAM,
                        {
                            "rid-1": {"body": re.compile("a streamed chunk must be bytes or str, not int")},
                            "stdout": re.compile("a streamed chunk must be bytes or str, not int"),
                        },
                    ),
                ),
            ],
        ),
    ],
)
