"""The package `whipsnake` as the wheel has it, without the names of awslambdaric that lie beside it in python/src."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "whipsnake"


def _load() -> None:
    spec = importlib.util.spec_from_file_location("whipsnake", SOURCE / "__init__.py", submodule_search_locations=[str(SOURCE)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["whipsnake"] = module
    spec.loader.exec_module(module)


_load()


@pytest.fixture(scope="session", autouse=True)
def the_command_that_was_built(cli: Path) -> None:
    """Where there is no wheel, the command is named."""
    os.environ["WHIPSNAKE_CLI"] = str(cli)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the package and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "whipsnake").symlink_to(SOURCE)
    return folder
