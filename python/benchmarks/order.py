"""Tells which functions of CPython a start calls, for `crates/bootstrap/start.order`.

The bootstrap with CPython inside it is linked in that order, so that what a start needs lies together. Needs valgrind and nm.
"""

import argparse
import bisect
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

FUNCTIONS = [
    "def handler(event, context):\n    return event\n",
    "import json, logging, os\n\ndef handler(event, context):\n    logging.info('%s', json.dumps(event))\n    return event\n",
]
"""The second calls what most functions need; what it calls besides comes behind what every start needs."""


class Symbols:
    """The functions of an executable, by where they are."""

    def __init__(self, bootstrap: Path) -> None:
        told = subprocess.run(["nm", "-n", "--defined-only", bootstrap], capture_output=True, text=True, check=True)
        self.names: dict[int, list[str]] = {}
        for line in told.stdout.splitlines():
            address, kind, name = line.split(None, 2)
            if kind in "tTwW":
                self.names.setdefault(int(address, 16), []).append(name)
        self.addresses = sorted(self.names)

    def around(self, address: int) -> list[str]:
        """Those of C alone: the names of Rust's functions change with each compiler."""
        at = bisect.bisect_right(self.addresses, address) - 1
        names = self.names[self.addresses[at]] if at >= 0 else []
        return [name for name in names if not name.startswith(("_ZN", "_R"))]


def called(profile: Path, bootstrap: Path) -> Iterator[int]:
    """Addresses of instructions that ran. Callgrind gives objects by number, and positions relative to the last."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", type=Path, required=True)
    parser.add_argument("--bootstrap", type=Path, required=True, help="with CPython inside it")
    arguments = parser.parse_args()
    bootstrap = arguments.bootstrap.resolve()
    symbols = Symbols(bootstrap)
    names: dict[str, None] = {}
    for function in FUNCTIONS:
        with tempfile.TemporaryDirectory() as folder:
            ran = sorted(called(profile(arguments.cli, bootstrap, function, Path(folder)), bootstrap))
        names.update(dict.fromkeys(name for address in ran for name in symbols.around(address)))
    print("\n".join(names))


if __name__ == "__main__":
    main()
