"""Where the functions' packages are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def package_folders(repository: Path) -> list[Path]:
    """Where `make checkpoint-packages` has installed the groups: `WHIPSNAKE_CHECKPOINT_PACKAGES`, `WHIPSNAKE_PACKAGES`."""
    own = os.environ.get("WHIPSNAKE_CHECKPOINT_PACKAGES") or repository / "target/checkpoint-packages"
    ecosystem = os.environ.get("WHIPSNAKE_PACKAGES") or repository / "target/ecosystem"
    return [Path(own), Path(ecosystem)]
