"""CPython's JIT compiler: machine code that it has made is in the checkpoint, and runs after the restore."""

import pytest

from checkpoint.conftest import KINDS, Checkpointed, Kind, Start, is_restored
from conftest import PlayFunction

APP = """
    import sys
    from hot import hot

    def loop(count):
        total = 0
        for number in range(count):
            total += number & 7
        return total

    expected = loop(100_000)

    def handler(event, context):
        return [loop(100_000) == expected, hot(100_000) == hot.expected, sys._jit.is_enabled()]
"""

HOT = """
    def hot(count):
        total, last = 0.0, {}
        for number in range(count):
            total += number * 0.5
            last[number & 15] = total
        return total

    hot.expected = hot(100_000)
"""

FILES = {
    "app.py": APP,
    "hot.py": HOT,
    "hot-1.dist-info/RECORD": "hot.py,,\n",
    "hot-1.dist-info/METADATA": "Name: hot\nVersion: 1\n",
}


@pytest.fixture(autouse=True)
def _has_a_jit(play: PlayFunction) -> None:
    app = "import sys\ndef handler(*_): return hasattr(sys, '_jit') and sys._jit.is_available()\n"
    if not play({"app.py": app}, events=[{}]).response:
        pytest.skip("this CPython was built without the JIT compiler")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["0", "1"])
def test_a_hot_loop_goes_on_after_a_restore(checkpointed: Checkpointed, start: Start, kind: Kind, value: str) -> None:
    packed = checkpointed(FILES, kind, variables={"PYTHON_JIT": value})
    run = start(packed, events=[{}, {}])
    assert is_restored(run), run.story()
    assert run.responses == [[True, True, value == "1"]] * 2


def test_a_function_that_switches_the_jit_starts_ordinarily(checkpointed: Checkpointed, start: Start) -> None:
    packed = checkpointed(FILES, variables={"PYTHON_JIT": "1"})
    run = start(packed, environment={"PYTHON_JIT": "0"})
    assert not is_restored(run)
    assert "PYTHON_JIT" in run.stderr
    assert run.response == [True, True, False]
