"""From Lambda's start of the process to the import of the function: the wrapper script, `sys.path`, the main module."""

import json

from conformance.case import Behaviour, Case, Section
from conformance.sections import wrapper_script
from conformance.sections.evaluating import EVALUATES, evaluated
from playing import Files
from reference import Better, Expected

LAYERS = ["/opt/python/lib/python3.X/site-packages", "/opt/python"]
LIBRARY = ["<zip>", "<python>", "<python>/lib-dynload"]


def keeps_layers(name: str, python_path: str) -> Case:
    return Case(
        name=name,
        files=EVALUATES,
        events=["[name for name in path() if name != '<packages>']", "os.environ['PYTHONPATH']"],
        environment={"PYTHONPATH": python_path},
        better=Better(
            "the managed runtime forgets the layers as soon as somebody sets the variable",
            {"rid-1": {"body": json.dumps(["/var/task", "/var/runtime", *python_path.split(":"), *LAYERS, *LIBRARY])}},
        ),
    )


PTH: Files = {
    "app.py": """
        import inside, marker, sys
        def handler(event, context):
            return [inside.VALUE, marker.made, "early" in sys.modules]
    """,
    "vendor/inside.py": "VALUE = 5",
    "marker.py": "made = []",
    "early.py": "",
    "a.pth": "vendor\nimport marker; marker.made.append('by a pth file')\n# a comment\n\nno/such/folder\n",
    "b.pth": "import early\n",
}

CUSTOMIZED: Files = {
    "app.py": """
        import builtins
        def handler(event, context):
            return getattr(builtins, "customized", None)
    """
}
CUSTOMIZES = "import builtins\nbuiltins.customized = 'by sitecustomize'\n"

IMPORTS: Files = {
    "app.py": """
        def handler(event, context):
            try:
                return __import__(event).__name__
            except ImportError as error:
                return str(error)
    """
}


def answered(body: str) -> dict[str, Expected]:
    return {"rid-1": {"call": "POST rid-1/response", "body": body}}


SECTION = Section(
    "Starting the process",
    [
        Behaviour(
            "W1",
            "`AWS_EXECUTION_ENV` is `AWS_Lambda_python3.X` with the version of Python.",
            [evaluated("read", ["os.environ['AWS_EXECUTION_ENV'] == 'AWS_Lambda_python%d.%d' % sys.version_info[:2]"], True)],
        ),
        wrapper_script.IS_RUN,
        Behaviour(
            "W3",
            "The function comes first in `sys.path`, then `/opt/python` of layers, then Python's own.",
            [evaluated("the order", ["path()"], ["/var/task", *LAYERS, "<packages>", "/var/runtime", *LIBRARY])],
        ),
        Behaviour(
            "W4",
            "`.pth` files beside the function are processed.",
            [Case(name="folders and imports", files=PTH, events=[{}], shows=answered('[5, ["by a pth file"], true]'))],
        ),
        Behaviour(
            "W5",
            "No folder of `sys.path` is lost; the managed runtime lists some of them twice.",
            note="free: nobody can depend on what is there a second time; the order is W3's",
        ),
        Behaviour(
            "W6",
            "`PYTHONPATH` comes after the function and before Python's own.",
            [
                keeps_layers("one folder", "/foo"),
                keeps_layers("two folders", "/foo:/bar"),
                Case(
                    name="modules in two folders",
                    files={
                        "app.py": "import which\ndef handler(event, context): return which.NAME",
                        "first/which.py": "NAME = 'first'",
                        "second/which.py": "NAME = 'second'",
                    },
                    environment={"PYTHONPATH": "first:second"},
                    events=[{}],
                    shows=answered('"first"'),
                ),
            ],
        ),
        Behaviour(
            "W7",
            "Where `PYTHONPATH` is not set, the function and its children find `LAMBDA_RUNTIME_DIR` in it.",
            [
                evaluated(
                    "read",
                    ["os.environ['PYTHONPATH']", "__import__('subprocess').getoutput('echo $PYTHONPATH')"],
                    "/var/runtime",
                ),
                evaluated("set", ["os.environ['PYTHONPATH']"], "/foo", {"PYTHONPATH": "/foo"}),
            ],
        ),
        Behaviour(
            "W8",
            "`__main__` and `sys.argv` are the managed runtime's script, where third-party tools look for what they patch.",
            [
                evaluated("arguments", ["sys.argv", "'bootstrap' in sys.modules"], ["/var/runtime/bootstrap.py"]),
                evaluated(
                    "awslambdaric in the main module",
                    [
                        "[m.__name__ for m in [sys.modules['__main__'], sys.modules['__main__'].awslambdaricmain, "
                        "sys.modules['__main__'].awslambdaricmain.bootstrap]]"
                    ],
                    ["__main__", "awslambdaric.__main__", "awslambdaric.bootstrap"],
                ),
                Case(
                    name="the main module's file",
                    files=EVALUATES,
                    events=["getattr(sys.modules['__main__'], '__file__', 'none')"],
                    better=Better(
                        "there is no such file, and `multiprocessing` would look for it in each child", answered('"none"')
                    ),
                ),
            ],
        ),
        Behaviour(
            "W9",
            "A `sitecustomize` in `PYTHONPATH` is run, one beside the function is not.",
            [
                Case(
                    name="beside the function",
                    files={**CUSTOMIZED, "sitecustomize.py": CUSTOMIZES},
                    events=[{}],
                    shows=answered("null"),
                ),
                Case(
                    name="in PYTHONPATH",
                    files={**CUSTOMIZED, "custom/sitecustomize.py": CUSTOMIZES},
                    environment={"PYTHONPATH": "custom"},
                    events=[{}],
                    shows=answered('"by sitecustomize"'),
                ),
            ],
        ),
        Behaviour(
            "W10",
            "The packages of the runtime can be imported.",
            [
                Case(
                    name="awslambdaric and snapshot_restore_py",
                    files=IMPORTS,
                    events=[
                        "awslambdaric",
                        "awslambdaric.__main__",
                        "awslambdaric.bootstrap",
                        "awslambdaric.lambda_context",
                        "awslambdaric.lambda_runtime_client",
                        "awslambdaric.lambda_runtime_exception",
                        "awslambdaric.lambda_runtime_marshaller",
                        "snapshot_restore_py",
                    ],
                    shows=answered('"awslambdaric"'),
                )
            ],
            note="`boto3` with what it needs and `simplejson` are for the function or a layer to bring",
        ),
        Behaviour(
            "W11",
            "The process starts in the function's folder, and its standard input is empty.",
            [evaluated("read", ["os.getcwd()", "sys.stdin.read()"], "/var/task")],
        ),
        wrapper_script.ADDS_OPTIONS,
    ],
)
