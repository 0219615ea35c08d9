"""A memory group of the kernel's (a control group, of version 1 or 2): what runs in it has so much memory together, and who
takes more is killed. So Lambda holds a function to its size.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

GROUPS = Path("/sys/fs/cgroup")
NEEDED = f"needs a memory group: root, and a memory controller that can be written below {GROUPS}"


@dataclass(frozen=True)
class MemoryGroup:
    """Without swap: what does not fit is not put elsewhere."""

    folder: Path

    parents: ClassVar = (GROUPS / "memory", GROUPS)
    """Of version 1, where the controller has a folder of its own, and of version 2."""
    limits: ClassVar = (("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), ("memory.max", "memory.swap.max"))
    """For each version the memory, and what holds swap back: in the first a limit of both together, in the second its own."""

    @classmethod
    def make(cls, megabytes: int) -> "MemoryGroup | None":
        """None where the kernel does not let us."""
        for parent, (memory, swap) in zip(cls.parents, cls.limits, strict=True):
            size = str(megabytes << 20)
            group = cls(parent / f"whipsnake-{os.getpid()}-{time.monotonic_ns()}")
            try:
                group.folder.mkdir()
                (group.folder / memory).write_text(size)
            except OSError:
                with suppress(OSError):
                    group.folder.rmdir()
            else:
                # A kernel that does not count swap has no such file, and mostly no swap.
                with suppress(OSError):
                    (group.folder / swap).write_text("0" if swap == "memory.swap.max" else size)
                return group
        return None

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command, run in here."""
        return ["/bin/sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$0" "$@"', *map(str, command)]

    def program(self, file: Path, command: Path) -> Path:
        """The same as a file that can be run."""
        file.write_text(f'#!/bin/sh\necho $$ > "{self.folder}/cgroup.procs" && exec "{command}" "$@"\n')
        file.chmod(0o755)
        return file

    @property
    def killed(self) -> int:
        """How many processes have been."""
        events = next(file for name in ("memory.oom_control", "memory.events") if (file := self.folder / name).exists())
        return next(int(line.split()[1]) for line in events.read_text().splitlines() if line.startswith("oom_kill "))

    def remove(self) -> None:
        """With all that still runs in it. Processes that are being killed leave it by and by."""
        for process in (self.folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        until = time.monotonic() + 5
        while True:
            try:
                return self.folder.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
