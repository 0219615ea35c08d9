"""A Linux no newer than Amazon Linux 2023 that has next to nothing in it: glibc, libgcc_s, libstdc++, time zones, a shell.

Debian has no glibc 2.34: 11 has 2.31, which is too old for what is built on Debian 12, and 12 has 2.36. So it is 12's, with
every version of symbols that is newer than 2.34 renamed: the loader refuses a file that needs one, as it does on Lambda.
`WHIPSNAKE_TEST_ROOT` names another root folder, such as an unpacked `provided.al2023`.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGES = {"bookworm": ["libc6", "tzdata", "dash"], "bullseye": ["libgcc-s1", "libstdc++6"]}
NEWER = re.compile(rb"\0GLIBC_(?=(?:2\.(?:3[5-9]|[4-9]\d)|ABI_DT_RELR)\0)")
FORGOTTEN = b"\0OTHER_"
CACHE = Path.home() / ".cache/whipsnake"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

APT_CONFIGURATION = """
Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "{0}/sources"; Dir::Etc::preferencesparts "/dev/null";
Dir::State "{0}"; Dir::State::lists "{0}/lists"; Dir::State::status "{0}/status"; Dir::Cache "{0}/cache";
APT::Sandbox::User ""; APT::Architecture "{1}"; APT::Architectures "{1}"; Acquire::Check-Valid-Until "false";
"""


def root(architecture: str = "amd64") -> Path | str:
    """The root folder, made if need be; or why it cannot be had."""
    named = os.environ.get("WHIPSNAKE_TEST_ROOT")
    if named:
        return Path(named)
    folder = CACHE / f"glibc-2.34-{architecture}"
    if not folder.is_dir():
        missing = [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
        if missing or not KEYRING.is_file():
            return "an old Linux is made from Debian's packages: on another system name a root folder with WHIPSNAKE_TEST_ROOT"
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            problem = _unpack(Path(scratch), architecture)
            if problem:
                return f"Debian's packages cannot be fetched: {problem}"
            _age(Path(scratch) / "root")
            _furnish(Path(scratch) / "root")
            # Another process may have been faster.
            with contextlib.suppress(OSError):
                (Path(scratch) / "root").rename(folder)
    return folder


def _unpack(scratch: Path, architecture: str) -> str:
    for name in ("lists/partial", "cache/archives/partial", "sources", "root"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "sources/old.sources").write_text(
        f"Types: deb\nURIs: {mirror()}\nSuites: {' '.join(PACKAGES)}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    (scratch / "apt.conf").write_text(APT_CONFIGURATION.format(scratch, architecture))
    run = functools.partial(
        subprocess.run,
        cwd=scratch,
        env={**os.environ, "APT_CONFIG": str(scratch / "apt.conf")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    wanted = [f"{package}/{suite}" for suite, packages in PACKAGES.items() for package in packages]
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "download", *wanted]):
        done = run(command)
        if done.returncode:
            return str(done.stderr).strip()
    for package in scratch.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, scratch / "root"], check=True, timeout=60)
    return ""


def mirror() -> str:
    """Where this machine has its own packages from."""
    sources = [*Path("/etc/apt").glob("sources.list.d/*.sources"), *Path("/etc/apt").glob("sources.list")]
    for source in sorted(sources):
        found = re.search(r"^(?:URIs:|deb)\s+.*?(https?://\S+/debian)/?(?:\s|$)", source.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return ""


def _age(root: Path) -> None:
    """Makes a glibc forget what came after 2.34."""
    changed = 0
    for path in root.rglob("*.so*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith(("libgcc_s", "libstdc++")):
            file = path.read_bytes()
            older = NEWER.sub(FORGOTTEN, file)
            if older != file:
                path.write_bytes(older)
                changed += 1
    assert changed, "no glibc in there"


def _furnish(root: Path) -> None:
    """The folders that Lambda mounts things at, and what Amazon Linux has in places of its own."""
    for name in ("opt", "var/task", "var/runtime", "dev", "proc", "tmp", "etc/pki/tls/certs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if CERTIFICATES.is_file():
        shutil.copy(CERTIFICATES, root / "etc/pki/tls/certs/ca-bundle.crt")
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    root.chmod(0o755)
