"""`--simulate`: what happens on Lambda now and then."""

import json
import time
from typing import Any

import pytest

from command.conftest import Whipsnake

MODULE = """
    import os, time

    print("started")

    def handler(event, context):
        return [os.getpid(), time.monotonic()]
"""


@pytest.fixture
def outcomes(whipsnake: Whipsnake) -> Any:
    """What `whipsnake invoke --json` tells of each invocation."""

    def invoke(*options: str, module: str = MODULE, times: int = 3) -> list[dict[str, Any]]:
        ran = whipsnake("invoke", "app.handler", "--json", "--repeat", str(times), *options, module=module)
        assert ran.stderr == ""
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return invoke


def test_a_crash_ends_the_invocation_and_the_next_one_has_a_new_process(outcomes: Any) -> None:
    first, second, third = outcomes("--simulate", "crash=2")
    assert second["fault"]["errorType"] == "Runtime.ExitError"
    assert second["fault"]["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert first["response"][0] != third["response"][0]
    assert "started" in third["logs"]


def test_a_time_out_comes_when_the_function_has_its_event(outcomes: Any) -> None:
    begun = time.monotonic()
    first, second = outcomes("--simulate", "time-out", "--timeout", "60", times=2)
    assert time.monotonic() - begun < 20
    for outcome in (first, second):
        assert outcome["fault"]["errorType"] == "Sandbox.Timedout"
        assert outcome["fault"]["errorMessage"].endswith("Task timed out after 60.00 seconds")
        assert outcome["report"]["status"] == "timeout"


def test_a_refused_response_is_logged_and_the_process_goes_on(outcomes: Any) -> None:
    module = "print('started')\ndef handler(event, context): return 1"
    for what, error_type, logged in [
        ("410", "Sandbox.Timedout", "410 Gone"),
        ("413", "Function.ResponseSizeTooLarge", "413 "),
    ]:
        first, second = outcomes("--simulate", what, module=module, times=2)
        assert [outcome["fault"]["errorType"] for outcome in (first, second)] == [error_type, error_type]
        assert logged in first["logs"] + second["logs"]
        assert "started" in first["logs"]
        assert "started" not in second["logs"]


def test_a_frozen_process_stands_still_between_invocations(outcomes: Any) -> None:
    module = """
        import os, threading, time

        beats = []

        def beat():
            while True:
                beats.append(time.monotonic())
                time.sleep(0.01)

        threading.Thread(target=beat, daemon=True).start()

        def handler(event, context):
            time.sleep(0.05)
            gaps = [after - before for before, after in zip(beats, beats[1:])]
            return [os.getpid(), max(gaps, default=0)]
    """
    first, second = outcomes("--simulate", "freeze=0.5", module=module, times=2)
    assert first["response"][0] == second["response"][0]
    assert second["response"][1] >= 0.45


def test_a_frozen_process_gets_its_sigterm(whipsnake: Whipsnake) -> None:
    module = "import atexit\natexit.register(print, 'at exit')\ndef handler(event, context): pass"
    notice = ("--env", "WHIPSNAKE_GRACEFUL_SHUTDOWN=1")
    ran = whipsnake("invoke", "app.handler", "--simulate", "freeze=60", *notice, module=module)
    assert ran.stderr.endswith("at exit\n")


def test_a_connection_that_was_closed_between_invocations_is_made_anew(outcomes: Any) -> None:
    told = outcomes("--simulate", "hang-up", "--simulate", "freeze")
    processes = {outcome["response"][0] for outcome in told}
    assert len(processes) == 1


def test_a_caller_who_reads_slowly_slows_the_stream(outcomes: Any) -> None:
    module = "def handler(event, context):\n    for _ in range(5): yield 'x' * 1000"
    (outcome,) = outcomes("--simulate", "slow-stream=10000", module=module, times=1)
    assert outcome["response"] == "x" * 5000
    assert outcome["report"]["durationMs"] >= 400


def test_an_init_phase_that_is_killed_is_run_again(outcomes: Any) -> None:
    first, second = outcomes("--simulate", "init-crash", times=2)
    assert first["fault"]["errorType"] == "Runtime.ExitError"
    assert "INIT_REPORT" in first["logs"]
    assert second["fault"] is None
    assert "initDurationMs" in second["report"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("rain", "time-out, 410, 413, slow-stream, freeze, hang-up, init-crash and crash can be simulated"),
        ("crash=0", '"crash=0" has no number from 1 on after its ='),
        ("freeze=long", '"freeze=long" has no number of seconds after its ='),
        ("410=1", "410 takes no value"),
    ],
)
def test_what_cannot_be_simulated_is_told(whipsnake: Whipsnake, what: str, told: str) -> None:
    ran = whipsnake("invoke", "app.handler", "--simulate", what, module=MODULE)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr
