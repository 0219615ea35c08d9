"""`whipsnake.types`: what type checkers make of it, and what it costs a function."""

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PlayFunction

HANDLERS = Path(__file__).with_name("handlers.py")
PACKAGE = Path(__file__).parents[2] / "src" / "whipsnake"

MISTAKES = [number for number, line in enumerate(HANDLERS.read_text().splitlines(), 1) if line.endswith("# mistake")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a type checker finds the package, as in a virtual environment."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "whipsnake").symlink_to(PACKAGE)
    return folder


def objections_of_mypy(site: Path, folder: Path, file: Path) -> list[tuple[int, str]]:
    """Line and text of each."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed in this environment")
    configuration = folder / "mypy.ini"
    configuration.write_text(f"[mypy]\nstrict = true\nmypy_path = {site}\n")
    command: list[str | Path] = [sys.executable, "-m", "mypy", "--config-file", configuration, "--output", "json", file]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert checked.returncode in (0, 1), checked.stderr
    objections = [json.loads(line) for line in checked.stdout.splitlines() if line.startswith("{")]
    return [(found["line"], f"{found['file']}: {found['message']}") for found in objections if found["severity"] == "error"]


def test_mypy_objects_to_the_mistakes_and_to_nothing_else(site: Path, tmp_path: Path) -> None:
    objections = objections_of_mypy(site, tmp_path, HANDLERS)
    assert sorted({line for line, _ in objections}) == MISTAKES, objections


def test_pyright_objects_to_the_mistakes_and_to_nothing_else(site: Path, tmp_path: Path) -> None:
    pyright = shutil.which("pyright", path=Path(sys.executable).parent) or shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed: `pip install pyright`")
    settings = {"include": ["handlers.py"], "extraPaths": [str(site)], "typeCheckingMode": "strict", "pythonVersion": "3.12"}
    # A test of theirs would not look at what is unused, either.
    settings |= dict.fromkeys(["reportUnusedExpression", "reportUnknownMemberType"], "none")
    shutil.copy(HANDLERS, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    checked = subprocess.run([pyright, "--project", tmp_path, "--outputjson"], capture_output=True, text=True, check=False)
    if not checked.stdout.startswith("{"):
        pytest.skip(f"pyright does not run: {checked.stdout}{checked.stderr}")
    objections = json.loads(checked.stdout)["generalDiagnostics"]
    lines = sorted({found["range"]["start"]["line"] + 1 for found in objections})
    assert lines == MISTAKES, [(found["range"]["start"]["line"] + 1, found["message"]) for found in objections]


def test_a_function_may_import_them_all_and_annotate_with_them(play: PlayFunction) -> None:
    imported = next(node for node in ast.parse(HANDLERS.read_text()).body if getattr(node, "module", "") == "whipsnake.types")
    source = f"""
{ast.unparse(imported)}
def bus(event: EventBridgeEvent[dict[str, str]], context: Context) -> BatchResponse: ...
handlers: list[Handler[SqsEvent, None]] = []
Handler.__value__, AsyncHandler.__value__, StreamingHandler.__value__, AsyncStreamingHandler.__value__
class Mine(SqsEvent): ...
def handler(event: S3Event, context: Context) -> str: return str(bus.__annotations__["event"]) + str(Mine(Records=[]))
"""
    assert play({"app.py": source}, events=[{}]).response == "dict[dict[str, str]]{'Records': []}"


def test_their_import_loads_nothing_else(play: PlayFunction) -> None:
    source = """
import collections.abc, sys
before = set(sys.modules)
from whipsnake.types import Context, Handler, SqsEvent
loaded = sorted(set(sys.modules) - before)
def handler(event: SqsEvent, context: Context) -> list: return loaded
"""
    assert play({"app.py": source}, events=[{}]).response == ["whipsnake.types"]


def test_at_run_time_there_is_a_name_for_each_type() -> None:
    tree = ast.parse((PACKAGE / "types.py").read_text())
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    names = {ast.unparse(target) for node in assigned for target in node.targets}
    declared: set[str] = set()
    for module in ("_context", "_events"):
        body = ast.parse((PACKAGE / f"{module}.py").read_text()).body
        declared.update(*(ast.literal_eval(node.value) for node in body if "__all__ = " in ast.unparse(node)[:10]))  # type: ignore[attr-defined]
    assert names - {"TYPE_CHECKING"} == declared


def test_what_is_for_developers_is_not_in_the_bootstrap(play: PlayFunction) -> None:
    source = """
import importlib.util
def handler(event, context): return [name for name in event if importlib.util.find_spec(name)]
"""
    names = ["whipsnake.testing", "whipsnake._command", "whipsnake._events", "whipsnake._context", "whipsnake.types"]
    assert play({"app.py": source}, events=[names]).response == ["whipsnake.types"]


def test_sample_events_are_of_their_types(repository: Path, site: Path, tmp_path: Path) -> None:
    types = {
        "apigateway-v1": "ApiGatewayEvent",
        "apigateway-v2": "ApiGatewayV2Event",
        "eventbridge": "EventBridgeEvent[object]",
        "s3": "S3Event",
        "sqs": "SqsEvent",
    }
    lines = ["from whipsnake.types import *"]
    for number, (name, event) in enumerate(types.items()):
        sample = json.loads((repository / "crates" / "cli" / "events" / f"{name}.json").read_text())
        lines.append(f"event_{number}: {event} = {sample!r}")
    (tmp_path / "samples.py").write_text("\n".join(lines))
    assert objections_of_mypy(site, tmp_path, tmp_path / "samples.py") == []
