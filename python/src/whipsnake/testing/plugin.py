"""The pytest plugin: the fixtures `whipsnake_runtime` and `whipsnake_runtime_factory`, a marker, and their settings."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from whipsnake.testing.runtime import Runtime, RuntimeFactory

_ARGUMENTS = ("handler", "task", "environment", "timeout", "memory", "function_name", "region")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("whipsnake", "functions on AWS Lambda, under whipsnake")
    group.addoption(
        "--whipsnake-bootstrap",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="the bootstrap to run functions under; of several, each test with a function runs under each",
    )
    parser.addini("whipsnake_handler", "the handler of whipsnake_runtime(), such as app.handler")
    parser.addini("whipsnake_task", "the folder with the function's code, from the root directory", default=".")
    parser.addini("whipsnake_environment", "the function's variables, a NAME=VALUE a line", type="linelist")
    parser.addini("whipsnake_timeout", "seconds that an invocation may take", default="30")
    parser.addini("whipsnake_memory", "the function's memory in megabytes", default="128")
    parser.addini("whipsnake_bootstraps", "the same as --whipsnake-bootstrap, one a line", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"whipsnake({', '.join(f'{name}=...' for name in _ARGUMENTS)}): what whipsnake_runtime() of this test runs",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    bootstraps = _bootstraps(metafunc.config)
    if "whipsnake_bootstrap" in metafunc.fixturenames and len(bootstraps) > 1:
        metafunc.parametrize("whipsnake_bootstrap", bootstraps.values(), ids=bootstraps, scope="session")


@pytest.fixture(scope="session")
def whipsnake_bootstrap(pytestconfig: pytest.Config) -> Path | None:
    """The bootstrap that functions run under; None for the one that came with the command."""
    return next(iter(_bootstraps(pytestconfig).values()), None)


@pytest.fixture
def whipsnake_runtime(request: pytest.FixtureRequest, whipsnake_bootstrap: Path | None) -> Iterator[RuntimeFactory]:
    """Starts functions under the bootstrap: `whipsnake_runtime("app.handler", task="src")`. They end with the test."""
    arguments = _configured(request.config)
    for marker in reversed([*request.node.iter_markers("whipsnake")]):
        arguments.update(_of_marker(marker))
    arguments["on_log"] = lambda text: request.node.add_report_section("call", "whipsnake log", text)
    yield from _factory(request.config, {**arguments, "bootstrap": whipsnake_bootstrap})


@pytest.fixture(scope="session")
def whipsnake_runtime_factory(pytestconfig: pytest.Config, whipsnake_bootstrap: Path | None) -> Iterator[RuntimeFactory]:
    """The same for fixtures of any scope. What they start ends with the session, unless they close it."""
    yield from _factory(pytestconfig, {**_configured(pytestconfig), "bootstrap": whipsnake_bootstrap})


def _factory(config: pytest.Config, defaults: dict[str, Any]) -> Iterator[RuntimeFactory]:
    with ExitStack() as started:

        def start(handler: str | None = None, **given: Any) -> Runtime:
            arguments = {**defaults, **given}
            arguments["handler"] = handler or arguments["handler"]
            if not arguments["handler"]:
                raise pytest.UsageError("which function? name its handler, here, in a marker or with whipsnake_handler")
            arguments["task"] = config.rootpath / arguments["task"]
            return started.enter_context(Runtime(**arguments))

        yield start


def _configured(config: pytest.Config) -> dict[str, Any]:
    return {
        "handler": config.getini("whipsnake_handler"),
        "task": config.getini("whipsnake_task"),
        "environment": dict(_pair(line, "whipsnake_environment") for line in config.getini("whipsnake_environment")),
        "timeout": float(config.getini("whipsnake_timeout")),
        "memory": int(config.getini("whipsnake_memory")),
    }


def _of_marker(marker: pytest.Mark) -> dict[str, Any]:
    arguments = {**dict(zip(_ARGUMENTS[:1], marker.args, strict=False)), **marker.kwargs}
    unknown = arguments.keys() - set(_ARGUMENTS)
    if unknown or len(marker.args) > 1:
        raise pytest.UsageError(f"the marker whipsnake takes a handler and {', '.join(_ARGUMENTS[1:])}: not {marker}")
    return arguments


def _bootstraps(config: pytest.Config) -> dict[str, Path]:
    """By name: the one that was given, or else the folder's."""
    named: list[str] = config.getoption("--whipsnake-bootstrap") or config.getini("whipsnake_bootstraps")
    bootstraps = {}
    for text in named:
        name, separator, path = text.rpartition("=")
        place = config.rootpath / path
        bootstraps[name if separator else place.parent.name] = place
    if len(bootstraps) < len(named):
        raise pytest.UsageError("two bootstraps have one name: name them apart, as in 3.14=path/to/bootstrap")
    return bootstraps


def _pair(line: str, setting: str) -> tuple[str, str]:
    name, separator, value = line.partition("=")
    if not separator:
        raise pytest.UsageError(f"{line!r} in {setting} is not NAME=VALUE")
    return name.strip(), value.strip()
