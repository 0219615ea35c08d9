"""A process as Lambda would start it: in a root of its own, unprivileged, with little memory."""

import itertools
import os
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = 128
USER, GROUP = 993, 990
LINK = 0o120000

# Arguments: root, task, opt, memory group, then the command. Mounts are this process's own, and end with it.
ENTER = r"""
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 task=$2 opt=$3 group=$4
shift 4
if [ -n "$group" ]; then echo $$ > "$group/cgroup.procs"; fi
mount --bind "$task" "$root/var/task"
mount -o remount,bind,ro "$root/var/task"
mount --bind "$opt" "$root/opt"
mount -o remount,bind,ro "$root/opt"
mount -t tmpfs tmp "$root/tmp"
mount -t tmpfs dev "$root/dev"
for device in null zero random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --rbind /proc "$root/proc"
PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin
exec "$unshare" --root="$root" --wd=/var/task --setgid={group} --setuid={user} "$@"
"""


def missing() -> str:
    """Why this machine cannot do it; empty when it can."""
    if os.geteuid() != 0:
        return "only root can change the root folder"
    if shutil.which("unshare") is None:
        return "unshare is needed (util-linux)"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False, timeout=20
    )
    return f"this machine lets nobody mount: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Sandbox:
    """A root folder, and what Lambda would unpack into /opt."""

    root: Path
    opt: Path
    memory_group: Path | None

    def command(self, task: Path, command: Sequence[str]) -> list[str]:
        """Runs a command in there; the environment is the caller's."""
        script = ENTER.replace("{group}", str(GROUP)).replace("{user}", str(USER))
        script = script.replace("$unshare", str(shutil.which("unshare")))
        group = "" if self.memory_group is None else str(self.memory_group)
        unshare = str(shutil.which("unshare"))
        return [unshare, "--mount", "/bin/sh", "-c", script, "enter", str(self.root), str(task), str(self.opt), group, *command]


def unpack(layer: Path, folder: Path) -> None:
    """Unpacks a layer as Lambda does: with modes and symbolic links."""
    with zipfile.ZipFile(layer) as archive:
        for member in archive.infolist():
            path = folder / member.filename
            mode = member.external_attr >> 16
            path.parent.mkdir(parents=True, exist_ok=True)
            if mode & 0o170000 == LINK:
                path.symlink_to(archive.read(member).decode())
            else:
                path.write_bytes(archive.read(member))
                path.chmod(mode & 0o777)
    for path in itertools.chain([folder], folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
