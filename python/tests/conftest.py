"""Fixtures of the black-box suite.

What it runs, by environment variable: `WHIPSNAKE_CLI`, the `whipsnake` command [target/release/whipsnake];
`WHIPSNAKE_BOOTSTRAP`, the bootstrap [target/release/bootstrap]; `WHIPSNAKE_REFERENCE_PYTHON`, an interpreter with
awslambdaric [the one that runs pytest].
"""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

import checkpoint_starts
from conformance.sections import SECTIONS
from conformance.summary import Summary
from playing import Files, Play, Player, Run, Runtime, write_files
from reference import HOW_TO_GET_IT, Better, Pair, managed_runtime

REPOSITORY = Path(__file__).parents[2]


PROGRAMS = {"WHIPSNAKE_CLI": "target/release/whipsnake", "WHIPSNAKE_BOOTSTRAP": "target/release/bootstrap"}


def _program(variable: str) -> Path:
    return Path(os.environ.get(variable) or REPOSITORY / PROGRAMS[variable])


SEED = "hypothesis_seed"
"""Hypothesis's own option."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, SEED, "no Hypothesis") is None:
        setattr(config.option, SEED, getattr(config, "workerinput", {}).get(SEED, secrets.randbits(32)))
    for variable in PROGRAMS:
        if not _program(variable).is_file():
            raise pytest.UsageError(
                f"{_program(variable)} does not exist: run `make build`, or say where it is with {variable}"
            )
    config.pluginmanager.register(Summary(SECTIONS))
    checkpoint_starts.register(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's workers have the seed of the process that reports."""
    node.workerinput[SEED] = getattr(node.config.option, SEED, None)


def pytest_report_header(config: pytest.Config) -> str:
    return f"the property tests' examples are those of --hypothesis-seed={getattr(config.option, SEED, None)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The seed again, which the header does not show to those who asked for quiet."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if any("/properties/" in report.nodeid for report in reports):
        terminalreporter.write_line(pytest_report_header(config))


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def cli() -> Path:
    return _program("WHIPSNAKE_CLI")


@pytest.fixture(scope="session")
def player(cli: Path) -> Player:
    return Player(cli)


@pytest.fixture(scope="session")
def bootstrap() -> Path:
    return _program("WHIPSNAKE_BOOTSTRAP")


@pytest.fixture(scope="session")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LAMBDA_RUNTIME_DIR of all plays."""
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="session")
def make_play(tmp_path_factory: pytest.TempPathFactory, runtime_directory: Path) -> Callable[..., Play]:
    """A play whose function is `files` in a folder of their own, or lies in `task_root` already."""

    def make(files: Files | None = None, *, task_root: Path | None = None, **fields: object) -> Play:
        folder = task_root or tmp_path_factory.mktemp("task")
        write_files(folder, files or {})
        known = {name: fields.pop(name) for name in ("handler", "events", "environment") if name in fields}
        return Play(folder, runtime_directory, script=fields, **known)  # type: ignore[arg-type]

    return make


class PlayFunction(Protocol):
    """Runs a function under whipsnake. Keywords that are not here are fields of the script."""

    def __call__(
        self,
        files: Files | None = None,
        *,
        task_root: Path | None = None,
        handler: str = ...,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        command: Sequence[str] = ...,
        **script: object,
    ) -> Run: ...


class PlayBoth(Protocol):
    """The same under both runtimes."""

    def __call__(
        self,
        files: Files | None = None,
        *,
        task_root: Path | None = None,
        handler: str = ...,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        **script: object,
    ) -> Pair: ...


class CompareBoth(Protocol):
    """The same under both runtimes, which have to agree except where ours is better or nobody cares."""

    def __call__(
        self,
        files: Files | None = None,
        *,
        better: Better | None = None,
        free: Mapping[str, str] | None = None,
        task_root: Path | None = None,
        handler: str = ...,
        events: Sequence[object] = ...,
        environment: Mapping[str, str | bytes | None] = ...,
        **script: object,
    ) -> Pair: ...


@pytest.fixture(scope="session")
def play(player: Player, bootstrap: Path, make_play: Callable[..., Play]) -> PlayFunction:
    def run(files: Files | None = None, **fields: object) -> Run:
        return player.play(make_play(files, **fields), [Runtime("whipsnake", [str(bootstrap)])])[0]

    return run


@dataclass(frozen=True)
class EmbeddedPython:
    """The Python that the bootstrap embeds, by its own word."""

    version: str
    """Such as 3.14.10."""
    standard_library: str
    executable: str


@pytest.fixture(scope="session")
def embedded_python(play: PlayFunction) -> EmbeddedPython:
    app = """
        import os, sys
        def handler(*_): return ["%d.%d.%d" % sys.version_info[:3], os.path.dirname(os.__file__), sys.executable]
    """
    return EmbeddedPython(*play({"app.py": app}, events=[{}]).response)


@pytest.fixture(scope="session")
def files_for_site(embedded_python: EmbeddedPython) -> list[str]:
    """The files for which CPython has to import `site`: none on a CPython as it is installed."""
    program = "import json, site, sys; print(json.dumps([sys.path, site.getsitepackages(), site.getusersitepackages()]))"
    # Without HOME, as functions run here and on Lambda.
    ran = subprocess.run([embedded_python.executable, "-E", "-c", program], capture_output=True, text=True, check=True, env={})
    search_paths, folders, of_user = json.loads(ran.stdout)
    customized = [
        found
        for folder in {*search_paths, *folders, embedded_python.standard_library}
        for name in ("sitecustomize", "usercustomize")
        for found in Path(folder).glob(f"{name}*")
    ]
    path_files = [file for folder in folders for file in Path(folder).glob("*.pth")]
    return sorted(map(str, [*customized, *path_files, *filter(Path.exists, [Path(of_user)])]))


def reference_python() -> Path | None:
    """The interpreter that has awslambdaric; None without one."""
    named = os.environ.get("WHIPSNAKE_REFERENCE_PYTHON")
    if not named and importlib.util.find_spec("awslambdaric") is None:
        return None
    return Path(named or sys.executable)


@pytest.fixture(scope="session")
def managed(runtime_directory: Path, embedded_python: EmbeddedPython) -> Runtime:
    python = reference_python()
    if python is None:
        pytest.skip(HOW_TO_GET_IT)
    runtime = managed_runtime(python, runtime_directory)
    ours = f"AWS_Lambda_python{embedded_python.version.rpartition('.')[0]}"
    if ours != runtime.environment["AWS_EXECUTION_ENV"]:
        pytest.fail(f"the bootstrap is {ours}, the reference {runtime.environment['AWS_EXECUTION_ENV']}: {HOW_TO_GET_IT}")
    return runtime


@pytest.fixture(scope="session")
def play_both(player: Player, bootstrap: Path, managed: Runtime, make_play: Callable[..., Play]) -> PlayBoth:
    ours = Runtime("whipsnake", [str(bootstrap)], managed.environment)

    def run(files: Files | None = None, **fields: object) -> Pair:
        play = make_play(files, **fields)
        reference, whipsnake = player.play(play, [managed, ours])
        return Pair(reference, whipsnake, [*play.events])

    return run


@pytest.fixture(scope="session")
def both(play_both: PlayBoth) -> CompareBoth:
    def run(
        files: Files | None = None,
        *,
        better: Better | None = None,
        free: Mapping[str, str] | None = None,
        **fields: object,
    ) -> Pair:
        pair = play_both(files, **fields)  # type: ignore[arg-type]
        pair.assert_agreement(better, free)
        return pair

    return run
