"""Checkpoints that were made on this machine, restored on an emulated one with an older processor and another kernel."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from checkpoint_packages import installed, machine

PROCESSOR = "Haswell-noTSX"
"""AVX2, and nothing of AVX-512."""

RESTORED = "restored from a checkpoint"


@dataclass(frozen=True)
class Function:
    """A function whose handler takes the package's fastest code."""

    app: str
    folder: str = ""
    """Of the installed packages."""
    packages: str = ""
    """The names of the folder that it needs, as a regular expression."""
    processors: str = "x86-64-v3"


FUNCTIONS: Mapping[str, Function] = {
    "empty": Function("def handler(event, context): return event"),
    "boto3": Function(
        """
        import boto3
        client = boto3.client("s3", region_name="us-east-1")
        def handler(event, context):
            url = client.generate_presigned_url("get_object", Params={"Bucket": "orders", "Key": "1"})
            return url.partition("?")[0]
        """,
        "boto3",
        ".*",
    ),
    "numpy": Function(
        """
        import numpy as np
        matrix = np.arange(40_000, dtype=np.float64).reshape(200, 200) / 7
        product = matrix @ matrix.T
        def handler(event, context):
            single = matrix.astype(np.float32)
            inverse = np.linalg.inv(np.eye(50) * 3 + matrix[:50, :50] / 1e4)
            cosine = np.sort(np.cos(matrix[0]))[17]
            values = np.trace(matrix @ matrix.T), (single @ single.T).sum(), np.linalg.norm(inverse), cosine
            return [bool(np.array_equal(matrix @ matrix.T, product)), *(float(value) for value in values)]
        """,
        "extension_modules",
        r"numpy(\.libs)?",
    ),
    "pandas": Function(
        """
        import pandas as pd
        def handler(event, context):
            frame = pd.DataFrame({"key": list("abcab") * 100, "value": range(500), "text": ["word"] * 500})
            rolling = float(frame.value.rolling(7).mean().sum())
            return [frame.groupby("key").value.sum().to_dict(), rolling, frame.to_json()[:40]]
        """,
        "extension_modules",
        r"(numpy|pandas)(\.libs)?|dateutil|pytz|tzdata|six\.py",
    ),
    "pydantic": Function(
        """
        import pydantic
        class Item(pydantic.BaseModel):
            name: str
            price: float
        def handler(event, context):
            return Item.model_validate_json('{"name": "%s", "price": 1.5}' % ("é" * 100)).model_dump_json()
        """,
        "extension_modules",
        r"pydantic(_core)?|annotated_types|typing_extensions\.py|typing_inspection",
    ),
    "cryptography": Function(
        """
        import hashlib
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
        def handler(event, context):
            texts = [cipher(b"0" * 32).encrypt(b"1" * 12, b"x" * 10_000, None) for cipher in (AESGCM, ChaCha20Poly1305)]
            texts.append(Ed25519PrivateKey.from_private_bytes(b"k" * 32).sign(b"x" * 1000))
            return [hashlib.sha256(text).hexdigest() for text in texts]
        """,
        "extension_modules",
        r"cryptography(\.libs)?|cffi|_cffi_backend.*|pycparser",
    ),
    "of this machine": Function("def handler(event, context): return event", processors="native"),
}


@dataclass(frozen=True)
class Runs:
    """The output of `whipsnake invoke` for each function."""

    here: Mapping[str, machine.Output]
    there: Mapping[str, machine.Output]


@pytest.fixture(scope="module")
def runs(cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """All functions, because the other machine takes a while to boot."""
    folder = tmp_path_factory.mktemp("processors")
    commands = [invoke(cli, pack(cli, function, folder / str(index))) for index, function in enumerate(FUNCTIONS.values())]
    here = [run_here(command) for command in commands]
    there = machine.run(PROCESSOR, commands, folder)
    return Runs(dict(zip(FUNCTIONS, here, strict=True)), dict(zip(FUNCTIONS, there, strict=True)))


def run_here(command: Sequence[str | Path]) -> machine.Output:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return machine.Output(done.returncode, done.stdout.strip())


def pack(cli: Path, function: Function, folder: Path) -> Path:
    task = folder / "task"
    task.mkdir(parents=True)
    if function.folder:
        for entry in installed.folder_of(function.folder).iterdir():
            if re.fullmatch(function.packages, entry.name) and entry.name != "__pycache__":
                copy = shutil.copytree if entry.is_dir() else shutil.copy2
                copy(entry, task / entry.name)
    (task / "app.py").write_text(dedent(function.app))
    unpacked = folder / "unpacked"
    arguments = ["--handler", "app.handler", "--python", sys.executable, "--cpu", function.processors]
    done = subprocess.run(
        [cli, "pack", task, *arguments, "--checkpoint=init", "--here", "--unpacked", unpacked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return unpacked


def invoke(cli: Path, task: Path) -> list[str | Path]:
    python = os.environ.get("WHIPSNAKE_PYTHON")
    own = ["env", *([f"WHIPSNAKE_PYTHON={python}"] if python else [])]
    return [*own, cli, "invoke", "app.handler", "--task", task, "--event", '{"key": "value"}', "--env", "WHIPSNAKE_LOG=info"]


def response(output: machine.Output) -> object:
    """The line that `whipsnake invoke` prints of the response."""
    lines = output.text.splitlines()
    found = [line for line in lines if line.startswith(('"', "{", "["))]
    assert (output.exit_code, len(found)) == (0, 1), output.text
    return json.loads(found[0])


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.processors != "native"])
def test_a_checkpoint_for_other_processors_runs_on_an_older_one_with_another_kernel(runs: Runs, name: str) -> None:
    here, there = runs.here[name], runs.there[name]
    assert RESTORED in here.text, here.text
    assert RESTORED in there.text, there.text
    assert response(there) == response(here)


def test_a_checkpoint_for_this_machine_is_not_used_on_an_older_one(runs: Runs) -> None:
    here, there = runs.here["of this machine"], runs.there["of this machine"]
    assert RESTORED in here.text, here.text
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    if "avx512f" not in flags:
        pytest.skip("this machine has no AVX-512, which the other one would lack")
    assert "this processor lacks a feature of the one that it was made for: avx512f" in there.text, there.text
    assert RESTORED not in there.text
    assert response(there) == response(here)
