"""What `whipsnake pack` writes over, and what it never removes."""

import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from conftest import PlayFunction
from pack.conftest import ARCHIVE, UV, Pack, refusal, tree
from playing import write_files

LIST = ".whipsnake/unpacked.json"


@pytest.fixture
def downloaded(pack: Pack, function: Path, tmp_path: Path) -> Path:
    """A function as somebody unpacked its zip, and went on with it."""
    folder = tmp_path / "downloaded"
    assert pack(function, "--unpacked", folder).returncode == 0
    write_files(folder, {"app.py": "def handler(event, context): return 'edited'\n", ".git/HEAD": "ref: refs/heads/main\n"})
    return folder


# The folder itself.


@pytest.mark.parametrize("target", ["{0}", "{0}/", "{0}/.", "{0}/../downloaded", "link", "link/."])
def test_a_function_is_not_replaced_by_itself(pack: Pack, downloaded: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(downloaded)
    before = tree(downloaded)
    named = str(tmp_path / target) if "{" not in target else target.format(downloaded)
    said = refusal(pack, downloaded, "--unpacked", named)
    assert f"{named} is the function's folder, which it would replace: name another folder with --unpacked" in said
    assert tree(downloaded) == before


def test_a_folder_around_the_function_is_not_replaced(pack: Pack, downloaded: Path, tmp_path: Path) -> None:
    # Also if it looks like something that was unpacked.
    shutil.copytree(downloaded / ".whipsnake", tmp_path / ".whipsnake")
    before = tree(tmp_path)
    assert " contains the function's folder, which it would replace" in refusal(pack, downloaded, "--unpacked", tmp_path)
    assert tree(tmp_path) == before


def test_a_link_to_the_function_is_the_function(pack: Pack, downloaded: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(downloaded)
    before = tree(downloaded)
    assert " is the function's folder" in refusal(pack, tmp_path / "link", "--unpacked", downloaded)
    assert tree(downloaded) == before


def test_the_working_directory_is_looked_at(pack: Pack, downloaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(downloaded)
    before = tree(downloaded)
    assert ". is the function's folder" in refusal(pack, Path(), "--unpacked", ".")
    assert "../ contains the function's folder" in refusal(pack, downloaded, "--unpacked", "../")
    assert tree(downloaded) == before


# Other folders.


def test_what_was_changed_or_added_is_not_removed(pack: Pack, function: Path, downloaded: Path) -> None:
    before = tree(downloaded)
    said = refusal(pack, function, "--unpacked", downloaded)
    assert f"{downloaded} has a file that this command did not write, " in said
    assert said.endswith(": remove it, or name another folder with --unpacked\n")
    assert tree(downloaded) == before


@pytest.mark.parametrize("change", ["app.py", "data/results.csv", ".git/HEAD", ".whipsnake/modules.archive", "x.pyc"])
def test_one_change_is_enough(pack: Pack, function: Path, tmp_path: Path, change: str) -> None:
    target = tmp_path / "task"
    assert pack(function, "--unpacked", target).returncode == 0
    times = (target / "app.py").stat()
    write_files(target, {change: "changed"})
    os.utime(target / change, ns=(times.st_atime_ns, times.st_mtime_ns))
    before = tree(target)
    assert f"{target} has a file that this command did not write, {change}: " in refusal(pack, function, "--unpacked", target)
    assert tree(target) == before


def test_a_link_in_it_is_a_change(pack: Pack, function: Path, tmp_path: Path) -> None:
    target = tmp_path / "task"
    assert pack(function, "--unpacked", target).returncode == 0
    write_files(tmp_path, {"elsewhere/app.py": (target / "app.py").read_bytes()})
    (target / "app.py").unlink()
    (target / "app.py").symlink_to(tmp_path / "elsewhere/app.py")
    before = tree(target)
    assert "did not write, app.py: " in refusal(pack, function, "--unpacked", target)
    assert tree(target) == before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"app.py": 1}'])
def test_a_list_that_is_damaged_proves_nothing(pack: Pack, function: Path, tmp_path: Path, content: str) -> None:
    write_files(tmp_path / "task", {"app.py": "", LIST: content})
    said = refusal(pack, function, "--unpacked", tmp_path / "task")
    assert "task exists and is not what this command wrote: " in said
    assert (tmp_path / "task/app.py").exists()


@pytest.mark.parametrize("how", ["archive", "files", "both", "none"])
def test_what_is_as_it_was_written_is_replaced(
    pack: Pack, function: Path, play: PlayFunction, tmp_path: Path, how: str
) -> None:
    target = tmp_path / "task"
    (function / "app.py").write_text("import other\ndef handler(event, context): return other.answer\n")
    for answer in ("1", "2", "3"):
        (function / "other.py").write_text(f"answer = {answer}\n")
        assert pack(function, "--unpacked", target, "--bytecode", how).returncode == 0
        assert play(task_root=target, events=[{}]).response == int(answer)
        # Python's caches, written when the function ran here, are made again.
        subprocess.run([sys.executable, "-m", "compileall", "-q", target], check=True, timeout=60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["function", "task"]


def test_an_empty_folder_is_filled_and_keeps_its_mode(pack: Pack, function: Path, tmp_path: Path) -> None:
    target = tmp_path / "task"
    target.mkdir(mode=0o750)
    (tmp_path / "link").symlink_to(target)
    assert pack(function, "--unpacked", tmp_path / "link").returncode == 0
    assert (target / "app.py").is_file()
    assert target.stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "link").is_symlink()


def test_a_folder_within_the_function_is_not_packed(pack: Pack, function: Path) -> None:
    for _ in range(2):
        assert pack(function, "--unpacked", function / "build/task").returncode == 0
    assert sorted(tree(function / "build/task")) == [ARCHIVE, LIST, "app.py"]


def test_folders_that_are_missing_are_made(pack: Pack, function: Path, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        assert pack(function, "--unpacked", tmp_path / "a/b/task").returncode == 0
    finally:
        os.umask(old)
    assert (tmp_path / "a/b/task").stat().st_mode & 0o777 == 0o750
    assert "leads through a folder that does not exist" in refusal(pack, function, "--unpacked", tmp_path / "c/../d")
    assert not (tmp_path / "c").exists()


# Zips.


def test_a_file_that_is_no_zip_is_not_replaced(pack: Pack, function: Path) -> None:
    before = tree(function)
    said = refusal(pack, function, "--output", function / "app.py")
    assert "app.py exists and is no zip: name another file with --output" in said
    assert "is a folder: name another file with --output" in refusal(pack, function, "--output", function)
    assert tree(function) == before


def test_a_zip_is_replaced_and_keeps_its_mode(pack: Pack, function: Path, tmp_path: Path) -> None:
    output = tmp_path / "function.zip"
    with zipfile.ZipFile(output, "w"):
        pass
    output.chmod(0o640)
    (tmp_path / "link.zip").symlink_to("function.zip")
    assert pack(function, "--output", tmp_path / "link.zip").returncode == 0
    assert zipfile.is_zipfile(output)
    assert output.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.zip").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["function", "function.zip", "link.zip"]


def test_a_pipe_takes_the_zip(cli: Path, function: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [cli, "pack", function, "--python", sys.executable, "--output", tmp_path / "pipe"]
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as packing:
        zipped = (tmp_path / "pipe").read_bytes()
        assert packing.wait(30) == 0
    assert zipped.startswith(b"PK\x03\x04")


# A disk that is full.


@pytest.fixture
def pack_on_full_disk(cli: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Files of more than 20,000 bytes cannot be written, which fails as late as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    def run(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [cli, "pack", folder, "--python", sys.executable, *options]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            preexec_fn=limit,
        )

    return run


def test_a_full_disk_leaves_the_old_zip(
    pack: Pack, pack_on_full_disk: Callable[..., subprocess.CompletedProcess[str]], function: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out/function.zip"
    assert pack(function, "--output", output).returncode == 0
    before = tree(tmp_path)
    (function / "data").write_bytes(os.urandom(100_000))
    failed = pack_on_full_disk(function, "--output", output)
    assert (failed.returncode, f"writing {output}: " in failed.stderr) == (2, True), failed.stderr
    (function / "data").unlink()
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_the_old_folder(
    pack: Pack, pack_on_full_disk: Callable[..., subprocess.CompletedProcess[str]], function: Path, tmp_path: Path
) -> None:
    target = tmp_path / "task"
    assert pack(function, "--unpacked", target).returncode == 0
    before = tree(tmp_path)
    (function / "data").write_bytes(os.urandom(100_000))
    failed = pack_on_full_disk(function, "--unpacked", target)
    assert (failed.returncode, f"writing {target}: " in failed.stderr) == (2, True), failed.stderr
    (function / "data").unlink()
    assert tree(tmp_path) == before


# Signals, and folders that others can write to.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_nothing_behind(cli: Path, function: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """An installer that would take a minute has begun to write."""
    started = tmp_path / "started"
    script = f"""
        #!/bin/sh
        while [ "$1" != --target ]; do shift; done
        mkdir "$2"
        echo $$ > "$2/x"
        cp "$2/x" {started}
        exec sleep 60
    """
    write_files(tmp_path, {"path/uv": script, "requirements.txt": "greetings\n", "tmp/other": ""})
    environment = os.environ | {"PATH": f"{tmp_path}/path:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "tmp")}
    command: list[str | Path] = [cli, "pack", function, "--python", sys.executable, "--output", tmp_path / "function.zip"]
    command += ["--requirements", tmp_path / "requirements.txt"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as packing:
        while not (started.is_file() and started.read_text().strip()):
            assert packing.poll() is None
        assert len([*(tmp_path / "tmp").iterdir()]) == 2
        packing.send_signal(number)
        assert packing.wait(10) == code
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["other"]
    assert not (tmp_path / "function.zip").exists()
    # A zombie waits for whoever inherited it.
    state = Path(f"/proc/{started.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in {"Z", "X"}


def test_two_commands_at_once_leave_one_whole_folder(cli: Path, function: Path, tmp_path: Path) -> None:
    write_files(function, {f"m{number}.py": f"x = {number}\n" for number in range(200)})
    command: list[str | Path] = [cli, "pack", function, "--python", sys.executable, "--unpacked", tmp_path / "out/task"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["task"]
    assert len(tree(tmp_path / "out/task")) == 203


@pytest.mark.parametrize("option", ["--output", "--unpacked"])
def test_a_signal_at_any_time_leaves_the_old_or_the_new(cli: Path, function: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    command: list[str | Path] = [cli, "pack", function, "--python", sys.executable, option, tmp_path / "out/target"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    random = Random(1)
    seconds = 2.0
    for turn in range(12):
        write_files(function, {f"m{number}.py": f"x = {turn}\n" for number in range(100)})
        before = tree(tmp_path / "out")
        started = time.monotonic()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as packing:
            assert packing.stderr is not None
            if turn == 0:
                assert packing.wait(60) == 0
                seconds = time.monotonic() - started
                continue
            # The handlers are there when it says which Python it found.
            packing.stderr.readline()
            time.sleep(random.uniform(0, seconds))
            packing.send_signal(signal.SIGTERM)
            code = packing.wait(60)
        assert code in {0, 143}
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["target"]
        assert [*(tmp_path / "tmp").iterdir()] == []
        after = tree(tmp_path / "out")
        assert after == before or code == 0 or is_whole(after)


def is_whole(files: dict[str, bytes]) -> bool:
    """A zip, or a folder with everything that its list has."""
    if list(files) == ["target"]:
        return zipfile.ZipFile(io.BytesIO(files["target"])).testzip() is None
    listed: dict[str, str] = json.loads(files[f"target/{LIST}"])
    return {f"target/{path}": digest for path, digest in listed.items()} == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items() if path != f"target/{LIST}"
    }


@pytest.mark.usefixtures("with_uv")
def test_a_planted_folder_is_neither_packed_nor_removed(cli: Path, function: Path, tmp_path: Path) -> None:
    """`exec` keeps the process ID, which earlier versions had in the names of their temporary folders."""
    write_files(tmp_path, {"requirements.txt": "", "tmp/other": ""})
    planting = 'mkdir "$TMPDIR/whipsnake-pack-$$" && echo "x = 1" > "$TMPDIR/whipsnake-pack-$$/planted.py" && exec "$@"'
    command: list[str | Path] = ["sh", "-c", planting, "sh", cli, "pack", function, "--python", sys.executable]
    command += ["--requirements", tmp_path / "requirements.txt", "--output", tmp_path / "function.zip"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PATH": f"{os.environ['PATH']}:{UV}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "function.zip") as file:
        assert file.namelist() == [ARCHIVE, "app.py"]
    assert [path.name for path in (tmp_path / "tmp").rglob("*.py")] == ["planted.py"]
    assert len([*(tmp_path / "tmp").iterdir()]) == 2
