"""Tells where the linker is to put what a start runs, for `crates/bootstrap/start.ld`.

What a linker moves are sections: one for each function of Rust's, a few for each file of CPython's. Those that a start runs lie
together then, the fullest first, and the kernel maps fewer pieces of the file. Needs valgrind, and the map of LLVM's linker.
"""

import argparse
import bisect
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTIONS = [
    "def handler(event, context):\n    return event\n",
    "import json, logging, os\n\ndef handler(event, context):\n    logging.info('%s', json.dumps(event))\n    return event\n",
]
"""The second calls what most functions need; what it calls besides comes behind what every start needs."""

PAGE = 4096
HASH = re.compile(r"(?<=17h)[0-9a-f]{16}(?=E$)|(?<=Cs)[0-9A-Za-z]{8,13}(?=_)")
"""In a name of Rust's: of the types, and of the crate. Both are others with each compiler."""


@dataclass(frozen=True)
class Section:
    """Of an object, as the linker was given it."""

    start: int
    size: int
    object: str
    name: str

    def pattern(self) -> str | None:
        """What a linker script calls it. None for what is neither Rust's nor CPython's."""
        if re.search(r"\._(ZN|R)", self.name):
            return f"*({HASH.sub('*', self.name)})"
        if member := re.search(r"libpython[^/]*\.a\((.+)\)$", self.object):
            return f"*:{member[1]}({self.name})"
        return None

    def fullness(self, pages: set[int]) -> float:
        """Which part of it these pages are."""
        return min(1, len(pages) * PAGE / self.size)


def sections(linked: Path) -> list[Section]:
    """Those of code, by where they are."""
    row = re.compile(r"\s*([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+\s+(\S.*):\((\.text[^)]*)\)")
    matches = filter(None, map(row.fullmatch, linked.read_text().splitlines()))
    found = [Section(int(start, 16), int(size, 16), file, name) for start, size, file, name in (m.groups() for m in matches)]
    return sorted(found, key=lambda section: section.start)


def ran(profile: Path, bootstrap: Path) -> Iterator[int]:
    """Addresses of instructions. Callgrind gives objects by number, and positions relative to the last."""
    objects: dict[str, str] = {}
    current, address = "", 0
    for line in profile.read_text().splitlines():
        if match := re.match(r"(c?)ob=\((\d+)\)(?: (.*))?", line):
            is_callee, number, name = match.groups()
            if name:
                objects[number] = name.strip()
            if not is_callee:
                current = objects[number]
        elif line.startswith(("0", "+", "-")):
            position = line.split()[0]
            value = int(position.lstrip("+-"), 16 if "0x" in position else 10)
            address = {"+": address + value, "-": address - value}.get(position[0], value)
            if current == str(bootstrap):
                yield address


def profile(cli: Path, bootstrap: Path, function: str, folder: Path) -> Path:
    """Runs a function under callgrind until it has answered."""
    (folder / "app.py").write_text(function)
    out = folder / "profile"
    valgrind = ["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}", str(bootstrap)]
    script = {
        "command": valgrind,
        "directory": str(folder),
        "environment": {"_HANDLER": "app.handler", "LAMBDA_TASK_ROOT": str(folder), "PATH": "/usr/bin:/bin"},
        # Nobody catches the signal, so that nothing of an orderly end is counted.
        "next": [{"event": {"message": "a", "numbers": [1, 2.5]}}, {"idle_signal": {"name": "SIGALRM", "after_ms": 100}}],
        "end": "wait",
    }
    subprocess.run([cli, "play", "-"], input=json.dumps(script).encode(), capture_output=True, check=True, timeout=300)
    return out


def fullest_first(there: list[Section], addresses: Iterator[int]) -> list[Section]:
    """Those that these addresses are in."""
    starts = [section.start for section in there]
    touched: dict[Section, set[int]] = {}
    for address in addresses:
        section = there[max(0, bisect.bisect_right(starts, address) - 1)]
        if 0 <= address - section.start < section.size:
            touched.setdefault(section, set()).add(address // PAGE)
    return sorted(touched, key=lambda section: (-section.fullness(touched[section]), section.start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", type=Path, required=True)
    parser.add_argument("--bootstrap", type=Path, required=True, help="with CPython inside it")
    parser.add_argument("--map", type=Path, required=True, help="of the bootstrap, by the linker")
    arguments = parser.parse_args()
    bootstrap = arguments.bootstrap.resolve()
    there = sections(arguments.map)
    patterns: dict[str | None, None] = {}
    for function in FUNCTIONS:
        with tempfile.TemporaryDirectory() as folder:
            run = profile(arguments.cli, bootstrap, function, Path(folder))
            patterns |= dict.fromkeys(section.pattern() for section in fullest_first(there, ran(run, bootstrap)))
    print("/* What a start runs, the fullest sections first. Written by `make order`. */\nSECTIONS {\n  .text : {")
    print(*(f"    {pattern}" for pattern in patterns if pattern), sep="\n")
    print("    *(.text .text.*)\n  }\n}\nINSERT AFTER .init;")


if __name__ == "__main__":
    main()
