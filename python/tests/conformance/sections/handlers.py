"""Which function a handler string names, and what is reported when it names none."""

from conformance.case import Behaviour, Case, Section
from playing import Files
from reference import Better

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


def not_found(handler: str, error_type: str) -> Case:
    return Case(
        name=repr(handler),
        files=APP,
        handler=handler,
        shows={"calls": ["POST init/error"], "ending": "exit code 1", "init/error": {"error-type": error_type}},
    )


SECTION = Section(
    "Finding the handler",
    [
        Behaviour(
            "H1",
            "A slash separates folders, which need no `__init__.py`.",
            [found("a/b.handler", "a/b.py"), found("a/b.c.handler", "a/b/c.py")],
        ),
        Behaviour(
            "H3",
            "A handler without a dot is `Runtime.MalformedHandlerName`.",
            [not_found("handler", "Runtime.MalformedHandlerName")],
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
                    missing="async handlers",
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
    ],
)
