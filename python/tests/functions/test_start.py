"""What the start leaves out or puts off, and that a function cannot tell. test_cpython_internals.py has the tests that it does so."""

import textwrap
from pathlib import Path

import pytest

from conftest import CompareBoth, EmbeddedPython, PlayFunction
from playing import event


def test_the_builtins_of_site_are_there(both: CompareBoth) -> None:
    files = {
        "app.py": """
            def tell(name):
                value = getattr(__import__("builtins"), name)
                return [name, type(value).__module__, type(value).__qualname__, repr(value), sorted(vars(value))]
            def handler(event, context):
                return [tell(name) for name in ("copyright", "credits", "exit", "help", "license", "quit")]
        """
    }
    both(files, events=[{}])


def test_who_imports_site_gets_the_real_one(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import builtins, sys
            def state():
                names = ("copyright", "credits", "exit", "help", "license", "quit")
                return [sys.path[:], {name: vars(getattr(builtins, name)) for name in names}]
            before = state()
            import site
            def handler(event, context):
                found = [folder for folder in site.getsitepackages() if folder in sys.path]
                is_real = site.__spec__.origin in ("frozen", __import__("os").__file__.replace("os.py", "site.py"))
                return [before == state(), is_real, bool(sys.flags.no_site), len(found) > 0, site.ENABLE_USER_SITE]
        """
    }
    same, is_real, no_site, found, user_site = play(files, events=[{}]).response
    assert (same, is_real, no_site, found) == (True, True, False, True)
    assert user_site is not None


def test_a_late_import_of_site_sees_no_customisation_of_the_functions_own(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import builtins, site
            found = getattr(builtins, "customised", None)
            import sitecustomize
            def handler(event, context): return [found, builtins.customised]
        """,
        "sitecustomize.py": "import builtins; builtins.customised = __name__",
    }
    both(files, events=[{}])


def test_site_runs_where_it_has_something_to_find(play: PlayFunction, embedded_python: EmbeddedPython, tmp_path: Path) -> None:
    app = """
        import builtins
        def handler(event, context):
            return [getattr(builtins, name, None) for name in ("by_path_file", "by_customisation")]
    """
    packages = tmp_path / f"home/.local/lib/python{embedded_python.version.rpartition('.')[0]}/site-packages"
    packages.mkdir(parents=True)
    (packages / "some.pth").write_text("import builtins; builtins.by_path_file = 'site' in __import__('sys').modules")
    customised = tmp_path / "customised"
    customised.mkdir()
    (customised / "sitecustomize.py").write_text("import builtins, sys; builtins.by_customisation = 'site' in sys.modules")

    def found(**environment: str) -> object:
        return play({"app.py": app}, events=[{}], environment=environment).response

    home = str(tmp_path / "home")
    assert found(HOME=home) == [True, None]
    assert found(HOME=home, PYTHONPATH=str(customised)) == [True, True]
    assert found(LAMBDA_RUNTIME_DIR=str(customised)) == [None, True]
    package = tmp_path / "package/sitecustomize"
    package.mkdir(parents=True)
    (customised / "sitecustomize.py").rename(package / "__init__.py")
    assert found(LAMBDA_RUNTIME_DIR=str(package.parent)) == [None, True]
    assert found(LAMBDA_RUNTIME_DIR=str(customised)) == [None, None]


def test_os_knows_what_was_set_before_it_was_imported(both: CompareBoth) -> None:
    files = {
        "app.py": """
            def handler(event, context):
                import sys
                if event == "without os":
                    return context.function_name
                import os, subprocess
                name = "_X_AMZN_TRACE_ID"
                child = subprocess.run(["/bin/sh", "-c", f"echo ${name}"], capture_output=True, text=True)
                return [os.environ.get(name), os.getenv(name), child.stdout, context.function_name]
        """
    }
    traced = {"Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"}
    events = [
        event("without os", headers=traced),
        event("without os"),
        event("with os", headers=traced),
        event("with os"),
        event("with os", headers=traced),
    ]
    both(files, events=events, environment={"AWS_LAMBDA_FUNCTION_NAME": "naïve-😀"})


def test_sources_are_compiled_as_python_does_it(both: CompareBoth) -> None:
    """The import system has a `compile` of ours for sources without bytecode."""
    files = {
        "app.py": r"""
            import os, sys
            sys.dont_write_bytecode = True
            folder = os.environ["LAMBDA_TASK_ROOT"] + "/made"
            os.makedirs(folder, exist_ok=True)
            sys.path.append(folder)
            audited = []
            sys.addaudithook(lambda name, args: name == "compile" and audited.append([type(args[0]).__name__, args[1]]))
            def load(name, source):
                with open(f"{folder}/{name}.py", "wb") as file:
                    file.write(source)
                try:
                    module = __import__(name)
                    code = module.function.__code__
                    return [module.value, code.co_filename.removeprefix(folder), code.co_flags, code.co_firstlineno]
                except BaseException as error:
                    return [type(error).__name__, str(error).replace(folder, "")]
            def handler(event, context):
                audited.clear()
                told = load(event[0], event[1].encode(event[2]))
                return told, [[kind, path] for kind, path in audited if path.startswith(folder)]
        """
    }
    function = "\ndef function(): pass\n"
    events = [
        ["plain", f"value = 'é😀'{function}", "utf-8"],
        ["cookie", f"# -*- coding: latin-1 -*-\nvalue = 'é'{function}", "latin-1"],
        ["mark", f"\ufeffvalue = 'é'{function}", "utf-8"],
        ["wrong_bytes", f"value = 'é'{function}", "latin-1"],
        ["unknown_cookie", f"# coding: nothing\nvalue = 1{function}", "utf-8"],
        ["nul", f"value = 'a\0b'{function}", "utf-8"],
        ["mistake", f"value = ({function}", "utf-8"],
        ["indentation", f"if True:\nvalue = 1{function}", "utf-8"],
        ["future", f"from __future__ import annotations\nvalue = 1{function}", "utf-8"],
        ["windows", "value = 1\r\ndef function():\r\n    return 2\r\n", "utf-8"],
        ["warning", f"value = '\\d'{function}", "utf-8"],
        ["deep", f"value = {'(' * 300}1{')' * 300}{function}", "utf-8"],
        ["empty_file", "", "utf-8"],
    ]
    both(files, events=events)


def test_colours_come_when_somebody_looks(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import io, sys, traceback, threading
            import _colorize
            def ways(event):
                if event == "dir": return sorted(dir(_colorize))
                if event == "vars": return sorted(name for name in vars(_colorize) if name != "__builtins__")
                if event == "attribute": return callable(_colorize.can_colorize)
                if event == "from":
                    from _colorize import can_colorize
                    return can_colorize.__module__
                if event == "missing":
                    return hasattr(_colorize, "nothing_of_the_kind")
                if event == "set":
                    _colorize.COLORIZE = "ours"
                    return _colorize.COLORIZE
                if event == "format":
                    try:
                        {}["x"]
                    except KeyError:
                        return traceback.format_exc().splitlines()[-1]
                if event == "source":
                    import inspect
                    return len(inspect.getsource(_colorize))
                if event == "threads":
                    found = []
                    start = threading.Barrier(8)
                    def look():
                        start.wait()
                        found.append(callable(_colorize.can_colorize))
                    threads = [threading.Thread(target=look) for _ in range(8)]
                    for thread in threads: thread.start()
                    for thread in threads: thread.join()
                    return found
            def handler(event, context):
                return [ways(event), type(_colorize).__name__, repr(_colorize), _colorize.__name__]
        """
    }
    for way in ("dir", "vars", "attribute", "from", "missing", "set", "format", "source", "threads"):
        both(files, events=[way, way])


ARCHIVE = """
    import pkgutil, sys, zipfile
    with zipfile.ZipFile(sys.path[0] + "/archive.zip", "w") as archive:
        archive.writestr("inside.py", "where = __file__")
        archive.writestr("package/__init__.py", "")
    sys.path.append(sys.path[0] + "/archive.zip")
"""


@pytest.mark.parametrize(
    "look",
    [
        "import inside; found = [inside.where, type(inside.__loader__).__name__]",
        "import package; import inside; import zipimport; found = isinstance(package.__loader__, zipimport.zipimporter)",
        "import zipimport; found = zipimport.zipimporter in sys.path_hooks",
        "import zipimport; found = sorted(vars(zipimport)), zipimport.__doc__, zipimport.__spec__.origin, type(zipimport).__name__",
        "from zipimport import ZipImportError; found = ZipImportError.__mro__.__repr__()",
        "import zipimport; zipimport.own = 1; found = zipimport.own, repr(zipimport)",
        "found = sorted(m.name for m in pkgutil.iter_modules([sys.path[-1]]))",
        "found = [repr(pkgutil.get_importer(path)) for path in (sys.path[-1], sys.path[-1] + '/package', '/nowhere', sys.path[0])]",
        "found = []\n    for path in ('', '/nowhere', '/tmp', 1, b'/'):\n"
        "        try: found.append(repr(sys.path_hooks[0](path)))\n"
        "        except Exception as error: found.append([isinstance(error, ImportError), str(error)])",
        "found = 'zipimport' in sys.modules, repr(sys.path_hooks[0]), sys.path_hooks[0].__module__",
        "import importlib, zipimport; found = importlib.reload(zipimport) is zipimport, type(zipimport.zipimporter)",
        "import threading, zipimport; found = []\n"
        "    threads = [threading.Thread(target=lambda: found.append(zipimport.zipimporter.__name__)) for _ in range(8)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()",
    ],
)
@pytest.mark.parametrize("first", ["", "import zipimport"])
def test_archives_on_the_path_are_read_as_ever(both: CompareBoth, look: str, first: str) -> None:
    source = f"{first}\n{textwrap.dedent(ARCHIVE)}\ndef handler(event, context):\n    {look}\n    return str(found)\n"
    assert isinstance(both({"app.py": source}, events=[{}]).whipsnake.response, str)


@pytest.mark.not_from_checkpoint("the objects of a checkpoint are frozen, and gc.get_freeze_count() counts them")
def test_collections_are_what_python_makes_them(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import gc
            at_import = [gc.isenabled(), gc.get_threshold()[1:]]
            def handler(event, context):
                return [at_import, gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()]
        """
    }
    both(files, events=[{}])


@pytest.mark.not_from_checkpoint("the objects of a checkpoint are frozen, and gc.get_freeze_count() counts them")
def test_the_functions_own_wishes_for_collections_stand(both: CompareBoth) -> None:
    for wish in ("gc.set_threshold(50_000, 20, 100)", "gc.disable()", "gc.collect(); gc.freeze()", "gc.set_threshold(0)"):
        files = {
            "app.py": f"""
                import gc
                {wish}
                def handler(event, context):
                    return [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0]
            """
        }
        both(files, events=[{}])


def test_another_interpreter_leaves_collections_as_they_are(both: CompareBoth) -> None:
    pytest.importorskip("concurrent.interpreters", reason="came with CPython 3.14")
    files = {
        "app.py": """
            import gc
            from concurrent import interpreters
            def handler(event, context):
                there = interpreters.create().call(eval, "(__import__('gc').isenabled(), __import__('gc').get_threshold())")
                return [gc.isenabled(), there]
        """
    }
    assert both(files, events=[{}]).whipsnake.response[0] is True


def test_json_logs_need_no_import_of_json_by_the_function(both: CompareBoth) -> None:
    files = {"app.py": "import logging\ndef handler(event, context): logging.warning('é %s', event)"}
    both(files, events=[{"a": 1}], environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, free={"stdout": "timestamps"})
