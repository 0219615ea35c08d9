"""How much memory of its own a restored process needs. Pages that it has not written to are those of the checkpoint's file."""

import pytest

from checkpoint.conftest import KINDS, Checkpointed, Kind, Start, is_restored
from conftest import EmbeddedPython

MEASURE = """
    def private_kilobytes(name):
        total, counts = 0, False
        with open("/proc/self/smaps") as maps:
            for line in maps:
                if "-" in line.split(" ", 1)[0]:
                    counts = line.rstrip().endswith(name)
                elif counts and line.startswith("Anonymous:"):
                    total += int(line.split()[1])
        return total
"""

LARGE = """
    import gc

    class Node:
        def __init__(self, number):
            self.name, self.self = f"node {number}", self

    nodes = [Node(number) for number in range(100_000)]
"""


@pytest.fixture(autouse=True)
def _can_be_dumped(embedded_python: EmbeddedPython) -> None:
    if embedded_python.standard_library.endswith("t"):
        pytest.skip("no checkpoint can be made of a free-threaded CPython")


def test_a_collection_copies_no_pages(checkpointed: Checkpointed, start: Start) -> None:
    app = (
        MEASURE
        + LARGE
        + """
    def handler(event, context):
        before = private_kilobytes("/.whipsnake/checkpoint")
        collected = gc.collect()
        return [before, private_kilobytes("/.whipsnake/checkpoint"), len(nodes)]
    """
    )
    run = start(checkpointed({"app.py": app}))
    assert is_restored(run)
    before, after, count = run.response
    assert count == 100_000
    # The nodes have some 20 MB.
    assert after - before < 500, (before, after)
    assert after < 6_000


def test_new_objects_are_not_put_between_those_of_the_checkpoint(checkpointed: Checkpointed, start: Start) -> None:
    app = (
        MEASURE
        + LARGE
        + """
    del nodes[::3]
    blobs = [bytearray(number) for number in range(600, 60_000, 30)]
    del blobs[::2]

    def handler(event, context):
        before = private_kilobytes("/.whipsnake/checkpoint")
        kept = [Node(number) for number in range(5_000)], [bytearray(number) for number in range(600, 6_000, 20)]
        return [before, private_kilobytes("/.whipsnake/checkpoint"), len(kept)]
    """
    )
    run = start(checkpointed({"app.py": app}))
    assert is_restored(run)
    before, after, _ = run.response
    assert after - before < 500, (before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_an_idle_function_has_little_memory_of_its_own(checkpointed: Checkpointed, start: Start, kind: Kind) -> None:
    app = (
        MEASURE
        + """
    import decimal, email.message, http.client, json, logging, urllib.request, xml.etree.ElementTree

    def handler(event, context):
        return private_kilobytes("/.whipsnake/checkpoint")
    """
    )
    run = start(checkpointed({"app.py": app}, kind))
    assert is_restored(run)
    assert run.response < 2_500


def test_collections_go_on_in_a_restored_process(checkpointed: Checkpointed, start: Start) -> None:
    app = """
        import gc, weakref

        class Cycle:
            def __init__(self):
                self.self = self

        def handler(event, context):
            references = [weakref.ref(Cycle()) for _ in range(20_000)]
            gone = sum(reference() is None for reference in references)
            last = weakref.ref(Cycle())
            gc.collect()
            return [gc.isenabled(), gone > 1_000, last() is None, gc.get_threshold()[0] < 10_000]
    """
    for kind in KINDS:
        assert start(checkpointed({"app.py": app}, kind)).response == [True, True, True, True]
