"""Many restores of one checkpoint, each at other addresses of the kernel's. `make checkpoint-restores` makes 10,000 of them."""

import os
from collections.abc import Callable

import pytest

from checkpoint.conftest import KINDS, WITHOUT, Checkpointed, Kind, is_restored
from playing import Play, Player, Runtime

RESTORES = int(os.environ.get("WHIPSNAKE_RESTORES") or 300)
AT_ONCE = 50

SAME_ID = f"{WITHOUT}this process has the id of the process that was dumped\n"
"""By design. Many processes use up the kernel's ids, which then begin again."""

APP = """
    import asyncio, json, logging, os, random, re, sqlite3, ssl, threading
    words = {str(number): number for number in range(1000)}
    random.random()

    def handler(event, context):
        thread = threading.Thread(target=words.update, args=({"new": 1},))
        thread.start()
        thread.join()
        return [event, len(words), random.random(), asyncio.run(asyncio.sleep(0, "slept"))]
"""


@pytest.mark.parametrize("kind", KINDS)
def test_no_restore_fails(checkpointed: Checkpointed, player: Player, make_play: Callable[..., Play], kind: Kind) -> None:
    packed = checkpointed({"app.py": APP}, kind)
    play = make_play(task_root=packed.task_root, events=[{"n": 1}, {"n": 2}], environment=packed.variables)
    runtime = Runtime("restored", [str(packed.task_root / "bootstrap")])
    drawn = set()
    with_the_same_id = 0
    for done in range(0, RESTORES, AT_ONCE):
        for run in player.play(play, [runtime] * min(AT_ONCE, RESTORES - done)):
            if run.stderr == SAME_ID and not is_restored(run):
                with_the_same_id += 1
                continue
            assert is_restored(run), run.story()
            assert (run.stdout, run.stderr) == ("", ""), run.story()
            assert [[*response[:2], response[3]] for response in run.responses] == [
                [{"n": 1}, 1001, "slept"],
                [{"n": 2}, 1001, "slept"],
            ], run.story()
            drawn |= {response[2] for response in run.responses}
    assert len(drawn) == 2 * (RESTORES - with_the_same_id), "random numbers repeat"
    assert with_the_same_id <= 1 + RESTORES // 5000
