"""Framed records, on the descriptor that Lambda gives to managed runtimes."""

import re

from conformance.case import Behaviour, Case, Section
from conformance.sections.log_records import JSON
from playing import Files
from reference import Better, Expected

FRAMES = "_LAMBDA_TELEMETRY_LOG_FD"
PIPE = {"pipes": [FRAMES]}

EVERYTHING: Files = {
    "app.py": """
        import logging
        logger = logging.getLogger("my.logger")
        logging.getLogger().setLevel(0)
        logger.error("at import")
        def handler(event, context):
            for level in (5, 10, 11, 20, 25, 30, 40, 50, 60):
                logger.log(level, "é at %d", level)
            try:
                1 / 0
            except ZeroDivisionError:
                logger.exception("exception")
    """
}

FAILS: Files = {
    "app.py": """
        def handler(event, context):
            raise ValueError("é\\n  second line")
    """
}

FAILS_AT_IMPORT: Files = {"app.py": "raise ValueError('v')"}

PRINTS: Files = {
    "app.py": """
        import sys
        def handler(event, context):
            context.log("as it is")
            print("printed")
            print("to standard error", file=sys.stderr)
    """
}

LOGS: Files = {
    "app.py": """
        import logging, os
        at_import = "_LAMBDA_TELEMETRY_LOG_FD" in os.environ
        def handler(event, context):
            logging.error("m")
            return [at_import, "_LAMBDA_TELEMETRY_LOG_FD" in os.environ]
    """
}

# The frame types of EVERYTHING's records in order: one at import, nine levels, an exception.
ONE_KIND = ["03"] * 11
TEXT_LEVELS = ["17", "03", "0b", "0b", "0f", "0f", "13", "17", "1b", "1b", "17"]
JSON_LEVELS = ["16", "02", "0a", "0a", "0e", "0e", "12", "16", "1a", "1a", "16"]
TEXT_KINDS: dict[str, tuple[dict[str, str], list[str]]] = {
    "no AWS_LAMBDA_LOG_LEVEL": ({}, ONE_KIND),
    "AWS_LAMBDA_LOG_LEVEL=DEBUG": ({"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, TEXT_LEVELS),
    "AWS_LAMBDA_LOG_LEVEL=bogus": ({"AWS_LAMBDA_LOG_LEVEL": "bogus"}, TEXT_LEVELS),
}
JSON_KINDS = {
    "every level": (JSON, JSON_LEVELS),
    "AWS_LAMBDA_LOG_LEVEL=DEBUG": ({**JSON, "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, JSON_LEVELS),
}


class Kinds:
    """That records have these types, by the last byte."""

    def __init__(self, expected: list[str]) -> None:
        self._expected = [f"a55a00{kind}" for kind in expected]

    def __call__(self, records: list[list[str]]) -> bool:
        return [kind for kind, _ in records] == self._expected

    def __repr__(self) -> str:
        return f"records of the types {self._expected}"


ONE_RECORD = [["a55a0003", "[ERROR]\t<time>\trid-1\tm\n"]]


def everything(name: str, environment: dict[str, str], kinds: list[str]) -> Case:
    return Case(
        name=name,
        files=EVERYTHING,
        events=[{}],
        environment=environment,
        script=PIPE,
        shows={FRAMES: Kinds(kinds), "stdout": "", "rid-1": {"body": "null"}},
    )


def failed(name: str, environment: dict[str, str], kind: str) -> Case:
    return Case(
        name=name, files=FAILS, events=[{}], environment=environment, script=PIPE, shows={FRAMES: Kinds([kind]), "stdout": ""}
    )


def failed_import(name: str, environment: dict[str, str], kind: str) -> Case:
    return Case(
        name=name,
        files=FAILS_AT_IMPORT,
        environment=environment,
        script=PIPE,
        shows={"init/error": {"error-type": "ValueError"}, "stdout": ""},
        better=Better("no false warning about updates of the managed runtime before it", {FRAMES: Kinds([kind])}),
    )


def unusable(number: str, stderr: Expected) -> Case:
    return Case(
        name=repr(number),
        files=LOGS,
        events=[{}],
        environment={FRAMES: number},
        better=Better(
            "records go to standard output; the managed runtime's process ends before it imports the function",
            {
                "calls": ["GET next", "POST rid-1/response", "GET next"],
                "ending": "signal 9",
                "rid-1": {"call": "POST rid-1/response", "body": "[false, false]"},
                "stdout": "[ERROR]\t<time>\trid-1\tm\n",
                "stderr": stderr,
            },
        ),
    )


NOT_OPEN = re.compile(r"^whipsnake: _LAMBDA_TELEMETRY_LOG_FD is \S+, which is not open; log records go to standard output\n$")

SECTION = Section(
    "Framed log records",
    [
        Behaviour(
            "T1",
            "Where `_LAMBDA_TELEMETRY_LOG_FD` names a descriptor, log records go there; functions do not see the variable.",
            [
                Case(
                    name="a descriptor",
                    files=LOGS,
                    events=[{}],
                    script=PIPE,
                    shows={"rid-1": {"body": "[false, false]"}, FRAMES: ONE_RECORD, "stdout": ""},
                ),
                unusable("97", NOT_OPEN),
                unusable("-1", NOT_OPEN),
                unusable("abc", NOT_OPEN),
                unusable("", ""),
            ],
        ),
        Behaviour(
            "T2",
            "A frame is a type and a length in four bytes each, microseconds since 1970 in eight, and the text in UTF-8.",
            [
                Case(
                    name="text beyond ASCII",
                    files={
                        "app.py": """
                            import logging
                            def handler(event, context):
                                logging.error("é日本😀\\nsecond line")
                                logging.error("")
                        """
                    },
                    events=[{}],
                    script=PIPE,
                    shows={
                        FRAMES: [
                            ["a55a0003", "[ERROR]\t<time>\trid-1\té日本😀\nsecond line\n"],
                            ["a55a0003", "[ERROR]\t<time>\trid-1\t\n"],
                        ]
                    },
                ),
                Case(
                    name="a record of 300 kB",
                    files={
                        "app.py": """
                            import logging
                            def handler(event, context):
                                logging.error("é" * 150_000)
                        """
                    },
                    events=[{}],
                    script=PIPE,
                    shows={"rid-1": {"body": "null"}, "stdout": ""},
                ),
            ],
        ),
        Behaviour(
            "T3",
            "A JSON record's frame has a type for its level, rounded down to a standard one.",
            [everything(name, environment, kinds) for name, (environment, kinds) in JSON_KINDS.items()],
        ),
        Behaviour(
            "T4",
            "So has a text record's where `AWS_LAMBDA_LOG_LEVEL` is set; otherwise one type stands for all levels.",
            [everything(name, environment, kinds) for name, (environment, kinds) in TEXT_KINDS.items()],
        ),
        Behaviour(
            "T5",
            "An error report is one frame, whatever the level, its lines joined by line feeds.",
            [
                failed("a failed invocation in text", {}, "17"),
                failed("a failed invocation under AWS_LAMBDA_LOG_LEVEL=CRITICAL", {"AWS_LAMBDA_LOG_LEVEL": "CRITICAL"}, "17"),
                failed("a failed invocation in JSON", JSON, "16"),
                failed_import("a failed import in text", {}, "17"),
                failed_import("a failed import in JSON", JSON, "16"),
            ],
        ),
        Behaviour(
            "T6",
            "`context.log` writes a frame of its own; prints and standard error are not framed.",
            [
                Case(
                    name=name,
                    files=PRINTS,
                    events=[{}],
                    environment=environment,
                    script=PIPE,
                    shows={FRAMES: [["a55a0003", "as it is"]], "stdout": "printed\n", "stderr": "to standard error\n"},
                )
                for name, environment in (("text", {}), ("JSON", JSON))
            ],
        ),
        Behaviour(
            "T7",
            "Lambda gives this descriptor to its managed runtimes only.",
            note="on `provided.al2023` records go to standard output, as the section above has it",
        ),
    ],
)
