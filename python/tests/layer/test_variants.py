"""What was pinned is what runs: the version, the JIT, free threading."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from layer.conftest import OnLambda

ASK = """
import json, platform, sys
jit = getattr(sys, "_jit", None)
print(json.dumps({
    "version": platform.python_version(),
    "built": sys.version,
    "free": "t" in sys.abiflags,
    "has_jit": bool(jit and jit.is_available()),
}))
"""

TELL = """
    import platform, sys, threading

    def handler(event, context):
        jit = getattr(sys, "_jit", None)
        return {
            "version": platform.python_version(),
            "built": sys.version,
            "gil": sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else True,
            "jit": bool(jit and jit.is_enabled()),
        }
"""


@pytest.fixture(scope="module")
def pinned(layer_python: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(subprocess.check_output([layer_python, "-I", "-c", ASK], timeout=20))
    return told


def test_the_function_runs_on_the_very_build(on_lambda: OnLambda, pinned: dict[str, Any]) -> None:
    told = on_lambda({"app.py": TELL}, events=[{}, {}]).responses
    assert [(each["version"], each["built"]) for each in told] == [(pinned["version"], pinned["built"])] * 2


@pytest.mark.parametrize(("switch", "enabled"), [(None, False), ("1", True), ("0", False)])
def test_the_jit_is_switched_by_the_environment(
    on_lambda: OnLambda, pinned: dict[str, Any], switch: str | None, enabled: bool
) -> None:
    if not pinned["has_jit"]:
        pytest.skip("this Python was built without the JIT")
    # 10,000 rounds: enough for traces to be compiled and run.
    module = TELL + "\n    total = sum(number * number % 7 for number in range(10_000))\n"
    run = on_lambda({"app.py": module}, events=[{}], environment={"PYTHON_JIT": switch})
    assert (run.response["jit"], run.stderr) == (enabled, "")


def test_no_gil_while_handlers_run(on_lambda: OnLambda, pinned: dict[str, Any]) -> None:
    """Not even after the extension code of ours that a function gets to see was used: context, log handler, finder."""
    if not pinned["free"]:
        pytest.skip("this Python has a GIL")
    module = """
        import logging, sys
        from awslambdaric.lambda_context import LambdaContext
        logging.warning("import")

        def handler(event, context):
            logging.warning("invoke")
            context.get_remaining_time_in_millis()
            return [sys._is_gil_enabled(), isinstance(context, LambdaContext)]
    """
    run = on_lambda({"app.py": module}, events=[{}, {}])
    assert run.responses == [[False, True]] * 2
    assert (run.stderr, run.stdout.count("[WARNING]")) == ("", 3)


def test_threads_of_a_function_run_at_once(on_lambda: OnLambda, pinned: dict[str, Any]) -> None:
    if not pinned["free"]:
        pytest.skip("this Python has a GIL")
    # With a GIL neither could see the other move while it never lets go on its own accord for an hour.
    module = """
        import sys, threading

        def handler(event, context):
            sys.setswitchinterval(3600)
            turns, limit = [0, 0], 2_000_000
            met = [False, False]
            def run(me):
                for _ in range(limit):
                    turns[me] += 1
                    if 0 < turns[1 - me] < limit:
                        met[me] = True
                        if met[1 - me]:
                            break
            threads = [threading.Thread(target=run, args=(me,)) for me in (0, 1)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return met
    """
    assert on_lambda({"app.py": module}, events=[{}]).response == [True, True]


def test_invocations_run_at_once_in_one_process(on_lambda: OnLambda, pinned: dict[str, Any]) -> None:
    if not pinned["free"]:
        pytest.skip("this Python has a GIL")
    module = """
        import sys, time
        turns, met = [0, 0], [False, False]

        def handler(me, context):
            sys.setswitchinterval(3600)
            until = time.monotonic() + 10
            before = turns[1 - me]
            while not all(met) and time.monotonic() < until:
                turns[me] += 1
                if turns[1 - me] > before + 1000:
                    met[me] = True
            return [met[me], sys._is_gil_enabled()]
    """
    run = on_lambda({"app.py": module}, events=[0, 1], environment={"AWS_LAMBDA_MAX_CONCURRENCY": "2"})
    # The process ends when one of them is answered.
    assert run.responses[0] == [True, False], run.story()
