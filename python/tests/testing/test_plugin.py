"""The pytest plugin, in a pytest of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playing import write_files

type RunPytest = Callable[..., str]

FUNCTION = """
    import os
    print("importing")

    def handler(event, context):
        print("invoked")
        return {"table": os.environ.get("TABLE"), "memory": context.memory_limit_in_mb, "process": os.getpid(), "event": event}

    def other(event, context):
        return "other"

    def forever(event, context):
        while True:
            pass
"""


@pytest.fixture
def run_pytest(site: Path, cli: Path, bootstrap: Path, tmp_path: Path) -> RunPytest:
    """Runs a test file in a project with the function in src/app.py; returns what pytest prints."""

    def run(tests: str, *options: str, settings: str = "", conftest: str = "", default_bootstrap: bool = True) -> str:
        lines = [f"whipsnake_bootstraps = {bootstrap}"] if default_bootstrap else []
        ini = "\n".join(["[pytest]", *lines, settings])
        write_files(tmp_path, {"src/app.py": FUNCTION, "test_it.py": tests, "pytest.ini": ini, "conftest.py": conftest})
        environment = {**os.environ, "PYTHONPATH": str(site), "WHIPSNAKE_CLI": str(cli), "PYTEST_ADDOPTS": ""}
        command = [sys.executable, "-m", "pytest", "-p", "whipsnake.testing.plugin", "-p", "no:cacheprovider"]
        command += ["-p", "no:xdist", "--strict-markers", "--strict-config", "-W", "error", *options]
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
        )
        return ran.stdout

    return run


def outcome(printed: str) -> str:
    """Pytest's last line, without how long it took."""
    return re.sub(r"^=+ (.*) in .*$", r"\1", printed.strip().splitlines()[-1])


def test_a_function_runs_and_stays_warm(run_pytest: RunPytest) -> None:
    tests = """
        def test_it(whipsnake_runtime):
            runtime = whipsnake_runtime("app.handler", task="src", environment={"TABLE": "orders"}, memory=256)
            first, second = runtime.invoke({"a": 1}), runtime.invoke()
            assert first.response["table"] == "orders"
            assert first.response["memory"] == "256"
            assert first.response["event"] == {"a": 1}
            assert first.response["process"] == second.response["process"]
            assert first.report.init_duration_ms is not None

        def test_another(whipsnake_runtime):
            runtimes = [whipsnake_runtime("app.handler", task="src") for _ in range(2)]
            assert len({runtime.invoke().response["process"] for runtime in runtimes}) == 2
            assert whipsnake_runtime("app.other", task="src").invoke().response == "other"
    """
    assert outcome(run_pytest(tests)) == "2 passed"


def test_settings_are_for_all_and_markers_and_arguments_win_over_them(run_pytest: RunPytest) -> None:
    tests = """
        import pytest
        pytestmark = pytest.mark.whipsnake(memory=512)

        def test_settings(whipsnake_runtime):
            response = whipsnake_runtime().invoke().response
            assert (response["table"], response["memory"]) == ("from the settings", "512")

        @pytest.mark.whipsnake("app.other", memory=1024)
        def test_marker(whipsnake_runtime):
            assert whipsnake_runtime().invoke().response == "other"
            response = whipsnake_runtime("app.handler", environment={}).invoke().response
            assert (response["table"], response["memory"]) == (None, "1024")

        @pytest.mark.whipsnake(handler="time.sleep", timeout=0.3)
        def test_time_out(whipsnake_runtime):
            assert whipsnake_runtime("app.forever").invoke().fault.message.endswith("Task timed out after 0.30 seconds")
    """
    settings = (
        "whipsnake_handler = app.handler\nwhipsnake_task = src\nwhipsnake_environment =\n    TABLE=from the settings\n"
        "whipsnake_memory = 300\nwhipsnake_timeout = 100\n"
    )
    assert outcome(run_pytest(tests, settings=settings)) == "3 passed"


def test_the_factory_is_for_fixtures_of_any_scope(run_pytest: RunPytest) -> None:
    tests = """
        import pytest

        @pytest.fixture(scope="module")
        def runtime(whipsnake_runtime_factory):
            with whipsnake_runtime_factory("app.handler", task="src") as runtime:
                yield runtime
            with pytest.raises(RuntimeError, match="closed"):
                runtime.invoke()

        processes = set()

        @pytest.mark.parametrize("event", [1, 2])
        def test_it(runtime, event):
            processes.add(runtime.invoke(event).response["process"])
            assert len(processes) == 1
    """
    assert outcome(run_pytest(tests)) == "2 passed"


def test_several_builds_are_as_many_tests(run_pytest: RunPytest, bootstrap: Path) -> None:
    tests = """
        def test_function(whipsnake_runtime):
            assert whipsnake_runtime("app.other", task="src").invoke().response == "other"

        def test_factory(whipsnake_runtime_factory):
            assert whipsnake_runtime_factory("app.other", task="src").invoke().response == "other"

        def test_without():
            pass
    """
    settings = f"whipsnake_bootstraps =\n    one={bootstrap}\n    {bootstrap}\n"
    printed = run_pytest(tests, "-v", settings=settings, default_bootstrap=False)
    for name in ("test_function", "test_factory"):
        assert f"test_it.py::{name}[one] PASSED" in printed
        assert f"test_it.py::{name}[{bootstrap.parent.name}] PASSED" in printed
    assert "test_it.py::test_without PASSED" in printed
    printed = run_pytest(tests, "-v", f"--whipsnake-bootstrap={bootstrap}", settings=settings, default_bootstrap=False)
    assert "test_it.py::test_function PASSED" in printed
    printed = run_pytest(tests, *2 * [f"--whipsnake-bootstrap={bootstrap}"])
    assert "two bootstraps have one name: name them apart" in printed


def test_the_sample_of_the_guide_passes(run_pytest: RunPytest, repository: Path, tmp_path: Path) -> None:
    sample = repository / "docs" / "samples" / "tested"
    tests = (sample / "test_lambda_function.py").read_text()
    write_files(tmp_path, {"lambda_function.py": (sample / "lambda_function.py").read_text()})
    assert outcome(run_pytest(tests, settings="whipsnake_handler = lambda_function.lambda_handler")) == "5 passed"


def test_the_guide_shows_the_sample_as_it_is(repository: Path) -> None:
    guide = (repository / "docs" / "guides" / "testing.md").read_text()
    shown = guide.partition("```python\n")[2].partition("```")[0]
    sample = (repository / "docs" / "samples" / "tested" / "test_lambda_function.py").read_text()
    assert [part for part in shown.strip().split("\n\n\n") if part not in sample] == []


def test_a_failed_test_shows_the_log(run_pytest: RunPytest) -> None:
    tests = """
        def test_it(whipsnake_runtime):
            runtime = whipsnake_runtime("app.handler", task="src")
            assert runtime.invoke(request_id="rid-1").response == 1
    """
    printed = run_pytest(tests)
    assert outcome(printed) == "1 failed"
    shown = [line.split("\t")[0] for line in printed.partition("Captured whipsnake log call ---")[2].splitlines()]
    wanted = [
        "importing",
        "START RequestId: rid-1 Version: $LATEST",
        "invoked",
        "END RequestId: rid-1",
        "REPORT RequestId: rid-1",
    ]
    assert [line for line in shown if line in wanted] == wanted


def test_a_function_that_cannot_be_imported_is_shown_with_its_log(run_pytest: RunPytest) -> None:
    tests = """
        def test_it(whipsnake_runtime):
            whipsnake_runtime("app.missing", task="src")
    """
    printed = run_pytest(tests)
    assert outcome(printed) == "1 failed"
    assert "Runtime.HandlerNotFound: Handler 'missing' missing on module 'app'" in printed
    assert "InitError" in printed


def test_a_function_without_a_handler_is_a_mistake_that_is_explained(run_pytest: RunPytest) -> None:
    printed = run_pytest("def test_it(whipsnake_runtime): whipsnake_runtime()")
    assert "which function? name its handler, here, in a marker or with whipsnake_handler" in printed


@pytest.mark.parametrize("marker", ["whipsnake(tsak='src')", "whipsnake('app.handler', 'src')"])
def test_a_marker_that_is_misspelt_is_a_mistake_that_is_explained(run_pytest: RunPytest, marker: str) -> None:
    printed = run_pytest(f"import pytest\n@pytest.mark.{marker}\ndef test_it(whipsnake_runtime): pass")
    assert "the marker whipsnake takes a handler and task, environment, timeout" in printed


def test_a_setting_that_is_no_variable_is_a_mistake_that_is_explained(run_pytest: RunPytest) -> None:
    printed = run_pytest("def test_it(whipsnake_runtime): pass", settings="whipsnake_environment = TABLE")
    assert "'TABLE' in whipsnake_environment is not NAME=VALUE" in printed
