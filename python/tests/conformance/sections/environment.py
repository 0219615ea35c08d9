"""What a function finds around it: variables, the interpreter and its other processes."""

import json
from pathlib import Path

from conformance.case import Behaviour, Case, Section
from conformance.sections.evaluating import evaluated
from playing import Files, event, lambda_variables

TRACE_HEADER = "Lambda-Runtime-Trace-Id"
TRACES: Files = {
    "app.py": """
        import os, subprocess
        print(os.environ.get("_X_AMZN_TRACE_ID"))
        def handler(event, context):
            child = subprocess.run("echo $_X_AMZN_TRACE_ID", shell=True, capture_output=True, text=True).stdout
            return [os.environ.get("_X_AMZN_TRACE_ID"), os.getenv("_X_AMZN_TRACE_ID"), child]
    """
}
TRACE_IDS = ["Root=1-5;Parent=a;Sampled=1", "Root=2", None, "Root=3", "", "Root=é"]

CHANGED: Files = {
    "app.py": """
        import os
        before = dict(os.environ)
        def handler(event, context):
            names = {**before, **os.environ}
            return {name: (before.get(name), now) for name in names if (now := os.environ.get(name)) != before.get(name)}
    """
}

ANSWERS_OR_FAILS: Files = {
    "app.py": """
        import os
        if os.environ.get("FAIL"):
            raise ValueError("at import")
        def handler(event, context):
            return 1 / event
    """
}
NO_SUCH_PROXY = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"), NO_SUCH_PROXY)

REPLACES: Files = {"app.py": "import os\nos.environ = {}\ndef handler(event, context): return os.environ"}

# fmt: off
INTERPRETER = [
    "[sys.flags.optimize, sys.flags.isolated, sys.flags.no_site, sys.flags.dev_mode]",
    "[sys.flags.ignore_environment, sys.flags.no_user_site, sys.flags.safe_path, sys.flags.verbose]",
    "str(sys.flags)", "sys.getrecursionlimit()", "sys.getswitchinterval()", "__import__('gc').get_threshold()",
    "__import__('gc').isenabled()", "[str(f[:3]) for f in __import__('warnings').filters]", "sys.warnoptions",
    "sys.dont_write_bytecode", "__import__('faulthandler').is_enabled()",
    "sys.gettrace() is None and sys.getprofile() is None", "sys.displayhook.__name__", "sys.excepthook is sys.__excepthook__",
    "hasattr(sys, 'ps1')", "sys.orig_argv[0] != ''", "hasattr(sys, '_jit') and sys._jit.is_enabled()",
    "getattr(sys, '_is_gil_enabled', lambda: True)()",
]
BUILD = [
    "'%d.%d.%d' % sys.version_info[:3] == __import__('platform').python_version()", "sys.version_info[:2]",
    "sys.implementation.name", "__import__('platform').python_implementation()", "sys.platlibdir", "sys.abiflags",
    "os.path.relpath(os.path.dirname(os.__file__), sys.base_prefix)", "sys.float_repr_style", "sys.hash_info[:]",
    "sys.byteorder", "sys.maxsize", "sys.thread_info[:2]", "__import__('sysconfig').get_config_var('VERSION')",
    "__import__('sysconfig').get_path('stdlib')",
]
MODULE = [
    "__name__", "__file__", "type(__spec__).__name__", "__spec__.name", "type(__loader__).__name__",
    "sys.modules['__main__'].__name__", "__import__('inspect').stack()[0].function",
    "[f.function for f in __import__('inspect').stack()][:2]",
]
LIBRARY = [
    "__import__('hashlib').sha256(b'x').hexdigest()",
    "__import__('sqlite3').connect(':memory:').execute('select 1').fetchone()", "len(__import__('ssl').OPENSSL_VERSION) > 0",
    "__import__('zlib').crc32(b'x')", "__import__('random').random() < 1",
    "__import__('ctypes').CDLL(None).getpid() == os.getpid()", "str(__import__('zoneinfo').ZoneInfo('UTC'))",
]
SITE = [
    "hasattr(__import__('builtins'), 'exit')", "quit.__class__.__name__", "copyright.__class__.__name__",
    "help.__class__.__name__",
]
TEXT_AND_TIME = [
    "sys.getfilesystemencoding()", "sys.getdefaultencoding()", "__import__('locale').getpreferredencoding()",
    "__import__('locale').getlocale()", "os.environ.get('LC_CTYPE')", "open(__file__).encoding", "__import__('time').tzname",
    "__import__('time').strftime('%Z')",
]
PROCESSES = [
    "output('-c', 'print(1 + 1)')",
    "output('-c', 'import sys; print(sys.version)').strip() == sys.version",
    "output('-m', 'platform') != ''",
    "output('script.py', 'a', 'b')",
    "output('-', input='print(5)')",
    "subprocess.run([sys.executable, '-c', 'import sys; sys.exit(7)']).returncode",
    "output('-I', '-c', 'import json; print(json.__name__)')",
    "output('-c', 'import sys; print(sys.base_prefix)').strip() == sys.base_prefix",
    "output('-c', 'import os, sys; print(os.environ[\"LAMBDA_RUNTIME_DIR\"] in sys.path)')",
    "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', 'raise SystemExit(3)'])",
    "os.access(sys.executable, os.X_OK) and os.path.isabs(sys.executable)",
]
# fmt: on

ALL_NAMES = sorted(
    {
        *(name for name, value in lambda_variables(Path(), Path(), "").items() if value is not None),
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_RUNTIME_API",
        "LC_CTYPE",
        "PYTHONPATH",
    }
)

GIVEN = {"MY_VARIABLE": "ä", "EMPTY": "", "_UNDERSCORE": "1", "lower": "x", "WITH_LINES": "a\nb=c"}

SECTION = Section(
    "The environment",
    [
        Behaviour(
            "V1",
            "`_X_AMZN_TRACE_ID` is the invocation's trace id, in `os.environ` and for children; without one it is not set.",
            [
                Case(
                    name="different ids, none, an empty one",
                    files=TRACES,
                    events=[event({}, headers={TRACE_HEADER: trace_id}) for trace_id in TRACE_IDS],
                    shows={
                        "stdout": "None\n",
                        "rid-1": {"body": json.dumps([TRACE_IDS[0], TRACE_IDS[0], f"{TRACE_IDS[0]}\n"])},
                        "rid-3": {"body": '[null, null, "\\n"]'},
                        "rid-5": {"body": '[null, null, "\\n"]'},
                    },
                ),
                Case(
                    name="an old one at the start",
                    files=TRACES,
                    events=[event({}, headers={TRACE_HEADER: None})],
                    environment={"_X_AMZN_TRACE_ID": "Root=old"},
                    shows={"stdout": "Root=old\n", "rid-1": {"body": '[null, null, "\\n"]'}},
                ),
            ],
        ),
        Behaviour(
            "V2",
            "No other variable changes between import and invocation.",
            [
                Case(
                    name="with and without a trace id",
                    files=CHANGED,
                    events=[event({}, headers={TRACE_HEADER: "Root=1"}), event({}, headers={TRACE_HEADER: None})],
                    shows={"rid-1": {"body": '{"_X_AMZN_TRACE_ID": [null, "Root=1"]}'}, "rid-2": {"body": "{}"}},
                )
            ],
        ),
        Behaviour(
            "V3",
            "Proxies that the environment names are not used for the Runtime API.",
            [
                Case(
                    name="a response and an error",
                    files=ANSWERS_OR_FAILS,
                    events=[1, 0],
                    environment=PROXIES,
                    shows={"calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/error", "GET next"]},
                ),
                Case(
                    name="an error at import",
                    files=ANSWERS_OR_FAILS,
                    environment={**PROXIES, "FAIL": "1"},
                    shows={"calls": ["POST init/error"], "ending": "exit code 1"},
                ),
            ],
        ),
        Behaviour(
            "V4",
            "Every variable that is set reaches the function, and the runtime adds only what other behaviours name.",
            [
                evaluated(
                    "all names", ["sorted(at_import)", "at_import == dict(os.environ)"], ALL_NAMES, {"LANG": "xx_XX.UTF-8"}
                ),
                evaluated("the function's own", [f"[os.environ[name] for name in {[*GIVEN]}]"], [*GIVEN.values()], GIVEN),
                evaluated("not UTF-8", ["list(os.environb[b'ODD'])", "ascii(os.environ['ODD'])"], [97, 255], {"ODD": b"a\xff"}),
            ],
        ),
        Behaviour(
            "V5",
            "A function that replaces `os.environ` goes on being served.",
            [
                Case(
                    name="a dict",
                    files=REPLACES,
                    events=[event({}, headers={TRACE_HEADER: "Root=1"})],
                    shows={"rid-1": {"body": '{"_X_AMZN_TRACE_ID": "Root=1"}'}},
                )
            ],
        ),
        Behaviour(
            "V6",
            "The interpreter is as `python3` starts it: flags, limits, garbage collection, warnings, hooks.",
            [
                evaluated("settings", INTERPRETER, [0, 0, 0, False], {"LANG": "xx_XX.UTF-8"}),
                evaluated("its build", BUILD, True),
                evaluated("what `site` adds", SITE, True),
            ],
        ),
        Behaviour(
            "V7",
            "The function's module is as the import system makes it, and called by nothing that it could see.",
            [evaluated("the module", MODULE, "app")],
        ),
        Behaviour(
            "V8",
            "The whole standard library is there.",
            [
                evaluated(
                    "modules that need libraries", LIBRARY, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
                )
            ],
        ),
        Behaviour(
            "V9",
            "Text is UTF-8 and time is UTC, whichever locales the system has.",
            [
                evaluated("no such locale", TEXT_AND_TIME, "utf-8", {"LANG": "xx_XX.UTF-8"}),
                evaluated("no locale named", TEXT_AND_TIME, "utf-8", {"LANG": None}),
            ],
        ),
        Behaviour(
            "V10",
            "`sys.executable` is a Python interpreter.",
            [evaluated("programs", PROCESSES, "2\n")],
        ),
        Behaviour(
            "V11",
            "Python's own variables mean what they mean to Python.",
            [
                evaluated(f"{name}={value}", [expression], expected, {name: value})
                for name, value, expression, expected in (
                    ("PYTHONOPTIMIZE", "1", "sys.flags.optimize", 1),
                    ("PYTHONDONTWRITEBYTECODE", "1", "sys.dont_write_bytecode", True),
                    ("PYTHONHASHSEED", "0", "[sys.flags.hash_randomization, hash('x')]", [0, -3368204716105132637]),
                    ("PYTHONWARNINGS", "error", "sys.warnoptions", ["error"]),
                    ("PYTHONIOENCODING", "latin-1", "sys.stdout.encoding", "iso8859-1"),
                    ("PYTHONFAULTHANDLER", "1", "__import__('faulthandler').is_enabled()", True),
                    ("PYTHONDEVMODE", "1", "sys.flags.dev_mode", True),
                    ("PYTHONNOUSERSITE", "1", "sys.flags.no_user_site", 1),
                    ("PYTHONSAFEPATH", "1", "sys.flags.safe_path", True),
                    ("PYTHONINTMAXSTRDIGITS", "5000", "sys.get_int_max_str_digits()", 5000),
                    ("PYTHONTRACEMALLOC", "1", "__import__('tracemalloc').is_tracing()", True),
                    ("PYTHONPYCACHEPREFIX", "/dev/null/pycache", "sys.pycache_prefix", "/dev/null/pycache"),
                )
            ],
        ),
    ],
)
