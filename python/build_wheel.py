"""Builds the wheel's programs: command, restorer, and the bootstrap for the Python that builds. hatchling runs it."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

# What every Linux has that a manylinux wheel is for; and the Python's own library, which the machine has with the Python.
LIBRARIES = re.compile(r"lib(c|m|dl|rt|util|pthread)\.so\.\d|libgcc_s\.so\.1|ld-linux-.*|libpython3\.\d+t?\.so\.1\.0")


class BuildHook(BuildHookInterface[Any]):
    """Runs cargo, and names the wheel after what came out."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            # The command is then the one that WHIPSNAKE_CLI names.
            return
        repository, targets = find_repository(Path(self.root))
        tag = next(sys_tags())
        target = targets / "wheel"
        command, restorer, bootstrap = build(repository, target)
        licences = target / "LICENCES.txt"
        licences.write_text(licences_of_crates(repository))
        glibc = max(newest_glibc(command), newest_glibc(bootstrap))
        build_data["pure_python"] = False
        build_data["tag"] = f"{tag.interpreter}-{tag.abi}-manylinux_2_{glibc}_{platform.machine()}"
        build_data["force_include"] = {
            str(command): "whipsnake/_bin/whipsnake",
            str(restorer): "whipsnake/_bin/restorer",
            str(bootstrap): "whipsnake/_bin/bootstrap",
            str(licences): "whipsnake/_bin/LICENCES.txt",
            str(repository / "LICENSE"): "whipsnake/_bin/LICENSE",
        }


def find_repository(root: Path) -> tuple[Path, Path]:
    """The folder with the crates, above this one or in a source distribution this one itself; and where cargo builds."""
    if not (root / "crates").is_dir():
        return root.parent, root.parent / os.environ.get("CARGO_TARGET_DIR", "target")
    python = root / "python"
    if not python.exists():
        # Where the bootstrap's build looks for what it freezes.
        python.symlink_to(".")
    # Not what the environment says: all files of an archive are old, and cargo would take what another version has left.
    return root, root / "target"


def build(repository: Path, target: Path) -> tuple[Path, Path, Path]:
    """Builds the three in a folder of their own: they differ from those of `make build`."""
    cargo = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    flags = [*os.environ.get("RUSTFLAGS", "").split(), f"--remap-path-prefix={cargo}=/cargo"]
    flags.append(f"--remap-path-prefix={target}=/whipsnake")
    configuration = target / "python.cfg"
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(target),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "PYO3_CONFIG_FILE": str(configuration),
        "WHIPSNAKE_WHEEL": "1",
    }

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=repository, env=environment, check=True)

    release = ["cargo", "build", "--quiet", "--locked", "--release", "--package"]
    run(*release, "whipsnake", "--package", "whipsnake-restorer")
    command = target / "release" / "whipsnake"
    # The interpreter itself, and not that of the environment it builds in.
    interpreter = ("--python", sys._base_executable)  # type: ignore[attr-defined]
    # The library is that of the Python which the wheel is installed in.
    run(command, "python", *interpreter, "--libpython", "shared", "--config", configuration)
    run(*release, "whipsnake-bootstrap")
    return command, target / "release" / "restorer", target / "release" / "bootstrap"


def newest_glibc(program: Path) -> int:
    """The minor version of the oldest glibc 2 that has all the symbols."""
    with program.open("rb") as file:
        sections = list(ELFFile(file).iter_sections())
        dynamic = [section for section in sections if isinstance(section, DynamicSection)]
        needed = [tag.needed for section in dynamic for tag in section.iter_tags("DT_NEEDED")]
        versions = [
            version.name
            for section in sections
            if isinstance(section, GNUVerNeedSection)
            for _, of_library in section.iter_versions()
            for version in of_library
        ]
    strangers = [library for library in needed if not LIBRARIES.fullmatch(library)]
    if strangers:
        raise RuntimeError(f"{program} needs {', '.join(strangers)}, which not every Linux has: it cannot go into a wheel")
    return max(int(found[1]) for version in versions if (found := re.match(r"GLIBC_2\.(\d+)", version)))


def licences_of_crates(repository: Path) -> str:
    """The licences of the crates that the two are made of, as those demand."""

    def told(*command: str) -> str:
        command = ("cargo", *command, "--locked")
        return subprocess.run(command, cwd=repository, stdout=subprocess.PIPE, check=True, text=True).stdout

    options = ["--edges", "normal", "--prefix", "none", "--format", "{p}"]
    packages = ("whipsnake", "whipsnake-bootstrap", "whipsnake-restorer")
    tree = told("tree", *(option for package in packages for option in ("--package", package)), *options)
    parts = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    texts = []
    for package in json.loads(told("metadata", "--format-version", "1"))["packages"]:
        folder = Path(package["manifest_path"]).parent
        if package["source"] is None or (package["name"], f"v{package['version']}") not in parts:
            continue
        texts.append(f"{package['name']} {package['version']}: {package['license']}\n")
        files = sorted(path for path in folder.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", path.name))
        texts += [file.read_text(errors="replace") for file in files if file.is_file()]
    return "\n".join(texts)
