"""Submodules that the managed runtime has imported before the function are attributes of their parents, without an import."""

import pytest

from conftest import PlayBoth

LISTS = {
    "app.py": """
        import sys
        def handler(event, context):
            names = [name.rpartition(".") for name in sys.modules]
            return sorted([parent, name] for parent, _, name in names if hasattr(sys.modules.get(parent), name))
    """
}

# Not of the standard library. Awslambdaric's own are in N6.
OTHERS = {"awslambdaric", "simplejson"}

ASKS = """
import {parent} as parent, sys
def handler(event, context):
    return [[name, getattr(getattr(parent, name, None), "__name__", None)] for name in event]
"""


@pytest.fixture(scope="session")
def submodules(play_both: PlayBoth) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for parent, name in play_both(LISTS, events=[{}]).reference.response:
        if parent.partition(".")[0] not in OTHERS:
            found.setdefault(parent, []).append(name)
    return found


def test_each_is_an_attribute_of_its_parent(submodules: dict[str, list[str]], play_both: PlayBoth) -> None:
    assert {"collections", "concurrent", "importlib", "json"} <= {*submodules}
    differences = {}
    for parent, names in submodules.items():
        pair = play_both({"app.py": ASKS.format(parent=parent)}, events=[names])
        if pair.reference.response != pair.whipsnake.response:
            differences[parent] = [pair.reference.response, pair.whipsnake.response]
    assert not differences
