"""pyproject.toml, requirements/, the functions and the page are about the same packages."""

import os
import tomllib
from pathlib import Path

import pytest

from checkpoint_packages.page import PAGE, page
from checkpoint_packages.programs import FUNCTIONS, PROGRAMS

HERE = Path(__file__).parent
GROUPS: dict[str, list[str]] = tomllib.loads((HERE / "pyproject.toml").read_text())["dependency-groups"]
TOOLS: dict[str, list[str]] = tomllib.loads((HERE.parent / "ecosystem/pyproject.toml").read_text())["dependency-groups"]
QUICK_GROUPS = {"http_clients", "databases", "grpc"}
"""What the Makefile installs for the short form."""


def test_every_function_belongs_to_a_program() -> None:
    assert {path.stem for path in FUNCTIONS.glob("*.py")} == {program.function for program in PROGRAMS}


def test_every_group_is_used_and_has_its_requirements() -> None:
    assert {path.stem for path in (HERE / "requirements").iterdir()} == GROUPS.keys()
    used = {program.folder for program in PROGRAMS}
    assert used >= GROUPS.keys()
    assert used <= GROUPS.keys() | TOOLS.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_requirements_are_what_was_asked_for(group: str) -> None:
    """`make pins` was run after the last change."""
    lines = (HERE / "requirements" / f"{group}.txt").read_text().splitlines()
    resolved = {line.split()[0].lower() for line in lines if not line.startswith(("#", " "))}
    for asked in GROUPS[group]:
        name, _, version = asked.partition("==")
        assert f"{name.partition('[')[0].replace('_', '-')}=={version}" in resolved


def test_the_short_form_needs_few_groups() -> None:
    needed = {program.folder for program in PROGRAMS if program.is_quick}
    assert needed & GROUPS.keys() == QUICK_GROUPS


def test_the_page_is_what_the_programs_say() -> None:
    """`WHIPSNAKE_WRITE_DOCS` has it written instead. What the programs say is what the other tests find."""
    if os.environ.get("WHIPSNAKE_WRITE_DOCS"):
        PAGE.write_text(page(PROGRAMS))
    assert PAGE.read_text() == page(PROGRAMS), f"{PAGE.name} is out of date: `make checkpoint-packages WHIPSNAKE_WRITE_DOCS=1`"
