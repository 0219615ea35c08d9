"""Every module of awslambdaric, and every name in each. A new release with other names fails here."""

import pytest

from conftest import PlayBoth, reference_python
from playing import Runtime
from reference import HOW_TO_GET_IT

LISTS = {
    "app.py": """
        import importlib, pkgutil
        def handler(event, context):
            if event == "modules":
                package = importlib.import_module("awslambdaric")
                names = [f"awslambdaric.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
                return ["awslambdaric", *names, "runtime_client", "snapshot_restore_py"]
            return dir(importlib.import_module(event))
    """
}

# What the import system sets by itself, by the kind of file that it has found.
OF_IMPORT = {"__cached__", "__file__"}
# Of the original's annotations and conditions, on some versions of Python.
OF_COMPILER = {"__annotate__", "__annotate_func__", "__annotations__", "__conditional_annotations__"}
# For the annotations of the original; ours have none while a function runs.
OF_ANNOTATIONS = {"snapshot_restore_py": {"Any", "Callable", "__author__"}}


@pytest.fixture(scope="session")
def modules(managed: Runtime, play_both: PlayBoth) -> list[str]:  # noqa: ARG001
    if reference_python() is None:
        pytest.skip(HOW_TO_GET_IT)
    found: list[str] = play_both(LISTS, events=["modules"]).reference.response
    return found


def test_every_module_and_every_name_of_the_managed_runtime_can_be_imported(modules: list[str], play_both: PlayBoth) -> None:
    assert len(modules) >= 14
    pair = play_both(LISTS, events=modules)
    differences = {}
    for number, module in enumerate(modules, 1):
        reference, ours = (
            {*run.answers[f"rid-{number}"].json()} if run.answers[f"rid-{number}"].call.endswith("response") else set()
            for run in (pair.reference, pair.whipsnake)
        )
        assert reference, pair.reference.story()
        missing = reference - ours - OF_IMPORT - OF_COMPILER - OF_ANNOTATIONS.get(module, set())
        # Public names of our own would be taken for the original's.
        invented = {name for name in ours - reference if not name.startswith("_")} - {"TYPE_CHECKING"}
        if missing or invented:
            differences[module] = {"missing": sorted(missing), "invented": sorted(invented)}
    assert not differences
