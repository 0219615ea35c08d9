"""What the function finds around it: variables, sys.path, the interpreter."""

from pathlib import Path

import pytest

from conftest import CompareBoth, PlayFunction
from playing import Run, event

REPORT = """
    import json, os, sys
    seen = {"path": list(sys.path), "environ": dict(os.environ), "argv": list(sys.argv)}
    def handler(event, context):
        return seen if event == "at import" else eval(event)
"""


def seen(run: Run) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = run.response
    return paths


def test_the_path_is_the_function_then_layers_then_python(play: PlayFunction, runtime_directory: Path) -> None:
    path = seen(play({"app.py": REPORT}, events=["at import"]))["path"]
    root, layer_packages, layer, packages, runtime, archive, library, modules, *rest = path
    assert layer == "/opt/python"
    assert layer_packages.startswith("/opt/python/lib/python3.")
    assert layer_packages.endswith("/site-packages")
    assert packages.endswith("/site-packages")
    assert runtime == str(runtime_directory)
    assert archive.endswith(".zip")
    assert modules == f"{library}/lib-dynload"
    # The managed runtime lists some a second time; an interpreter may have folders for packages of its own.
    assert all(folder in (packages, layer, layer_packages) or folder.startswith(library) for folder in rest)
    assert Path(root, "app.py").is_file()


def test_a_given_pythonpath_comes_before_the_library_and_does_not_cost_the_layers(
    play: PlayFunction, runtime_directory: Path
) -> None:
    """The managed runtime forgets the layers then."""
    run = play({"app.py": REPORT}, events=["at import"], environment={"PYTHONPATH": "/foo:/bar"})
    path = seen(run)["path"]
    assert path[1:4] == [str(runtime_directory), "/foo", "/bar"]
    assert path.index("/opt/python") < next(index for index, folder in enumerate(path) if folder.endswith(".zip"))
    assert any(folder.startswith("/opt/python/lib/python3.") for folder in path)
    assert seen(run)["environ"]["PYTHONPATH"] == "/foo:/bar"  # type: ignore[call-overload]


def test_the_path_is_the_managed_runtimes(both: CompareBoth) -> None:
    """But for the interpreter's own folders: the reference lives in a virtual environment."""
    kept = "[p for p in sys.path if '/site-packages' not in p or p.startswith('/opt')][:6]"
    for python_path in (None, "/foo", "/foo:/bar"):
        if python_path is None:
            both({"app.py": REPORT}, events=[kept], environment={"PYTHONPATH": python_path})
        else:
            without_layers = "[p for p in sys.path if '-packages' not in p and not p.startswith('/opt')]"
            both({"app.py": REPORT}, events=[without_layers], environment={"PYTHONPATH": python_path})


def test_pth_files_beside_the_function_are_processed(both: CompareBoth) -> None:
    both(
        {
            "app.py": "import inside, marker\ndef handler(event, context): return [inside.VALUE, marker.made]",
            "vendor/inside.py": "VALUE = 5",
            "marker.py": "made = []",
            "a.pth": "vendor\nimport marker; marker.made.append('by a pth file')\n# a comment\n\nno/such/folder\n",
        },
        events=[{}],
    )


def test_a_pth_file_may_import_what_lies_beside_it(both: CompareBoth) -> None:
    both({"app.py": "import sys\ndef handler(e, c): return [m for m in sys.modules if m == 'early']", "early.py": "", "x.pth": "import early\n"}, events=[{}])  # fmt: skip


def test_sitecustomize_runs_from_pythonpath_and_not_from_the_function(both: CompareBoth, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = 'from PYTHONPATH'\n")
    files = {"app.py": "def handler(event, context):\n    import builtins\n    return getattr(builtins, 'customized', None)"}
    pair = both({**files, "sitecustomize.py": "print('never')"}, events=[{}])
    assert pair.whipsnake.response is None
    pair = both(files, events=[{}], environment={"PYTHONPATH": str(tmp_path)})
    assert pair.whipsnake.response == "from PYTHONPATH"


SAME = [
    "sys.argv",
    "os.getcwd() == os.environ['LAMBDA_TASK_ROOT']",
    "sorted(os.environ)",
    "os.environ.get('AWS_EXECUTION_ENV')",
    "os.environ['PYTHONPATH'] == os.environ['LAMBDA_RUNTIME_DIR']",
    "seen['environ'] == dict(os.environ)",
    "'bootstrap' in sys.modules",
    "sys.modules['__main__'].__name__",
    "[sys.flags.optimize, sys.flags.isolated, sys.flags.no_site, sys.flags.dev_mode]",
    "[sys.flags.ignore_environment, sys.flags.no_user_site, sys.flags.safe_path, sys.flags.hash_randomization, sys.flags.verbose]",
    "sys.getrecursionlimit()",
    "sys.getswitchinterval()",
    "__import__('gc').get_threshold()",
    "__import__('gc').isenabled()",
    "[str(f[:3]) for f in __import__('warnings').filters]",
    "sys.warnoptions",
    "sys.getfilesystemencoding()",
    "sys.getdefaultencoding()",
    "sys.version_info[:]",
    "sys.implementation.name",
    "sys.dont_write_bytecode",
    "sys.stdin.read()",
    "__name__",
    "__file__ == os.path.join(os.environ['LAMBDA_TASK_ROOT'], 'app.py')",
    "type(__spec__).__name__",
    "__spec__.name",
    "type(__loader__).__name__",
    "__import__('time').tzname",
    "__import__('time').strftime('%Z')",
    "__import__('faulthandler').is_enabled()",
    "sys.gettrace() is None and sys.getprofile() is None",
    "sys.base_prefix",
    "sys.platlibdir",
    "sys.abiflags",
    "sys.float_repr_style",
    "sys.hash_info[:]",
    "sys.byteorder",
    "sys.maxsize",
    "sys.thread_info[:]",
    "__import__('platform').python_version()",
    "__import__('platform').python_implementation()",
    "__import__('sysconfig').get_config_var('VERSION')",
    "__import__('sysconfig').get_path('stdlib')",
    "__import__('random').random() < 1",
    "__import__('hashlib').sha256(b'x').hexdigest()",
    "len(__import__('ssl').OPENSSL_VERSION) > 0",
    "__import__('sqlite3').connect(':memory:').execute('select 1').fetchone()",
    "__import__('zlib').crc32(b'x')",
    "__import__('ctypes').CDLL(None).getpid() == os.getpid()",
    "str(__import__('zoneinfo').ZoneInfo('UTC'))",
    "__import__('locale').getlocale()",
    "__import__('locale').getpreferredencoding()",
    "__import__('inspect').stack()[0].function",
    "[f.function for f in __import__('inspect').stack()][:2]",
    "sys.displayhook.__name__",
    "sys.excepthook is sys.__excepthook__",
    "hasattr(__import__('builtins'), 'exit')",
    "quit.__class__.__name__",
    "copyright.__class__.__name__",
    "help.__class__.__name__",
    "hasattr(sys, 'ps1')",
    "sys.orig_argv[0] != ''",
    "hasattr(sys, '_jit') and sys._jit.is_enabled()",
    "sys._is_gil_enabled()",
]


@pytest.mark.parametrize("expression", SAME)
def test_a_function_finds_the_same_as_on_the_managed_runtime(both: CompareBoth, expression: str) -> None:
    pair = both({"app.py": REPORT}, events=[expression])
    assert pair.whipsnake.errors == []


@pytest.mark.xfail(strict=True, reason="not there yet: the names that third-party tools patch")
def test_the_main_module_is_the_managed_runtimes_script_to_third_party_tools(both: CompareBoth) -> None:
    """Sentry finds its hooks there."""
    both({"app.py": REPORT}, events=["[sys.modules['__main__'].__file__, sys.modules['__main__'].awslambdaricmain.__name__]"])


def test_the_execution_environment_is_named_where_lambda_does_not_name_it(play: PlayFunction) -> None:
    run = play({"app.py": REPORT}, events=["[os.environ['AWS_EXECUTION_ENV'], '%d.%d' % sys.version_info[:2]]"])
    name, version = run.response
    assert name == f"AWS_Lambda_python{version}"


def test_a_given_execution_environment_stays(play: PlayFunction) -> None:
    run = play({"app.py": REPORT}, events=["os.environ['AWS_EXECUTION_ENV']"], environment={"AWS_EXECUTION_ENV": "mine"})
    assert run.response == "mine"


def test_every_variable_of_lambdas_reaches_the_function_and_few_others(play: PlayFunction) -> None:
    given = {"MY_VARIABLE": "ä", "EMPTY": "", "_UNDERSCORE": "1", "lower": "x"}
    environ = seen(play({"app.py": REPORT}, events=["at import"], environment={**given}))["environ"]
    assert {name: environ[name] for name in given} == given  # type: ignore[call-overload]
    lambdas = {name for name in environ if name.startswith(("AWS_", "LAMBDA_", "_HANDLER", "TZ", "LANG", "PATH"))}
    assert {*environ} - lambdas - {*given} <= {"PYTHONPATH", "LC_CTYPE"}


def test_a_variable_that_is_not_utf_8_survives(play: PlayFunction) -> None:
    run = play({"app.py": REPORT}, events=["list(os.environb[b'ODD'])"], environment={"ODD": b"a\xff"})
    assert run.response == [ord("a"), 0xFF]


TRACE = "_X_AMZN_TRACE_ID"


def test_the_trace_id_is_in_the_environment_of_the_process_and_its_children(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import os, subprocess
            print(os.environ.get("_X_AMZN_TRACE_ID"))
            def handler(event, context):
                child = subprocess.run("echo $_X_AMZN_TRACE_ID", shell=True, capture_output=True, text=True).stdout
                return [os.environ.get("_X_AMZN_TRACE_ID"), os.getenv("_X_AMZN_TRACE_ID"), child]
        """
    }
    name = "Lambda-Runtime-Trace-Id"
    ids: list[str | None] = ["Root=1-5;Parent=a;Sampled=1", "Root=2", None, "Root=3", "", "Root=é"]
    events = [event({}, headers={name: trace_id}) for trace_id in ids]
    pair = both(files, events=events)
    assert [response[0] for response in pair.whipsnake.responses] == [trace_id or None for trace_id in ids]
    both(files, events=[event({})], environment={TRACE: "Root=old"})


def test_nothing_else_in_the_environment_changes_with_an_invocation(both: CompareBoth) -> None:
    files = {
        "app.py": "import os\nbefore = dict(os.environ)\ndef handler(e, c): return {k: v for k, v in os.environ.items() if before.get(k) != v}"
    }
    both(files, events=[event({}, headers={"Lambda-Runtime-Trace-Id": "Root=1"}), event({})])


def test_a_function_that_replaces_os_environ_is_still_served(play: PlayFunction) -> None:
    files = {"app.py": "import os\nos.environ = {}\ndef handler(event, context): return os.environ"}
    run = play(files, events=[event({}, headers={"Lambda-Runtime-Trace-Id": "Root=1"})])
    assert run.response == {TRACE: "Root=1"}


RUN_PYTHON = {
    "a program": "subprocess.run([sys.executable, '-c', 'print(1 + 1)'], capture_output=True, text=True, check=True).stdout",
    "its version": "subprocess.run([sys.executable, '-c', 'import sys; print(sys.version)'], capture_output=True, text=True).stdout.strip() == sys.version",
    "a module": "subprocess.run([sys.executable, '-m', 'platform'], capture_output=True, text=True, check=True).stdout",
    "a script": "subprocess.run([sys.executable, 'script.py', 'a', 'b'], capture_output=True, text=True, check=True).stdout",
    "standard input": "subprocess.run([sys.executable, '-'], input='print(5)', capture_output=True, text=True, check=True).stdout",
    "an exit code": "subprocess.run([sys.executable, '-c', 'import sys; sys.exit(7)']).returncode",
    "isolated": "subprocess.run([sys.executable, '-I', '-c', 'import json; print(json.__name__)'], capture_output=True, text=True, check=True).stdout",
    "the same prefix": "subprocess.run([sys.executable, '-c', 'import sys; print(sys.base_prefix)'], capture_output=True, text=True).stdout.strip() == sys.base_prefix",
    "the runtime's directory in its path": "subprocess.run([sys.executable, '-c', 'import sys, os; print(os.environ[\"LAMBDA_RUNTIME_DIR\"] in sys.path)'], capture_output=True, text=True).stdout",
    "os.spawn": "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', 'raise SystemExit(3)'])",
    "an executable file": "os.access(sys.executable, os.X_OK) and os.path.isabs(sys.executable)",
}  # fmt: skip


@pytest.mark.parametrize("name", RUN_PYTHON)
def test_sys_executable_is_a_python_interpreter(both: CompareBoth, name: str) -> None:
    files = {
        "app.py": f"import os, subprocess, sys\ndef handler(event, context): return {RUN_PYTHON[name]}",
        "script.py": "import sys\nprint(sys.argv, __name__)",
    }
    assert both(files, events=[{}]).whipsnake.errors == []


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_by_every_method(both: CompareBoth, method: str) -> None:
    files = {
        "app.py": """
            import multiprocessing, os
            def square(x):
                return [x * x, os.getpid() != parent] if "parent" in globals() else [x * x, True]
            def work(pipe, x):
                pipe.send(square(x))
                pipe.close()
            def handler(event, context):
                methods = multiprocessing.get_context(event)
                ours, theirs = methods.Pipe()
                process = methods.Process(target=work, args=(theirs, 7))
                process.start()
                result = ours.recv()
                process.join()
                return [result, process.exitcode]
        """
    }
    pair = both(files, events=[method, method])
    assert pair.whipsnake.responses == [[[49, True], 0]] * 2
    assert pair.whipsnake.stderr == pair.reference.stderr


def test_forking_warns_of_nothing(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import os, warnings
            warnings.simplefilter("error")
            def handler(event, context):
                child = os.fork()
                if child == 0:
                    os._exit(5)
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        """
    }
    assert both(files, events=[{}, {}]).whipsnake.responses == [5, 5]


def test_modules_in_a_given_pythonpath_are_found_in_order(both: CompareBoth, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which.py").write_text(f"NAME = {name!r}")
    files = {"app.py": "import which\ndef handler(event, context): return which.NAME"}
    python_path = f"{tmp_path}/first:{tmp_path}/second"
    assert both(files, events=[{}], environment={"PYTHONPATH": python_path}).whipsnake.response == "first"


@pytest.mark.parametrize(
    ("name", "value", "expression"),
    [
        ("PYTHONOPTIMIZE", "1", "sys.flags.optimize"),
        ("PYTHONDONTWRITEBYTECODE", "1", "sys.dont_write_bytecode"),
        ("PYTHONHASHSEED", "0", "hash('x')"),
        ("PYTHONWARNINGS", "error", "sys.warnoptions"),
        ("PYTHONIOENCODING", "latin-1", "sys.stdout.encoding"),
        ("PYTHONFAULTHANDLER", "1", "__import__('faulthandler').is_enabled()"),
        ("PYTHONDEVMODE", "1", "sys.flags.dev_mode"),
        ("PYTHONNOUSERSITE", "1", "sys.flags.no_user_site"),
        ("PYTHONSAFEPATH", "1", "sys.flags.safe_path"),
        ("PYTHONINTMAXSTRDIGITS", "5000", "sys.get_int_max_str_digits()"),
        ("PYTHONTRACEMALLOC", "1", "__import__('tracemalloc').is_tracing()"),
        ("PYTHONPYCACHEPREFIX", "/tmp/never-made", "sys.pycache_prefix"),
    ],
)
def test_pythons_own_variables_mean_what_they_mean_to_python(both: CompareBoth, name: str, value: str, expression: str) -> None:
    free = {"stdout": "development mode"} if name == "PYTHONDEVMODE" else None
    pair = both({"app.py": REPORT}, events=[expression], environment={name: value}, free=free)
    assert pair.whipsnake.errors == []
