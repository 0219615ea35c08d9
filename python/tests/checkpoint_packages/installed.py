"""Where `make checkpoint-packages` has installed the packages: `WHIPSNAKE_CHECKPOINT_PACKAGES`, and `WHIPSNAKE_PACKAGES`."""

import os
from pathlib import Path

TARGET = Path(__file__).parents[3] / "target"
FOLDERS = [
    Path(os.environ.get("WHIPSNAKE_CHECKPOINT_PACKAGES") or TARGET / "checkpoint-packages"),
    Path(os.environ.get("WHIPSNAKE_PACKAGES") or TARGET / "ecosystem"),
]


def folder_of(group: str) -> Path:
    """The folder of a group of ../ecosystem/pyproject.toml or ./pyproject.toml."""
    found = [folder / group for folder in FOLDERS if (folder / group).is_dir()]
    assert found, f"no folder {group} in {FOLDERS}: `make checkpoint-packages` installs the packages and runs these tests"
    return found[0]
