"""Modules of a packed function are as they are in files."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PlayFunction
from pack.conftest import Unpacked
from pack.facts import FACTS, FILES, HANDLER
from playing import Files, Run

READ_ONLY = {"PYTHONDONTWRITEBYTECODE": "1"}


def extension_module() -> dict[str, bytes]:
    """One of the standard library's."""
    [folder] = [Path(folder) for folder in sys.path if folder.endswith("lib-dynload")]
    path = min(folder.glob("_bz2.*.so"))
    return {"native/__init__.py": b"", f"native/{path.name}": path.read_bytes()}


@pytest.fixture(scope="session")
def files() -> Files:
    return {**FILES, **extension_module(), "app.py": HANDLER}


@pytest.fixture(scope="session")
def answers(play: PlayFunction) -> Callable[[Path], dict[str, str]]:
    """Every fact as a function in this folder sees it."""

    def ask(task_root: Path) -> dict[str, str]:
        run = play(task_root=task_root, events=[*FACTS.values()], environment=READ_ONLY)
        # The one module that a fact makes itself is no part of the archive.
        assert all("/solar/vulcan.py is not what was packed" in line for line in run.stderr.splitlines()), run.story()
        bodies = [run.answers[f"rid-{number}"].body.decode() for number in range(1, len(FACTS) + 1)]
        # Folders of a fact's own have other names each time.
        return {name: body.replace(str(task_root), "TASK") for name, body in zip(FACTS, bodies, strict=True)}

    return ask


@pytest.fixture(scope="session")
def plain(unpacked: Unpacked, files: Files, answers: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    return answers(unpacked(files, "--bytecode", "none"))


@pytest.fixture(scope="session")
def packed(unpacked: Unpacked, files: Files, answers: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    return answers(unpacked(files))


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_the_same(fact: str, plain: dict[str, str], packed: dict[str, str]) -> None:
    assert '"errorType"' not in plain[fact], plain[fact]
    assert packed[fact] == plain[fact]


# An import that finds bytecode compiles nothing.
COUNT = """
    import sys
    compiled = []
    sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == 'compile' else None)
    import solar.moons.io, shadowed, galaxy.arm.orion, vended
    def handler(event, context): return [name for name in compiled if 'frozen' not in name]
"""


def test_nothing_is_compiled(play: PlayFunction, unpacked: Unpacked) -> None:
    run = play(task_root=unpacked(FILES | {"app.py": COUNT}), events=[{}])
    assert (run.response, run.stderr) == ([], "")


def test_without_the_archive_it_would_be(play: PlayFunction, unpacked: Unpacked) -> None:
    task_root = unpacked(FILES | {"app.py": COUNT})
    run = play(task_root=task_root, events=[{}], environment={"WHIPSNAKE_ARCHIVE": "off", **READ_ONLY})
    assert f"{task_root}/solar/moons/io.py" in run.response


def test_no_file_of_bytecode_is_written(play: PlayFunction, unpacked: Unpacked) -> None:
    task_root = unpacked(FILES | {"app.py": COUNT})
    play(task_root=task_root, events=[{}])
    assert not [*task_root.rglob("*.pyc")]


def test_assertions_go_where_python_is_to_leave_them_out(play: PlayFunction, unpacked: Unpacked) -> None:
    task_root = unpacked({"app.py": "def handler(event, context):\n    assert not event\n    return 1\n"})

    def with_level(level: str) -> Run:
        return play(task_root=task_root, events=[{"a": 1}], environment={"PYTHONOPTIMIZE": level, **READ_ONLY})

    assert [error["errorType"] for error in with_level("").errors] == ["AssertionError"]
    assert with_level("1").response == 1


def test_a_failure_names_the_functions_lines(play: PlayFunction, unpacked: Unpacked) -> None:
    app = "import solar.planets\ndef handler(event, context):\n    solar.planets.fail()\n"
    task_root = unpacked(FILES | {"app.py": app})
    [error] = play(task_root=task_root, events=[{}]).errors
    assert error["stackTrace"] == [
        f'  File "{task_root}/app.py", line 3, in handler\n    solar.planets.fail()\n',
        f'  File "{task_root}/solar/planets.py", line 6, in fail\n    raise ValueError("Pluto")  # not a planet\n',
    ]


def test_a_sitecustomize_of_the_function_comes_first(play: PlayFunction, unpacked: Unpacked) -> None:
    """It has the function's folder searched before the archive is known."""
    files = FILES | {"app.py": COUNT, "sitecustomize.py": "import shadowed\n"}
    task_root = unpacked(files)
    run = play(task_root=task_root, events=[{}], environment={"PYTHONPATH": str(task_root), **READ_ONLY})
    assert (run.response, run.stderr) == ([], "")
