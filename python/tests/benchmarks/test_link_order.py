"""crates/bootstrap/start.ld, by which the linker puts together what a start runs, still fits the code that is linked.

A pattern in it that matches nothing does no harm and no good, so nothing else notices when functions have other names by now, or
when the linker has not used the script. `make order` writes it again.
"""

import bisect
import re
import subprocess
from pathlib import Path

import pytest

from conftest import PlayFunction

PATTERN = re.compile(r"^    (\S+\(\S+\))$", re.MULTILINE)
OF_RUST = re.compile(r"\*\(\.text\.(?:hot\.|unlikely\.)?(_(?:ZN|R).*)\)")
OF_CPYTHON = re.compile(r"\*:(\S+\.o)\((\S+)\)")

MATCHED = 0.85
"""Which part of the patterns has to match. All do in the build that the script was made of; another CPython, and a build without
link-time optimization, has some functions fewer."""
TOGETHER = 0.95
"""Which part of the functions has to lie together."""


@pytest.fixture(scope="module")
def patterns(repository: Path) -> list[str]:
    return PATTERN.findall((repository / "crates/bootstrap/start.ld").read_text())


@pytest.fixture(scope="module")
def functions(bootstrap: Path) -> dict[str, tuple[int, int]]:
    """Address and size by the names that the linker knows."""
    told = subprocess.run(["nm", "--print-size", "--defined-only", bootstrap], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in told.splitlines())
    return {row[3]: (int(row[0], 16), int(row[1], 16)) for row in rows if len(row) == 4 and row[2] in "tTwW"}


def named(pattern: str, names: list[str]) -> list[str]:
    """The functions that a pattern of Rust's means."""
    match = OF_RUST.fullmatch(pattern)
    assert match is not None
    # LLVM gives a suffix to functions that it has made local to the program.
    name = re.compile(".*".join(map(re.escape, match[1].split("*"))) + r"(\.llvm\.\d+)?")
    return list(filter(name.fullmatch, names))


def test_the_functions_of_a_start_lie_together(patterns: list[str], functions: dict[str, tuple[int, int]]) -> None:
    assert functions, "the bootstrap has no symbols: build it with the profile of Cargo.toml"
    of_rust = [pattern for pattern in patterns if OF_RUST.fullmatch(pattern)]
    assert of_rust
    names = list(functions)
    found = {pattern: named(pattern, names) for pattern in of_rust}
    missing = [pattern for pattern in of_rust if not found[pattern]]
    assert len(missing) <= (1 - MATCHED) * len(of_rust), f"run `make order`: these are gone: {missing}"
    places = sorted({functions[name] for matches in found.values() for name in matches})
    starts = [start for start, _ in places]
    # With a third more room than they need, for those between them that are CPython's or have changed.
    room = sum(size for _, size in places) * 4 // 3
    together = max(bisect.bisect(starts, start + room) - position for position, start in enumerate(starts))
    assert together >= TOGETHER * len(starts), f"the linker has not used start.ld: {together} of {len(starts)} lie together"


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
    missing = [f"{file}({section})" for file, section in of_cpython if (file, section) not in there]
    assert len(missing) <= (1 - MATCHED) * len(of_cpython), f"run `make order`: these are gone: {missing}"
