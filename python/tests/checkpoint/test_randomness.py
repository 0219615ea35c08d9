"""Copies of one checkpoint do not repeat each other's random numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from checkpoint.conftest import KINDS, Checkpointed, Kind, Packed, Start, is_restored
from checkpoint.image import Image

# Each source was used before the dump as well, so that what it keeps is in the checkpoint.
APP = """
    import base64, hashlib, multiprocessing, os, random, secrets, ssl, tempfile, threading, uuid
    try:
        import numpy
    except ImportError:
        numpy = None
    random.random(), secrets.token_hex(), ssl.RAND_bytes(8), uuid.uuid4(), multiprocessing.current_process().authkey
    with tempfile.NamedTemporaryFile():
        pass
    if numpy:
        numpy.random.random()

    def draw():
        with tempfile.NamedTemporaryFile() as file:
            name = os.path.basename(file.name)
        return {
            "random": random.random(),
            "SystemRandom": random.SystemRandom().random(),
            "randbytes": random.randbytes(8).hex(),
            "secrets": secrets.token_hex(),
            "uuid4": str(uuid.uuid4()),
            "ssl": ssl.RAND_bytes(16).hex(),
            "authkey": bytes(multiprocessing.current_process().authkey).hex(),
            "tempfile": name,
            "mktemp": tempfile.mktemp(),
            "urandom": os.urandom(8).hex(),
            **({"numpy": numpy.random.random()} if numpy else {}),
        }

    def handler(event, context):
        drawn = draw()
        box = {}
        thread = threading.Thread(target=lambda: box.update(draw()))
        thread.start()
        thread.join()
        return {"pid": os.getpid(), "drawn": drawn, "in a thread": box, "hash": hash("text")}
"""


@pytest.fixture(scope="module", params=KINDS)
def function(request: pytest.FixtureRequest, checkpointed: Checkpointed) -> Packed:
    kind: Kind = request.param
    return checkpointed({"app.py": APP}, kind)


def run(start: Start, function: Packed, before: Sequence[str] = ()) -> Any:
    run = start(function, before=before)
    assert is_restored(run), run.story()
    return run.response


def repeated(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    again = {f"in a thread: {name}" for name, value in one["in a thread"].items() if value == other["in a thread"][name]}
    own = {f"in a thread again: {name}" for name, value in one["drawn"].items() if value == one["in a thread"][name]}
    same = {name for name, value in one["drawn"].items() if value == other["drawn"][name]}
    return same | again | own - {"in a thread again: authkey"}


def test_two_copies_draw_different_numbers(start: Start, function: Packed) -> None:
    one, other = run(start, function), run(start, function)
    assert repeated(one, other) == set()


def test_two_copies_with_the_same_process_id_draw_different_numbers(
    start: Start, function: Packed, in_pid_namespace: Callable[..., Sequence[str]]
) -> None:
    one, other = run(start, function, in_pid_namespace(1)), run(start, function, in_pid_namespace(1))
    assert one["pid"] == other["pid"] == 1
    assert repeated(one, other) == set()


def test_a_copy_with_the_process_id_after_the_dumped_process_is_no_other(
    start: Start, function: Packed, in_pid_namespace: Callable[..., Sequence[str]]
) -> None:
    # The dumper's child, whose memory the checkpoint is, had that one.
    process_id = Image.read(function.checkpoint).process_id + 1
    one, other = (run(start, function, in_pid_namespace(process_id)) for _ in range(2))
    assert one["pid"] == other["pid"] == process_id
    assert repeated(one, other) == set()


def test_the_hash_of_a_text_is_the_same_in_all_copies(start: Start, function: Packed) -> None:
    # As under SnapStart: the secret of `hash()` is part of every dictionary in the memory. A new checkpoint has a new one.
    assert run(start, function)["hash"] == run(start, function)["hash"]


def test_another_checkpoint_has_another_hash_secret(start: Start, checkpointed: Checkpointed, function: Packed) -> None:
    assert run(start, checkpointed({"app.py": APP}))["hash"] != run(start, function)["hash"]


def test_a_seed_of_the_functions_own_repeats(start: Start, checkpointed: Checkpointed) -> None:
    # As under SnapStart. `random.seed` in the module is undone, because CPython seeds `random` again after a fork.
    app = """
        import random
        own = random.Random(1)
        def handler(event, context): return own.random()
    """
    packed = checkpointed({"app.py": app})
    assert run(start, packed) == run(start, packed)
