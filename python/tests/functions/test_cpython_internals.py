"""Each shortcut into CPython is active. docs/cpython-internals.md lists them with their fallbacks.

Functions behave the same with and without a shortcut, so no other test notices when a new CPython has switched one off. These
tests do not skip: where one cannot tell, it fails.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import EmbeddedPython, PlayFunction

STATE = """
    import sys
    before = sorted(sys.modules)
    external = sys.modules["_frozen_importlib_external"]
    state = {
        "version": sys.version_info[:2],
        "modules": before,
        "frozen": [name for name in before if getattr(sys.modules[name].__spec__, "origin", None) == "frozen"],
        "site": sys.modules.get("site") is not None,
        "exit": type(getattr(sys.modules["builtins"], "exit", None)).__name__,
        "zipimport": type(sys.modules["zipimport"]).__name__,
        "compile": type(vars(external).get("compile")).__name__,
    }
    import gc
    state["collections"] = gc.get_stats()[0]["collections"]
    import without_bytecode
    state["ast"] = [cls.__name__ for cls in object.__subclasses__() if cls.__module__ == "ast"]

    def handler(event, context):
        return state
"""
"""What a function finds that has imported nothing but a source without bytecode."""


@pytest.fixture
def state(play: PlayFunction) -> dict[str, Any]:
    found = play({"app.py": STATE, "without_bytecode.py": "VALUE = 1\n"}, events=[{}]).response
    assert isinstance(found, dict)
    return found


def test_site_is_left_out_unless_there_are_files_for_it(files_for_site: list[str], state: dict[str, Any]) -> None:
    was = "" if state["site"] else "not "
    assert state["site"] == bool(files_for_site), f"site was {was}imported, and these are the files for it: {files_for_site}"
    assert state["exit"] == "Quitter"


MADE_WITH_MODULES = pytest.mark.not_from_checkpoint("a dump imports modules that an ordinary start does without")


@MADE_WITH_MODULES
def test_no_module_is_imported_that_the_function_does_not_import(files_for_site: list[str], state: dict[str, Any]) -> None:
    of_site = {"_collections_abc", "_sitebuiltins", "abc", "genericpath", "io", "os", "posixpath", "site", "stat"}
    unwanted = {"abc", "collections", "io", "json", "logging", "os", "re", "site", "traceback", "typing"}
    if state["version"] < [3, 14]:
        # CPython's own start imports `io` there, for the standard streams.
        unwanted -= {"abc", "io"}
    assert not {*state["modules"]} & (unwanted - of_site if files_for_site else unwanted)


def test_the_codecs_that_cpython_starts_with_are_frozen(state: dict[str, Any]) -> None:
    assert {"encodings", "encodings.aliases", "encodings.utf_8"} <= {*state["frozen"]}


def test_zipimport_is_the_stand_in_unless_site_has_files_to_read(files_for_site: list[str], state: dict[str, Any]) -> None:
    # Where a CPython has `.pth` files, `site` runs, and so does everything that it may import.
    assert (state["zipimport"] == "StandIn") is not bool(files_for_site)


@pytest.mark.not_from_checkpoint("what finds the imports of the function has imported ast", kinds=["imports"])
def test_the_import_system_compiles_without_the_classes_of_ast(state: dict[str, Any]) -> None:
    assert state["compile"] == "builtin_function_or_method"
    assert state["ast"] == []


IMP = """
    import ctypes

    class Entry(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("make", ctypes.c_void_p)]

    def handler(event, context):
        table = ctypes.POINTER(Entry).in_dll(ctypes.pythonapi, "PyImport_Inittab")
        position = next(position for position in range(1000) if table[position].name == b"_imp")
        return table[position].make == ctypes.cast(ctypes.pythonapi.PyInit__imp, ctypes.c_void_p).value
"""


@MADE_WITH_MODULES
def test_cpython_starts_without_collections_unless_site_has_files_to_read(
    play: PlayFunction, embedded_python: EmbeddedPython, files_for_site: list[str], state: dict[str, Any]
) -> None:
    is_cpythons_own = play({"app.py": IMP}, events=[{}]).response
    assert is_cpythons_own is bool(files_for_site), "which function makes `_imp`"
    if files_for_site:
        # Code of `.pth` files runs during the start, and `gc.isenabled()` has to tell it the truth.
        return
    program = "import gc; print(gc.get_stats()[0]['collections'])"
    ran = subprocess.run([embedded_python.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    bare = int(ran.stdout)
    assert bare > 0, "this CPython collects nothing while it starts, so there is nothing to switch off"
    assert state["collections"] < bare


LARGE = """
    import gc

    def advised():
        with open("/proc/self/smaps") as file:
            return sum("hg" in line.split() for line in file if line.startswith("VmFlags:"))

    import sys

    small = advised()

    def handler(event, context):
        kept = [[] for _ in range(600_000)]
        return small, advised(), "t" in sys.abiflags
"""


def test_the_objects_of_a_large_process_are_in_huge_pages(play: PlayFunction) -> None:
    if not Path("/sys/kernel/mm/transparent_hugepage").is_dir():
        pytest.fail("this kernel has no transparent huge pages: run the tests on one that has")
    small, large, is_free_threaded = play({"app.py": LARGE}, events=[{}]).response
    assert small == 0
    # The objects of a free-threaded build are mimalloc's, which has no arenas.
    assert (large > 0) is not is_free_threaded


def test_the_terminals_colors_are_put_off(play: PlayFunction) -> None:
    app = """
        import logging, sys
        def handler(event, context):
            colorize = sys.modules.get("_colorize")
            return [sys.version_info[:2], type(colorize).__name__, "dataclasses" in sys.modules]
    """
    version, colorize, dataclasses = play({"app.py": app}, events=[{}]).response
    # On 3.13 `traceback` looks into it when it is imported, and 3.12 has no such module.
    assert colorize == {(3, 12): "NoneType", (3, 13): "module"}.get(tuple(version), "DeferredModule")
    assert dataclasses is False
