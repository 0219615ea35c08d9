"""A handler that is asked for expressions about the process that it finds itself in."""

import json
from collections.abc import Mapping, Sequence

from conformance.case import Case
from playing import Files

EVALUATES: Files = {
    "app.py": """
        import os, subprocess, sys
        at_import = dict(os.environ)
        print("imported once")

        def named(entry):
            "Without the places of this machine and the version of Python."
            library = os.path.dirname(os.__file__)
            if entry.endswith("/site-packages") and not entry.startswith("/opt"):
                return "<packages>"
            if entry.startswith(library):
                return f"<python>{entry.removeprefix(library)}"
            return "<zip>" if entry.endswith(".zip") else entry.replace("%d.%d" % sys.version_info[:2], "3.X")

        def path():
            "sys.path without what comes a second time. Distributions have a folder of their own at its end."
            return [name for name in dict.fromkeys(map(named, sys.path)) if name != "<python>/dist-packages"]

        def output(*arguments, **options):
            "What the interpreter prints."
            return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, **options).stdout

        def handler(event, context):
            return eval(event)
    """,
    "script.py": "import sys\nprint(sys.argv, __name__)",
}


def evaluated(
    name: str,
    expressions: Sequence[str],
    first: object,
    environment: Mapping[str, str | bytes | None] | None = None,
    files: Files | None = None,
) -> Case:
    """Expressions that a function evaluates; `first` is the value of the first, and none of them fails."""
    calls = ["GET next"]
    for number in range(1, len(expressions) + 1):
        calls += [f"POST rid-{number}/response", "GET next"]
    return Case(
        name=name,
        files={**EVALUATES, **(files or {})},
        events=expressions,
        environment=environment or {},
        shows={"calls": calls, "rid-1": {"body": json.dumps(first, ensure_ascii=False)}, "stdout": "imported once\n"},
    )
