"""One function as each of the handlers that are served in ways of their own: one invocation at a time, and several at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from conftest import PlayFunction
from playing import SECONDS_TO_ANSWER, Run, when_asked_by

ECHO = """
import asyncio, json, os, sys, time
def outcome(event):
    if event == "fail":
        raise ValueError("failed")
    return event
"""

HANDLERS = {
    "plain": "def handler(event, context):\n    return outcome(event)",
    # With the names of awslambdaric imported, tools may have replaced the ways to answer.
    "plain with names": "import awslambdaric.lambda_runtime_client\ndef handler(event, context):\n    return outcome(event)",
    "async": "async def handler(event, context):\n    await asyncio.sleep(0)\n    return outcome(event)",
    "streamed": "def handler(event, context):\n    yield json.dumps(outcome(event))",
    "streamed async": "async def handler(event, context):\n    await asyncio.sleep(0)\n    yield json.dumps(outcome(event))",
}
"""Each answers with the event, and raises where that is `fail`."""

BUFFERED = [name for name in HANDLERS if not name.startswith("streamed")]
STREAMED = [name for name in HANDLERS if name.startswith("streamed")]

AT_ONCE = {"tasks": "async", "threads": "plain", "processes": "plain", "isolated": "plain"}
"""What serves several invocations at once, and the handler for it."""


def served(play: PlayFunction, name: str, events: Sequence[object], *, source: str = ECHO, **script: Any) -> Run:
    """The handler of that name, one event after the other."""
    return play({"app.py": source + HANDLERS[name]}, events=events, **script)


def served_at_once(
    play: PlayFunction,
    kind: str,
    events: Sequence[object],
    *,
    places: int = 2,
    source: str = ECHO,
    environment: Mapping[str, str] | None = None,
    **script: Any,
) -> Run:
    """The same with room for several at once, until each event is answered."""
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": str(places), "WHIPSNAKE_CONCURRENCY": kind, **(environment or {})}
    script = {"end": "SIGTERM", "end_after_answers": True, "end_after_ms": 100, **script}
    return served(play, AT_ONCE[kind], when_asked_by(places, events), source=source, environment=variables, **script)


def seconds_to_the_end(run: Run) -> float:
    """From the last request to the end of the process."""
    return (run.ended_at_us - run.requests[-1].at_us) / 1_000_000


def assert_ended_at_once(run: Run, *words: str, code: int = 1) -> None:
    """Within a second, and standard error is one sentence of ours with these words in it."""
    assert run.ending == f"exit code {code}", run.story()
    assert seconds_to_the_end(run) < SECONDS_TO_ANSWER / 20, run.story()
    assert_one_sentence(run.stderr, *words)


def assert_one_sentence(text: str, *words: str) -> None:
    """One line of ours, with nothing of Rust's or of Python's in it."""
    assert text.startswith("whipsnake: "), text
    assert text.find("\n") == len(text) - 1, text
    for word in ("panicked", "Traceback", "RUST_BACKTRACE", "Error {", "Kind("):
        assert word not in text
    for word in words:
        assert word in text


def assert_one_record(run: Run, *words: str) -> None:
    """The log has one line, of an error, with these words in it; and standard error has none."""
    assert run.stdout.startswith("[ERROR] Runtime.LambdaRuntimeClientError: "), run.story()
    assert run.stdout.find("\n") == len(run.stdout) - 1, run.story()
    for word in words:
        assert word in run.stdout, run.story()
    assert run.stderr == "", run.story()


def assert_served(run: Run, *request_ids: str) -> None:
    """These were answered in this order, each with a response, and the process was there for more."""
    answered = {name: answer.path.rpartition("/")[2] for name, answer in run.answers.items()}
    assert answered == dict.fromkeys(request_ids, "response"), run.story()
    assert run.signal is not None, run.story()
