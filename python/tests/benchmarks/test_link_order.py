"""crates/bootstrap/start.ld, by which the linker puts together what a start runs, still fits the code that is linked.

A pattern that matches nothing does no harm and no good, so nothing else notices when functions have been renamed, or when the
linker has not used the script. `make order` writes it again.
"""

import itertools
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from conftest import PlayFunction

PATTERN = re.compile(r"^    (\S+\(\S+\))$", re.MULTILINE)
OF_RUST = re.compile(r"\*\(\.text\.(?:hot\.|unlikely\.)?(_(?:ZN|R).*)\)")
OF_CPYTHON = re.compile(r"\*:(\S+\.o)\((\S+)\)")

MATCHED = 0.85
"""Which part of the patterns has to match. All do in the build that the script was made of. Another CPython, or a build without
link-time optimization, lacks some of the functions."""
IN_ORDER = 0.95
"""Which part of the functions has to come after the one that the script has before it. Without the script it is some 60 %."""


@pytest.fixture(scope="module")
def patterns(repository: Path) -> list[str]:
    return PATTERN.findall((repository / "crates/bootstrap/start.ld").read_text())


@pytest.fixture(scope="module")
def functions(bootstrap: Path) -> dict[str, int]:
    """Addresses by the names that the linker knows."""
    told = subprocess.run(["nm", "--defined-only", bootstrap], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in told.splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tTwW"}


def named(pattern: str, names: list[str]) -> list[str]:
    """The functions that a pattern of Rust's means."""
    match = OF_RUST.fullmatch(pattern)
    assert match is not None
    # LLVM gives a suffix to functions that it has made local to the program.
    name = re.compile(".*".join(map(re.escape, match[1].split("*"))) + r"(\.llvm\.\d+)?")
    return list(filter(name.fullmatch, names))


def test_the_functions_of_a_start_lie_in_the_order_of_the_script(patterns: list[str], functions: dict[str, int]) -> None:
    assert functions, "the bootstrap has no symbols: build it with the profile of Cargo.toml"
    of_rust = [pattern for pattern in patterns if OF_RUST.fullmatch(pattern)]
    assert of_rust
    names = list(functions)
    found = {pattern: named(pattern, names) for pattern in of_rust}
    missing = [pattern for pattern in of_rust if not found[pattern]]
    assert len(missing) <= (1 - MATCHED) * len(of_rust), f"run `make order`: these are gone: {missing}"
    places = [min(functions[name] for name in found[pattern]) for pattern in of_rust if found[pattern]]
    in_order = sum(before < after for before, after in itertools.pairwise(places)) / (len(places) - 1)
    assert in_order >= IN_ORDER, f"the linker has not used start.ld: {in_order:.0%} of the functions are in its order"


def test_the_parts_of_cpython_are_in_its_library(patterns: list[str], play: PlayFunction) -> None:
    of_cpython = [match.groups() for match in map(OF_CPYTHON.fullmatch, patterns) if match]
    assert of_cpython
    app = """
        import sysconfig
        def handler(event, context):
            is_shared = "libpython" in open("/proc/self/maps").read()
            return [is_shared, *sysconfig.get_config_vars("LIBPL", "LIBRARY")]
    """
    is_shared, folder, library = play({"app.py": app}, events=[{}]).response
    archive = Path(folder or "", library or "")
    if is_shared and not archive.is_file():
        # Such a CPython cannot be part of a bootstrap, and the linker has none of its code to put in order.
        return
    told = subprocess.run(["readelf", "--wide", "--sections", archive], capture_output=True, text=True, check=True).stdout
    there: set[tuple[str, str]] = set()
    member = ""
    for line in told.splitlines():
        if file := re.match(r"File: .*\((.+)\)$", line):
            member = file[1]
        elif section := re.match(r"\s*\[\s*\d+\] (\S+)", line):
            there.add((member, section[1]))
    sections = Counter(section for _, section in there)
    if sections[".text.hot"] < sections[".text"] / 10:
        # Compiled without a profile: the compiler does not know what is hot.
        of_cpython = [(file, section) for file, section in of_cpython if section == ".text"]
    missing = [f"{file}({section})" for file, section in of_cpython if (file, section) not in there]
    assert len(missing) <= (1 - MATCHED) * len(of_cpython), f"run `make order`: these are gone: {missing}"
