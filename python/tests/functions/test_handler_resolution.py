"""Finding the handler, where there is nothing to compare with: see the section of the conformance suite for all else."""

import pytest

from conftest import PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT

NAMES_ITSELF = """
    def handler(event, context):
        return __name__
"""


def test_an_unset_handler_is_an_empty_one(play: PlayFunction) -> None:
    run = play({"app.py": NAMES_ITSELF}, environment={"_HANDLER": None})
    assert run.init_error["errorMessage"] == "Bad handler '': not enough values to unpack (expected 2, got 1)"


MODULES = ["array", "select", "zlib", "binascii"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_no_conflict_for_being_built_into_this_build_of_the_interpreter(play: PlayFunction, module: str) -> None:
    """The managed runtime's interpreter has these in files, whatever the reference here has."""
    run = play({f"{module}.py": NAMES_ITSELF}, handler=f"{module}.handler", events=[{}])
    assert run.response == module


def test_a_file_named_like_a_module_that_tracebacks_need_does_not_harm_the_runtime(play: PlayFunction) -> None:
    """The managed runtime ends over this one, but not with every version of Python."""
    files = {"token.py": "", "app.py": "import token\ndef handler(event, context):\n    1 / event"}
    run = play(files, events=[1, 0, 1])
    assert run.calls[1::2] == ["POST rid-1/response", "POST rid-2/error", "POST rid-3/response"]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT
