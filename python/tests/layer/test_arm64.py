"""A layer for Graviton, built and run on another processor: cross-compiled, and emulated by qemu-user.

`WHIPSNAKE_ARM64_PYTHON` names a CPython for arm64: `make layer-test ARCH=arm64 PYTHON=...`.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from layer import old_linux
from layer.conftest import OnLambda, runner, unpacked
from layer.sandbox import Sandbox, missing
from layer.test_c_library import MAPS
from layer.test_packages import CALCULATE, WHEELS, installed
from layer.test_packing import MEGABYTE, unpacked_size
from playing import Player

CACHE = Path.home() / ".cache/whipsnake"
PYTHON = Path(os.environ.get("WHIPSNAKE_ARM64_PYTHON", ""))
ENVIRONMENT = {"PATH": f"{os.environ['PATH']}:{CACHE / 'zigbuild/bin'}", "QEMU_LD_PREFIX": "/usr/aarch64-linux-gnu"}

pytestmark = pytest.mark.skipif(platform.machine() == "aarch64", reason="this is arm64: the other tests are for it")


def problem() -> str:
    """Why a layer for arm64 cannot be made or run here; empty when it can."""
    if not PYTHON.is_file():
        return "no CPython for arm64 is named: `make layer-test ARCH=arm64 PYTHON=/path/to/its/python3.14`"
    try:
        subprocess.run([PYTHON, "-c", ""], check=True, capture_output=True, timeout=60, env={**os.environ, **ENVIRONMENT})
    except (OSError, subprocess.SubprocessError) as error:
        return f"this machine does not run arm64's programs, which takes qemu-user-static and binfmt_misc: {error}"
    if shutil.which("cargo-zigbuild", path=ENVIRONMENT["PATH"]) is None:
        return "cargo-zigbuild is needed, which `make layer ARCH=arm64` installs"
    return missing()


@pytest.fixture(scope="module", params=["system", "own"])
def arm64(request: pytest.FixtureRequest, cli: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A layer on Lambda's C library, and one that brings the C library of the cross compiler's folder."""
    trouble = problem()
    if trouble:
        pytest.skip(trouble)
    root = old_linux.root("arm64")
    if isinstance(root, str):
        pytest.skip(root)
    output = tmp_path_factory.mktemp("dist")
    command: list[str | Path] = [cli, "layer", "--arch", "arm64", "--python", PYTHON, "--libc", request.param]
    command += ["--source", repository, "--output", output]
    packed = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, **ENVIRONMENT}
    )
    assert packed.returncode == 0, packed.stderr
    assert "--compatible-architectures arm64 " in packed.stdout
    [layer] = output.glob("whipsnake-*-arm64.zip")
    assert unpacked_size(layer) <= (46 if request.param == "own" else 42) * MEGABYTE
    # No limit of memory: qemu's own would count.
    return Sandbox(root, unpacked(layer, tmp_path_factory), None)


@pytest.fixture
def on_graviton(arm64: Sandbox, player: Player, tmp_path: Path) -> OnLambda:
    return runner(arm64, player, tmp_path, times_slower=5)


def test_it_is_another_processor(on_graviton: OnLambda) -> None:
    module = "import platform\ndef handler(event, context): return [platform.machine(), event['name']]"
    assert on_graviton({"app.py": module}, events=[{"name": "Ada"}] * 2).responses == [["aarch64", "Ada"]] * 2


def test_a_sample_runs(on_graviton: OnLambda, repository: Path) -> None:
    run = on_graviton(
        {"lambda_function.py": (repository / "docs/samples/greeting/lambda_function.py").read_text()},
        handler="lambda_function.lambda_handler",
        events=[{"first_name": "John", "last_name": "Smith"}],
    )
    assert run.response == {"message": "Hello John Smith!"}


def test_every_library_of_a_process_is_the_layers_if_it_brings_a_c_library(on_graviton: OnLambda, arm64: Sandbox) -> None:
    module = "import maps, ssl, sqlite3\ndef handler(event, context): return maps.libraries()"
    loaded = on_graviton({"app.py": module, "maps.py": MAPS}, events=[{}]).response
    of_the_system = [library for library in loaded if not library.startswith("/opt/")]
    assert (of_the_system == []) is (arm64.opt / "whipsnake/lib/libc.so.6").exists(), loaded


def test_libraries_in_c_work(on_graviton: OnLambda) -> None:
    module = """
        import ctypes, hashlib, sqlite3, ssl, subprocess, sys

        def handler(event, context):
            database = sqlite3.connect(":memory:")
            return {
                "sqlite": database.execute("select 1 + 41").fetchone(),
                "ctypes": ctypes.CDLL(None).strlen(b"four"),
                "hash": hashlib.sha256(b"abc").hexdigest()[:8],
                "authorities": len(ssl.create_default_context().get_ca_certs()) > 50,
                "child": subprocess.check_output([sys.executable, "-c", "import os; print(os.uname().machine)"], text=True),
            }
    """
    assert on_graviton({"app.py": module}, events=[{}]).response == {
        "sqlite": [42],
        "ctypes": 4,
        "hash": "ba7816bf",
        "authorities": True,
        "child": "aarch64\n",
    }


# numpy as well, by hand: the emulator needs minutes to compile what it imports.
@pytest.mark.parametrize("package", ["orjson", "pydantic_core"])
def test_extension_modules_of_wheels_work(on_graviton: OnLambda, tmp_path: Path, package: str) -> None:
    folder = tmp_path / "user"
    trouble = installed(WHEELS[package], PYTHON, folder / "python", **ENVIRONMENT)
    if trouble:
        pytest.skip(f"no wheel of {WHEELS[package]} for arm64: {trouble[-200:]}")
    module, expected = CALCULATE[package]
    answer = on_graviton({"app.py": module}, layer_folder=folder, events=[{}]).response
    assert answer == (pytest.approx(expected) if isinstance(expected, float) else expected)
