"""docs/reference/checkpoint-packages.md: packages, whether functions with them start from checkpoints, and what to know."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from checkpoint_packages.programs import Program

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parents[1] / "docs/reference/checkpoint-packages.md"
PINS = [TESTS / "checkpoint_packages/pyproject.toml", TESTS / "ecosystem/pyproject.toml"]

HEAD = """\
<!-- Written by `make checkpoint-packages WHIPSNAKE_WRITE_DOCS=1`: python/tests/checkpoint_packages. Do not edit. -->

# Packages that start from a checkpoint

Use this page to find out whether a package works in a function with a checkpoint, and what to look out for. For each
row a function does something that is typical for the package. The test runs it after an ordinary start and from a
checkpoint of each kind, with several invocations each, and compares the responses, the log, and what other servers
received. *Same* means that nothing differs. *Refused* means that `whipsnake pack` makes no checkpoint and says why.
Python is CPython 3.14 on x86-64.

This holds for every package:

- With `init`, what the module prints, sends or computes at import happens once, when the function is packed. With
  `imports`, the function's own modules run at each cold start. `pack` runs them once as well, to find out which modules
  they import.
- A connection that was made at import is closed after a restore with `init`. Connection pools open another one. For a
  single connection, connect in the handler, or in a function that you register with
  `snapshot_restore_py.register_after_restore`.
- Variables that a package reads at import have to be the same when the function is packed. Pass them with `--env` or
  `--env-file`.

| package | version | function | `init` | `imports` | what to know |
|---|---|---|---|---|---|
"""

KINDS = ("init", "imports")


def page(programs: Sequence[Program]) -> str:
    """The whole page."""
    return HEAD + "".join(map(_row, programs)) + f"\n{_summary(programs)}\n"


def _row(program: Program) -> str:
    verdicts = ["refused" if kind in program.refused else "same" for kind in KINDS]
    versions = ", ".join(version_of(package) for package in program.packages)
    source = f"[{program.function}](../../python/tests/checkpoint_packages/functions/{program.function}.py)"
    cells = (", ".join(program.packages), versions, source, *verdicts, program.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _summary(programs: Sequence[Program]) -> str:
    same = {kind: sum(kind not in program.refused for program in programs) for kind in KINDS}
    return f"{len(programs)} functions: {same['init']} are the same with `init`, {same['imports']} with `imports`."


def version_of(package: str) -> str:
    """The version that one of the groups pins."""
    for file in PINS:
        for group in tomllib.loads(file.read_text())["dependency-groups"].values():
            for requirement in group:
                name, _, version = requirement.partition("==")
                if name.partition("[")[0].lower() == package.lower():
                    return str(version)
    raise ValueError(f"no group of {', '.join(map(str, PINS))} pins {package}")
