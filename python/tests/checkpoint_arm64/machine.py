"""An emulated machine with an arm64 processor: Debian's kernel and C library, the layer, the command, packages of functions."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path.home() / ".cache/whipsnake"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "trixie"
"""Its C library signs return addresses, and its kernel can turn that off."""

PACKAGES = ["libc6", "libgcc-s1", "libstdc++6", "busybox-static"]
KERNEL = "linux-image-cloud-arm64"
MEGABYTES = 4096
DISK = "3G"

APT_CONFIGURATION = """
Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "{0}/sources"; Dir::Etc::preferencesparts "/dev/null";
Dir::State "{0}"; Dir::State::lists "{0}/lists"; Dir::State::status "{0}/status"; Dir::Cache "{0}/cache";
APT::Sandbox::User ""; APT::Architecture "arm64"; APT::Architectures "arm64";
"""

FOLDERS = [
    "usr/bin",
    "proc",
    "sys",
    "dev",
    "tmp",
    "root",
    "etc",
    "var/task",
    "var/runtime",
    "guest",
    "whipsnake",
    "opt/python",
    "kept",
]

LEFT_OUT = shutil.ignore_patterns("dateutil", "python_dateutil-*", "pandas*", "lxml*", "tests")
"""Of the packages: what no function here needs, or the other group has as well."""

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
ip link set lo up
export HOME=/root PATH=/bin
/python/bin/python3.14 /guest/guest.py
sync
poweroff -f
"""

PROCESSORS = {"neoverse-n1": "neoverse-n1", "max": "max,pauth-impdef=on"}
"""Graviton2's; and one with everything that the emulator knows, signed return addresses among it."""


def base(mirror: str) -> Path:
    """Debian's kernel and C library, fetched if need be."""
    folder = CACHE / f"arm64-{SUITE}"
    if folder.is_dir():
        return folder
    scratch = folder.with_suffix(f".{os.getpid()}")
    for name in ("lists/partial", "cache/archives/partial", "sources", "root"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "sources/debian.sources").write_text(
        f"Types: deb\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    (scratch / "apt.conf").write_text(APT_CONFIGURATION.format(scratch))

    def run(*command: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(scratch / "apt.conf")}
        done = subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True, text=True, timeout=300)
        return done.stdout

    run("apt-get", "-qq", "update")
    depends = [line.split()[-1] for line in run("apt-cache", "depends", KERNEL).splitlines() if "Depends: linux-image" in line]
    run("apt-get", "-qq", "download", *PACKAGES, *depends[:1])
    for package in scratch.glob("*.deb"):
        run("dpkg-deb", "-x", str(package), "root")
    (scratch / "root").rename(folder)
    shutil.rmtree(scratch)
    return folder


@dataclass(frozen=True)
class Contents:
    """What is put on the machine."""

    base: Path
    layer: Path
    python: Path
    programs: list[Path]
    packages: dict[str, Path]


def furnish(root: Path, contents: Contents) -> None:
    """Makes the folder that becomes the machine's disk."""
    shutil.copytree(contents.base / "usr/lib/aarch64-linux-gnu", root / "usr/lib/aarch64-linux-gnu", symlinks=True)
    shutil.copy2(contents.base / "usr/lib/ld-linux-aarch64.so.1", root / "usr/lib/", follow_symlinks=False)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("lib", "bin"):
        (root / name).symlink_to(f"usr/{name}")
    shutil.copy2(contents.base / "usr/bin/busybox", root / "usr/bin/busybox")
    subprocess.run(["unzip", "-q", contents.layer, "-d", root / "opt"], check=True, timeout=120)
    shutil.copytree(contents.python, root / "python", symlinks=True)
    for program in contents.programs:
        shutil.copy2(program, root / "whipsnake")
    # Where the command looks for it.
    (root / "whipsnake/bootstrap").symlink_to("/opt/bootstrap")
    for group in sorted(contents.packages):
        left_out = LEFT_OUT if group != "boto3" else None
        shutil.copytree(contents.packages[group], root / "opt/python", symlinks=True, ignore=left_out, dirs_exist_ok=True)
    shutil.copy2(Path(__file__).with_name("guest.py"), root / "guest")
    (root / "guest/init").write_text(INIT)
    (root / "guest/init").chmod(0o755)


def image(root: Path, file: Path, plans: dict[str, dict[str, Any]]) -> Path:
    """Makes the machine's disk, with what it is to do: by the name of the plan."""
    for name, plan in plans.items():
        (root / f"guest/{name}.json").write_text(json.dumps(plan))
    command: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", root, file, DISK]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return file


def run(contents: Contents, disk: Path, plan: str, processor: str, limit: float) -> tuple[list[dict[str, Any]], str]:
    """Starts the machine and waits for its end. Returns its reports, and all that it has printed."""
    [kernel] = (contents.base / "boot").glob("vmlinuz-*")
    command: list[str | Path] = ["qemu-system-aarch64", "-machine", "virt", "-cpu", PROCESSORS[processor]]
    command += ["-accel", "tcg,thread=multi", "-smp", "2", "-m", str(MEGABYTES), "-nographic", "-no-reboot", "-nic", "none"]
    command += ["-kernel", kernel]
    command += ["-append", f"root=/dev/nvme0n1 rw init=/guest/init console=ttyAMA0 panic=-1 quiet PLAN={plan}"]
    command += ["-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "nvme,serial=1,drive=disk"]
    printed = disk.with_suffix(f".{plan}.{processor}.log")
    try:
        with printed.open("wb") as log:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        with printed.open("a") as log:
            log.write(f"\nstopped after {limit} s\n")
    output = printed.read_text(errors="replace")
    lines = [line.strip() for line in output.splitlines()]
    return [json.loads(line.removeprefix("REPORT ")) for line in lines if line.startswith("REPORT ")], output
