"""`whipsnake pack` from outside: what goes into the zip, and what it says."""

import hashlib
import os
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PlayFunction
from pack.conftest import APP, ARCHIVE, GREETINGS, Pack, Wheel, names, refusal, tree
from playing import write_files


@pytest.mark.usefixtures("installer")
def test_the_zip_runs(packed: Callable[..., Path], function: Path, wheel: Wheel, play: PlayFunction, tmp_path: Path) -> None:
    output = packed(function, "--requirements", wheel(GREETINGS), "--handler", "app.handler")
    assert names(output) == [
        ARCHIVE,
        "app.py",
        *(f"greetings-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")),
        "greetings-1.0.dist-info/entry_points.txt",
        "greetings/__init__.py",
        "greetings/words.txt",
    ]
    task_root = tmp_path / "task"
    with zipfile.ZipFile(output) as file:
        file.extractall(task_root)  # keeps no times
    run = play(task_root=task_root, events=[{}])
    assert (run.response, run.stderr) == ("hello", "")
    assert not [*task_root.rglob("*.pyc")]


@pytest.mark.parametrize(
    ("sample", "event", "answer"), [("greeting", {"first_name": "A", "last_name": "B"}, {"message": "Hello A B!"})]
)
def test_a_sample_runs(
    pack: Pack, repository: Path, play: PlayFunction, tmp_path: Path, sample: str, event: object, answer: object
) -> None:
    task_root = tmp_path / "task"
    handler = "lambda_function.lambda_handler"
    pack(repository / "docs/samples" / sample, "--unpacked", task_root, "--handler", handler)
    assert play(task_root=task_root, handler=handler, events=[event]).response == answer


def test_times_in_the_zip_are_those_that_the_archive_expects(packed: Callable[..., Path], function: Path) -> None:
    with zipfile.ZipFile(packed(function)) as file:
        times = {entry.date_time for entry in file.infolist()}
        archive = file.read(ARCHIVE)
    [moment] = times
    expected = time.gmtime(int.from_bytes(archive[32:40], "little"))
    assert moment == expected[:6]


def test_two_packs_give_one_hash(packed: Callable[..., Path], function: Path, wheel: Wheel, tmp_path: Path) -> None:
    requirements = wheel(GREETINGS)
    first = hashlib.sha256(packed(function, "--requirements", requirements).read_bytes()).hexdigest()
    copy = tmp_path / "elsewhere/function"
    shutil.copytree(function, copy)
    os.utime(copy / "app.py", (0, 0))
    assert hashlib.sha256(packed(copy, "--requirements", requirements).read_bytes()).hexdigest() == first
    (copy / "app.py").write_text(APP.replace("hello()", "hello( )"))
    assert hashlib.sha256(packed(copy, "--requirements", requirements).read_bytes()).hexdigest() != first


def test_a_folder_has_its_requirements_beside_it(packed: Callable[..., Path], function: Path, wheel: Wheel) -> None:
    shutil.copy(wheel(GREETINGS), function / "requirements.txt")
    assert "greetings/words.txt" in names(packed(function))


def test_what_the_function_has_itself_wins(packed: Callable[..., Path], function: Path, wheel: Wheel) -> None:
    write_files(function, {"greetings/words.txt": "good day\n"})
    with zipfile.ZipFile(packed(function, "--requirements", wheel(GREETINGS))) as file:
        assert file.read("greetings/words.txt") == b"good day\n"


def test_what_is_of_no_use_stays_at_home(packed: Callable[..., Path], function: Path) -> None:
    left_out = [
        "__pycache__/app.cpython-314.pyc",
        ".git/HEAD",
        "venv/pyvenv.cfg",
        "venv/lib/x.py",
        ".mypy_cache/x",
        f"old/{ARCHIVE}",
    ]
    kept = [".env", "data/model.bin", "tests/test_app.py", "vendored.pyc"]
    write_files(function, dict.fromkeys([*left_out, *kept], "x = 1\n"))
    assert names(packed(function)) == sorted([ARCHIVE, "app.py", *kept])


def test_its_own_zip_is_not_packed(pack: Pack, function: Path) -> None:
    output = function / "function.zip"
    assert [pack(function, "--output", output).returncode for _ in range(2)] == [0, 0]
    assert names(output) == [ARCHIVE, "app.py"]


def test_links_are_followed_and_modes_kept(packed: Callable[..., Path], function: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"allowed/shared/common.py": "x = 1\n"})
    write_files(function, {"bin/tool": "#!/bin/sh\n"})
    (function / "shared").symlink_to(tmp_path / "allowed/shared")
    (function / "tool").symlink_to("bin/tool")
    with zipfile.ZipFile(packed(function, "--allow-links", tmp_path / "allowed")) as file:
        modes = {entry.filename: stat.filemode(entry.external_attr >> 16) for entry in file.infolist()}
    assert modes == {
        ARCHIVE: "-rw-r--r--",
        "app.py": "-rw-r--r--",
        "bin/tool": "-rwxr-xr-x",
        "shared/common.py": "-rw-r--r--",
        "tool": "-rwxr-xr-x",
    }


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("archive", [ARCHIVE]),
        ("files", ["__pycache__/app.CACHE_TAG.pyc"]),
        ("both", [ARCHIVE, "__pycache__/app.CACHE_TAG.pyc"]),
        ("none", []),
    ],
)
def test_bytecode_is_packed_as_it_is_asked_for(
    packed: Callable[..., Path], function: Path, how: str, expected: list[str]
) -> None:
    tag = sys.implementation.cache_tag or ""
    wanted = [name.replace("CACHE_TAG", tag) for name in expected]
    assert names(packed(function, "--bytecode", how)) == sorted([*wanted, "app.py"])


def test_files_of_bytecode_are_used_and_never_stale(pack: Pack, function: Path, play: PlayFunction, tmp_path: Path) -> None:
    (function / "app.py").write_text("def handler(event, context): return handler.__code__.co_filename\n")
    task_root = tmp_path / "task"
    pack(function, "--unpacked", task_root, "--bytecode", "files")
    compiled = next(task_root.rglob("*.pyc"))
    before = compiled.read_bytes()
    assert play(task_root=task_root, events=[{}]).response == f"{task_root}/app.py"
    assert compiled.read_bytes() == before
    (task_root / "app.py").write_text("def handler(event, context): return 'changed'\n")
    assert play(task_root=task_root, events=[{}]).response == "changed"


def test_code_is_told_where_it_will_lie(packed: Callable[..., Path], function: Path) -> None:
    with zipfile.ZipFile(packed(function)) as file:
        assert b"/var/task/app.py" in file.read(ARCHIVE)
    with zipfile.ZipFile(packed(function, "--task-root", "/function/")) as file:
        assert b"/function/app.py" in file.read(ARCHIVE)


def test_an_unpacked_one_is_replaced_and_nothing_else_is(pack: Pack, function: Path, tmp_path: Path) -> None:
    target = tmp_path / "task"
    assert pack(function, "--unpacked", target).returncode == 0
    (function / "app.py").rename(function / "main.py")
    assert pack(function, "--unpacked", target).returncode == 0
    assert sorted(path.name for path in target.iterdir()) == [".whipsnake", "main.py"]
    write_files(tmp_path, {"other/app.py": ""})
    refused = pack(function, "--unpacked", tmp_path / "other")
    assert (refused.returncode, "exists and is not what this command wrote" in refused.stderr) == (2, True)
    assert tree(tmp_path / "other") == {"app.py": b""}


def test_sizes_and_the_next_command_are_printed(pack: Pack, function: Path, tmp_path: Path) -> None:
    output = tmp_path / "function.zip"
    said = pack(function, "--output", output).stdout.splitlines()
    assert [line[:20].strip() for line in said[:4]] == ["function", "module archive", "unpacked", "zipped"]
    assert "left of the 250 MB that Lambda allows" in said[2]
    assert f"sha256 {hashlib.sha256(output.read_bytes()).hexdigest()}" in said
    assert said[-1].startswith("aws lambda update-function-code ")
    assert said[-1].endswith(f"fileb://{output}")


# What is refused.


def test_a_virtual_environment(pack: Pack, function: Path) -> None:
    write_files(function, {"pyvenv.cfg": ""})
    assert "function is a virtual environment: name the folder with the function's code" in refusal(pack, function)


def test_no_folder(pack: Pack, tmp_path: Path) -> None:
    assert "function does not exist: " in refusal(pack, tmp_path / "function")


@pytest.mark.parametrize("handler", ["main.handler", "folder/main.handler"])
def test_a_handler_without_its_module(pack: Pack, function: Path, handler: str) -> None:
    module = handler.removesuffix(".handler")
    said = refusal(pack, function, "--handler", handler)
    assert f"there is no module {module} for the handler {handler}: neither {module}.py nor {module}/__init__.py is in" in said


def test_a_handler_that_is_none(pack: Pack, function: Path) -> None:
    assert 'the handler "handler" is not module.function' in refusal(pack, function, "--handler", "handler")


def test_no_file_of_requirements(pack: Pack, function: Path) -> None:
    assert "there is no file of requirements nothing.txt" in refusal(pack, function, "--requirements", "nothing.txt")


@pytest.mark.parametrize("tag", ["cp311-cp311-manylinux_2_17_x86_64", "py3-none-macosx_11_0_arm64"])
def test_a_requirement_without_a_wheel_for_lambda(pack: Pack, function: Path, wheel: Wheel, tag: str) -> None:
    said = refusal(pack, function, "--requirements", wheel(GREETINGS, tag), "--arch", "arm64")
    assert "greetings" in said.rpartition("whipsnake: ")[0]  # in the installer's words
    assert "on arm64 with " in said
    assert "failed, see above; a package without a wheel for it has to be built there" in said


def test_an_editable_requirement(pack: Pack, function: Path, wheel: Wheel, tmp_path: Path) -> None:
    said = refusal(pack, function, "--requirements", wheel({"greetings.pth": f"{tmp_path}\n"}))
    assert f"greetings.pth leads to {tmp_path}, which is not on Lambda: require that package without -e" in said


def test_an_extension_module_for_another_processor(pack: Pack, function: Path) -> None:
    elf = bytearray(64)
    elf[:7] = b"\x7fELF\x02\x01\x01"
    elf[16:24] = (3).to_bytes(2, "little") + (183).to_bytes(2, "little") + (1).to_bytes(4, "little")
    (function / "fast.cpython-314-x86_64-linux-gnu.so").write_bytes(bytes(elf))
    said = refusal(pack, function, "--arch", "x86_64")
    assert "fast.cpython-314-x86_64-linux-gnu.so cannot be loaded on Lambda: " in said
    assert "arm64" in said


def test_an_extension_module_for_another_system(pack: Pack, function: Path) -> None:
    (function / "fast.cpython-314-darwin.so").write_bytes(b"\xcf\xfa\xed\xfe")
    assert "cannot be loaded on Lambda: it is no Linux library" in refusal(pack, function)


def test_an_extension_module_for_another_c_library(pack: Pack, function: Path) -> None:
    (function / "fast.cpython-314-x86_64-linux-musl.so").write_bytes(b"\x7fELF")
    assert "cannot be loaded on Lambda: it is for musl, and Lambda has glibc" in refusal(pack, function)


def test_a_link_to_a_folder_around_it(pack: Pack, function: Path) -> None:
    (function / "again").symlink_to(function)
    assert "again: it is a link to a folder that it lies in" in refusal(pack, function)
