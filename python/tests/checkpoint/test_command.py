"""What `whipsnake invoke` and `whipsnake doctor` say of a function with a checkpoint, and of one that has none."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from playing import write_files

APP = "import os\nMODE = os.environ.get('MODE')\ndef handler(event, context): return MODE\n"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"

type Whipsnake = Callable[..., subprocess.CompletedProcess[str]]
type Unpacked = Callable[..., Path]


@pytest.fixture
def whipsnake(cli: Path, tmp_path: Path) -> Whipsnake:
    """Runs the command, whose bootstrap is in the same folder."""

    def run(*arguments: str | Path, expected: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([cli, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == expected, done.stderr
        return done

    return run


@pytest.fixture
def unpacked(whipsnake: Whipsnake, tmp_path: Path) -> Unpacked:
    """Packs a function with a checkpoint for this machine, as the guide does."""

    def pack(kind: str, *options: str, files: Mapping[str, str] | None = None) -> Path:
        write_files(tmp_path / "function", {"app.py": APP} if files is None else files)
        folder = tmp_path / "unpacked"
        whipsnake(
            *("pack", tmp_path / "function", "--python", sys.executable, "--handler", "app.handler"),
            *(f"--checkpoint={kind}", "--here", "--unpacked", folder, *options),
        )
        return folder

    return pack


def checkpoints(log: str) -> list[str | None]:
    """What each REPORT says of the checkpoint."""
    found = [re.search(r"\tCheckpoint: ([^\t]+)", line) for line in log.splitlines() if line.startswith("REPORT ")]
    return [match and match[1] for match in found]


@pytest.mark.parametrize("kind", ["imports", "init"])
def test_report_says_that_the_function_was_restored(whipsnake: Whipsnake, unpacked: Unpacked, kind: str) -> None:
    done = whipsnake("invoke", "app.handler", "--task", unpacked(kind), "--repeat", "2")
    assert re.search(r"\tInit Duration: \d+\.\d\d ms\tCheckpoint: restored\t$", done.stderr, re.MULTILINE)
    assert checkpoints(done.stderr) == ["restored", None]


def test_report_says_why_the_checkpoint_was_not_used(whipsnake: Whipsnake, unpacked: Unpacked) -> None:
    task = unpacked("init", "--env=MODE=packed")
    done = whipsnake("invoke", "app.handler", "--task", task, "--env=MODE=other")
    assert done.stdout == '"other"\n'
    assert checkpoints(done.stderr) == ["not used (an environment variable differs: MODE)"]


def test_report_of_a_function_whose_checkpoint_is_turned_off_is_lambdas(whipsnake: Whipsnake, unpacked: Unpacked) -> None:
    done = whipsnake("invoke", "app.handler", "--task", unpacked("init"), "--env=WHIPSNAKE_CHECKPOINT=off")
    assert checkpoints(done.stderr) == [None]


def test_the_json_of_an_invocation_has_it(whipsnake: Whipsnake, unpacked: Unpacked) -> None:
    task = unpacked("init")
    done = whipsnake("invoke", "app.handler", "--task", task, "--json", "--repeat", "2")
    assert [json.loads(line)["report"].get("checkpoint") for line in done.stdout.splitlines()] == ["restored", None]
    done = whipsnake("invoke", "app.handler", "--task", task, "--json", "--env=MODE=other")
    assert json.loads(done.stdout)["report"]["checkpoint"] == "not used (an environment variable differs: MODE)"


@pytest.mark.parametrize(
    ("kind", "contents"),
    [("imports", "imports: the third-party modules that the function imports, "), ("init", "init: the whole init phase, ")],
)
def test_the_doctor_describes_a_checkpoint_and_restores_it(
    whipsnake: Whipsnake, unpacked: Unpacked, bootstrap: Path, kind: str, contents: str
) -> None:
    task = unpacked(kind)
    told = whipsnake("doctor", "app.handler", "--task", task).stdout
    _, _, told = told.partition(f"\nCheckpoint in {task}\n  {contents}")
    assert f"\n  for the bootstrap {bootstrap}, " in told
    assert ": that of this machine\n" in told
    assert "\n  this machine can restore it\n" in told
    assert f"\nStart of app.handler in {task}\n" in told
    if kind == "init":
        assert "\n  each of these variables must not be set: MODE\n" in told


def test_the_doctor_names_the_check_that_fails(whipsnake: Whipsnake, unpacked: Unpacked) -> None:
    task = unpacked("init", "--env=MODE=packed")
    told = whipsnake("doctor", "app.handler", "--task", task, "--env=MODE=other").stdout
    assert "\n  each of these variables must have the value it had: MODE\n" in told
    assert "\n  this machine cannot restore it: an environment variable differs: MODE\n" in told


def test_the_doctor_describes_the_checkpoint_in_a_zip(whipsnake: Whipsnake, unpacked: Unpacked, tmp_path: Path) -> None:
    task = unpacked("init")
    package = Path(shutil.make_archive(str(tmp_path / "package"), "zip", task))
    told = whipsnake("doctor", "--task", package).stdout
    assert f"\nCheckpoint in {package}\n  init: the whole init phase, " in told
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as plain:
        plain.writestr("app.py", APP)
    told = whipsnake("doctor", "app.handler", "--task", tmp_path / "plain.zip").stdout
    assert f"\nCheckpoint\n  none in {tmp_path}/plain.zip\n" in told


def test_the_doctor_tells_of_a_damaged_checkpoint(whipsnake: Whipsnake, unpacked: Unpacked) -> None:
    task = unpacked("init")
    checkpoint = task / ".whipsnake/checkpoint"
    contents = bytearray(checkpoint.read_bytes())
    contents[2000] ^= 1
    checkpoint.write_bytes(contents)
    told = whipsnake("doctor", "app.handler", "--task", task).stdout
    assert "\n  it cannot be restored: the header is damaged\n" in told
    assert "\n  this machine cannot restore it: the header is damaged\n" in told


def test_the_doctor_says_whether_a_function_can_have_a_checkpoint(whipsnake: Whipsnake, tmp_path: Path) -> None:
    write_files(tmp_path / "task", {"app.py": THREAD + APP})
    before = sorted((tmp_path / "task").rglob("*"))
    told = whipsnake("doctor", "app.handler", "--task", tmp_path / "task").stdout
    _, _, told = told.partition(f"\nCheckpoint\n  none in {tmp_path}/task; `whipsnake pack --checkpoint` adds one\n")
    imports, init, *lines = told.splitlines()
    assert imports == "  --checkpoint=imports: can be made"
    assert init.startswith("  --checkpoint=init: no checkpoint can be made: threads are running: Thread-1 (sleep) (")
    assert lines[0] == "      app.py:2: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    assert sorted((tmp_path / "task").rglob("*")) == before


def test_the_packer_counts_the_variables_of_libraries(whipsnake: Whipsnake, tmp_path: Path) -> None:
    app = "import os\nfor name in ('MODE', 'HTTPS_PROXY', 'AWS_PROFILE', 'AWS_CA_BUNDLE'): os.environ.get(name)\n" + APP
    write_files(tmp_path / "function", {"app.py": app})
    packed = whipsnake(
        *("pack", tmp_path / "function", "--python", sys.executable, "--handler", "app.handler", "--env=TABLE=orders"),
        *("--checkpoint=init", "--here", "--unpacked", tmp_path / "unpacked"),
    )
    assert "\n  and not set     MODE, 2 settings of the AWS SDK, 1 variable for proxies\n" in packed.stdout
    assert (
        "\n                  If one differs on Lambda, the function starts without the checkpoint: set it with --env.\n"
        in packed.stdout
    )
