"""Another machine, emulated: an older processor and Debian's kernel. It sees this machine's files at the same paths."""

import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KERNEL = Path(os.environ.get("WHIPSNAKE_TEST_KERNEL") or Path.home() / ".cache/whipsnake/kernel")
MODULES = ("virtio_pci", "9pnet_virtio", "9p")
"""For the file system that is shared with this machine."""

SECONDS = 400
"""For a machine with a few functions. Emulated, a start takes some fifty times as long."""

INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc none /proc
for module in %s; do $b insmod /$module.ko || echo "no module $module"; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host
$b mount -t proc none /host/proc
$b mount -t devtmpfs none /host/dev
$b mkdir -p /host/dev/shm
$b mount -t tmpfs none /host/dev/shm
$b ifconfig lo 127.0.0.1 up
$b chroot /host /bin/sh %s
$b poweroff -f
"""


@dataclass(frozen=True)
class Output:
    """What a command printed, its standard error included."""

    exit_code: int
    text: str


def run(processor: str, commands: Sequence[Sequence[str | Path]], folder: Path) -> list[Output]:
    """Boots a machine with this processor and runs commands on it. `folder` is for the machine's files."""
    emulator, busybox = (_program(name) for name in ("qemu-system-x86_64", "busybox"))
    kernel = next(iter(sorted(KERNEL.glob("boot/vmlinuz-*"))), None)
    assert kernel, f"there is no kernel in {KERNEL}: run `.ci/kernel {KERNEL}`, or name a folder with WHIPSNAKE_TEST_KERNEL"
    script = folder / "commands.sh"
    lines = [f"export TMPDIR=/dev/shm HOME=/dev/shm PATH='{os.environ['PATH']}'"]
    for index, command in enumerate(commands):
        quoted = " ".join("'" + str(part).replace("'", "'\\''") + "'" for part in command)
        lines += [f"echo; echo BEGIN {index}; {quoted} 2>&1; echo; echo END {index} $?"]
    script.write_text("\n".join(lines) + "\n")
    initial = folder / "initial.gz"
    initial.write_bytes(gzip.compress(_initial_files(busybox, kernel, script), 1))
    done = subprocess.run(
        [
            *(emulator, "-cpu", processor, "-smp", "2", "-m", "1500", "-no-reboot"),
            *("-display", "none", "-monitor", "none", "-serial", "stdio"),
            *("-kernel", kernel, "-initrd", initial, "-append", "console=ttyS0 panic=-1 quiet mitigations=off"),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    printed = done.stdout.replace("\r", "")
    outputs = []
    for index in range(len(commands)):
        found = re.search(rf"^BEGIN {index}\n(.*)^END {index} (\d+)$", printed, re.DOTALL | re.MULTILINE)
        assert found, f"the machine did not run command {index}:\n{printed}\n{done.stderr}"
        outputs.append(Output(int(found[2]), found[1].strip()))
    return outputs


def _program(name: str) -> Path:
    found = shutil.which(name)
    assert found, f"there is no {name}: apt-get install qemu-system-x86 seabios busybox-static"
    return Path(found)


def _initial_files(busybox: Path, kernel: Path, script: Path) -> bytes:
    """What the kernel starts with, as a cpio archive."""
    modules = _modules(KERNEL / "lib/modules" / kernel.name.removeprefix("vmlinuz-"))
    init = INIT % (" ".join(modules), script)
    files = {"init": init.encode(), "bin/busybox": busybox.read_bytes()}
    files |= {f"{name}.ko": module for name, module in modules.items()}
    entries = [_entry(name, b"", stat.S_IFDIR | 0o755) for name in ("bin", "proc", "host")]
    entries += [_entry(name, content, stat.S_IFREG | 0o755) for name, content in files.items()]
    return b"".join([*entries, _entry("TRAILER!!!", b"", 0)])


def _modules(folder: Path) -> dict[str, bytes]:
    """The kernel's modules, each after those that it depends on."""
    files = {file.name.partition(".")[0].replace("-", "_"): file for file in folder.rglob("*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found or name not in files:
            # Already there, or a part of the kernel itself.
            return
        content = files[name].read_bytes()
        module = lzma.decompress(content) if files[name].suffix == ".xz" else content
        dependencies = re.search(rb"\0depends=([^\0]*)\0", module)
        for dependency in dependencies[1].decode().split(",") if dependencies else []:
            add(dependency.replace("-", "_"))
        found[name] = module

    for name in MODULES:
        add(name)
    return found


def _entry(name: str, content: bytes, mode: int) -> bytes:
    """One file in the format that `cpio` calls newc."""
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
    return header + b"\0" * (-len(header) % 4) + content + b"\0" * (-len(content) % 4)
