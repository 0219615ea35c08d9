"""pyproject.toml, requirements/, the tests and the README speak of the same tools, in the same versions."""

import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOLS: dict[str, list[str]] = tomllib.loads((HERE / "pyproject.toml").read_text())["dependency-groups"]


def test_every_tool_has_its_test_and_its_requirements() -> None:
    assert {path.stem for path in (HERE / "requirements").iterdir()} == TOOLS.keys()
    assert {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")} == {*TOOLS, "pins"}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tools_requirements_are_what_was_asked_for(tool: str) -> None:
    """`make pins` has run since."""
    lines = (HERE / "requirements" / f"{tool}.txt").read_text().splitlines()
    resolved = {line.split()[0] for line in lines if not line.startswith(("#", " "))}
    assert resolved
    for asked in TOOLS[tool]:
        name, _, version = asked.partition("==")
        assert f"{name.partition('[')[0]}=={version}" in resolved


def test_the_readme_lists_every_version() -> None:
    table = (HERE / "README.md").read_text()
    for asked in (requirement for tool in TOOLS.values() for requirement in tool):
        name, _, version = asked.partition("==")
        assert f"{name.partition('[')[0]} {version}" in table
