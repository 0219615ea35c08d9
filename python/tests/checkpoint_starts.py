"""Whether each function of a suite was started from a checkpoint, where `make checkpoint-suites` runs the suite.

`WHIPSNAKE_FROM_CHECKPOINT`: the kind of the checkpoints, `imports` or `init`. The bootstrap is `whipsnake from-checkpoint`,
which makes a checkpoint for each start. A function that starts without one fails its test, unless the test is marked:

- `@pytest.mark.ordinary_start(reason, kinds=["init"])`: some of the test's functions start without their checkpoint, by design.
  The test has to pass nevertheless, and fails if all of them were restored.
- `@pytest.mark.not_from_checkpoint(reason, kinds=["init"])`: the test measures something that a checkpoint changes by design.

Without `kinds`, the mark is for both. Two refusals of the packer need no mark, because a user sees them when packing: a wrapper
script, and an import that fails or ends the process, so that no process of the test asks for an event.
"""

import os
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from playing import Player, Run, Runtime

KIND = os.environ.get("WHIPSNAKE_FROM_CHECKPOINT") or None
SECONDS_TO_MAKE = 6 if KIND else 0
"""The most by which a start takes longer here: its checkpoint is made first."""

LOG = "WHIPSNAKE_CHECKPOINT_LOG"
RESTORED = "restored"
WRAPPER = "whipsnake: AWS_LAMBDA_EXEC_WRAPPER is set, "
MARKS = {
    "ordinary_start(reason, kinds=...)": "in checkpoint suites: functions of the test start without a checkpoint",
    "not_from_checkpoint(reason, kinds=...)": "in checkpoint suites: the test does not run",
}


def marked(item: pytest.Item, name: str) -> str | None:
    """The reason of the mark for the checkpoints of this run."""
    for mark in item.iter_markers(name):
        if KIND in mark.kwargs.get("kinds", (KIND,)):
            return str(mark.args[0])
    return None


class CheckpointStarts:
    """The plugin that looks at each start of each test."""

    def __init__(self) -> None:
        self._log = Path(tempfile.mkstemp(prefix="whipsnake-starts-")[1])
        # For processes that tests start by themselves. Plays have an environment of their own.
        os.environ[LOG] = str(self._log)
        Player.watchers.append(self)
        self._runs: list[Run] = []

    def environment(self, runtime: Runtime) -> dict[str, str]:
        """What a play's process has on top."""
        return {LOG: str(self._log)} if runtime.name != "awslambdaric" else {}

    def played(self, runtime: Runtime, run: Run) -> None:
        """Notes a play."""
        if runtime.name != "awslambdaric":
            self._runs.append(run)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            reason = marked(item, "not_from_checkpoint")
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"not from a checkpoint of kind {KIND}: {reason}"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        self._forget()
        result = yield
        without = self._without_checkpoint()
        reason = marked(item, "ordinary_start")
        if reason is None:
            assert not without, "functions started without their checkpoint:\n" + "\n".join(without)
        else:
            assert without, f"every function was restored, but the test is marked: {reason}"
        return result

    def _forget(self) -> None:
        self._runs.clear()
        self._log.write_text("")

    def _without_checkpoint(self) -> Sequence[str]:
        """A line for each start without one."""
        lines = [line for line in self._log.read_text().splitlines() if line != RESTORED]
        requests = [request for run in self._runs for request in run.requests]
        is_imported = any(request.call == "GET next" for request in requests)
        if lines and (not is_imported or all(line.startswith(WRAPPER) for line in lines)):
            return []
        agents = {request.header("User-Agent") or "" for request in requests}
        ordinary = sorted(agent for agent in agents if not agent.endswith("(restored)"))
        return [f"no checkpoint was made: {line}" for line in lines] + [f"a process is {agent}" for agent in ordinary]


def register(config: pytest.Config) -> None:
    """Registers the marks, and the plugin where a kind is given."""
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if KIND:
        config.pluginmanager.register(CheckpointStarts())
