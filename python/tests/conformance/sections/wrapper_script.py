"""`AWS_LAMBDA_EXEC_WRAPPER`."""

import json

from conformance.case import Behaviour, Case
from conformance.sections.evaluating import EVALUATES, evaluated
from playing import Files

WRAPPER = {"AWS_LAMBDA_EXEC_WRAPPER": "./wrapper"}


def wrapped(name: str, script: str, expression: str, value: object, files: Files | None = None) -> Case:
    """An expression that the function evaluates after a wrapper script."""
    return evaluated(name, [expression], value, WRAPPER, {"wrapper": f"#!/bin/bash\n{script}\n", **(files or {})})


def refused(name: str, wrapper: str, reason: str, code: int) -> Case:
    return Case(
        name=name,
        files={**EVALUATES, "wrapper.txt": "not a program"},
        environment={"AWS_LAMBDA_EXEC_WRAPPER": wrapper},
        events=["1"],
        shows={"calls": [], "stdout": f"{wrapper}: {reason}\n", "stderr": "", "ending": f"exit code {code}"},
    )


ADDING_OPTIONS = """
args=("$@")
extra_args=(%s)
args=("${args[@]:0:$#-1}" "${extra_args[@]}" "${args[@]: -1}")
exec "${args[@]}"
"""


def with_options(options: str, expression: str, value: object) -> Case:
    """AWS's documentation adds options in this way."""
    return wrapped(options, ADDING_OPTIONS % options, expression, value)


def lists_imports(options: str, expression: str, value: object) -> Case:
    return Case(
        name=options,
        files={**EVALUATES, "wrapper": "#!/bin/bash" + ADDING_OPTIONS % options},
        environment=WRAPPER,
        events=[expression],
        shows={"rid-1": {"body": json.dumps(value)}},
        free={"stderr": "each runtime imports something else"},
    )


PROGRAM = "import os, sys; os.environ['ADDED'] = '1'; os.execl(sys.argv[1], *sys.argv[1:])"


IS_RUN = Behaviour(
    "W2",
    "`AWS_LAMBDA_EXEC_WRAPPER` names a program that is run in place of the runtime, with the runtime's command line.",
    [
        refused("no such file", "./nothing", "does not exist", 127),
        refused("a folder", ".", "does not exist", 127),
        refused("not executable", "./wrapper.txt", "is not an executable", 126),
        evaluated("an empty name", ["1"], 1, {"AWS_LAMBDA_EXEC_WRAPPER": ""}),
        wrapped(
            "sets and removes variables",
            'export ADDED="by the wrapper"\nunset AWS_REGION\nexec -- "$@"',
            "[os.environ['ADDED'], os.environ.get('AWS_REGION'), sys.argv]",
            ["by the wrapper", None, ["/var/runtime/bootstrap.py"]],
        ),
        wrapped(
            "names another handler",
            'export ORIGINAL=$_HANDLER _HANDLER=other.evaluate\nexec "$@"',
            "[os.environ['ORIGINAL'], os.environ['_HANDLER']]",
            ["app.handler", "other.evaluate"],
            {"other.py": "import app\ndef evaluate(event, context): return app.handler(event, context)"},
        ),
        wrapped(
            "names another execution environment",
            'export AWS_EXECUTION_ENV=AWS_Lambda_custom\nexec "$@"',
            "os.environ['AWS_EXECUTION_ENV']",
            "AWS_Lambda_custom",
        ),
        Case(
            name="looks at its arguments: an interpreter and a script",
            files={
                **EVALUATES,
                "wrapper": '#!/bin/bash\necho "$#"\n[ -x "$1" ] && echo executable\n[ -f "$2" ] && echo file\n',
            },
            environment=WRAPPER,
            events=["1"],
            shows={"calls": [], "stdout": "2\nexecutable\nfile\n", "ending": "exit code 0"},
        ),
        Case(
            name="exits",
            files={**EVALUATES, "wrapper": "#!/bin/bash\necho no\nexit 3\n"},
            environment=WRAPPER,
            events=["1"],
            shows={"calls": [], "stdout": "no\n", "ending": "exit code 3"},
        ),
        wrapped(
            "runs a Python program with the interpreter, as OpenTelemetry's layer does",
            f'exec "$1" -c "{PROGRAM}" "$@"',
            "os.environ['ADDED']",
            "1",
        ),
        wrapped(
            "leaves sys.executable an interpreter",
            'exec "$@"',
            "__import__('subprocess').run([sys.executable, '-c', 'print(5)'], capture_output=True, text=True).stdout",
            "5\n",
        ),
        Case(
            name="leaves the descriptor for log records",
            files={**EVALUATES, "wrapper": '#!/bin/bash\nexec "$@"\n'},
            environment=WRAPPER,
            events=["context.log('framed')"],
            script={"pipes": ["_LAMBDA_TELEMETRY_LOG_FD"]},
            shows={"_LAMBDA_TELEMETRY_LOG_FD": [["a55a0003", "framed"]]},
        ),
    ],
)

ADDS_OPTIONS = Behaviour(
    "W12",
    "Interpreter options that a wrapper adds before the script mean what they mean to Python.",
    [
        lists_imports("-X importtime", "sys._xoptions", {"importtime": True}),
        lists_imports("-v", "sys.flags.verbose", 1),
        with_options("-O", "sys.flags.optimize", 1),
        with_options("-W error", "sys.warnoptions", ["error"]),
        with_options("-X dev", "sys.flags.dev_mode", True),
        with_options("-B", "sys.dont_write_bytecode", True),
        with_options("-E", "sys.flags.ignore_environment", 1),
        with_options("-b", "sys.flags.bytes_warning", 1),
        with_options("-X faulthandler", "__import__('faulthandler').is_enabled()", True),
    ],
)
