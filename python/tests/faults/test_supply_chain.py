"""What the project takes from others: named by version and by the hash of its files, under licences that were looked at."""

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
GROUPS: dict[str, list[object]] = tomllib.loads((REPOSITORY / "python" / "pyproject.toml").read_text())["dependency-groups"]
REQUIREMENTS = sorted(
    [
        *(REPOSITORY / "python").glob("requirements/*.txt"),
        *(REPOSITORY / "python").glob("tests/ecosystem/requirements/*.txt"),
        REPOSITORY / "layer" / "sdk.txt",
    ]
)
PINNED = re.compile(r"[\w.-]+==\S+(?: ; [^\\]+)?(?: (?:\\\n    )?--hash=sha256:[0-9a-f]{64})+\n")


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_package_is_pinned_with_hashes(path: Path) -> None:
    requirements = re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE)
    assert requirements
    assert PINNED.sub("", requirements) == ""


@pytest.mark.parametrize("group", GROUPS)
def test_the_pins_are_what_was_asked_for(group: str) -> None:
    """`make pins` has run since."""
    pins = (REPOSITORY / "python" / "requirements" / f"{group}.txt").read_text()
    asked = [requirement for requirement in GROUPS[group] if isinstance(requirement, str)]
    assert [requirement for requirement in asked if f"\n{requirement} " not in pins] == []


def test_every_crate_is_pinned_with_a_checksum() -> None:
    packages = tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"]
    from_elsewhere = [package for package in packages if "source" in package]
    assert from_elsewhere
    assert [package["name"] for package in from_elsewhere if "checksum" not in package] == []
    assert {package["source"].partition("+")[0] for package in from_elsewhere} == {"registry"}
