"""An archive that is not what the files are is never used, and said to be so."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PlayFunction
from pack.conftest import Unpacked
from playing import Run

FILES = {
    "app.py": """
        import sys
        compiled = []
        sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == 'compile' else None)
        import solar.planets
        def handler(event, context):
            return [solar.planets.count, [name.rpartition('/')[2] for name in compiled if 'frozen' not in name]]
    """,
    "solar/__init__.py": "",
    "solar/planets.py": "count = 8\n",
}
NOTHING_COMPILED = [8, []]
HEADER, ENTRY = 64, 40


@pytest.fixture
def task_root(unpacked: Unpacked) -> Path:
    return unpacked(FILES)


@pytest.fixture
def planets(task_root: Path) -> Path:
    return task_root / "solar/planets.py"


@pytest.fixture
def run(play: PlayFunction, task_root: Path) -> Callable[[], Run]:
    # What the first run compiles, the second would find.
    return lambda: play(task_root=task_root, events=[{}], environment={"PYTHONDONTWRITEBYTECODE": "1"})


def said(run: Run) -> str:
    [line] = run.stderr.splitlines()
    assert line.startswith("whipsnake: "), line
    assert line.endswith("; run `whipsnake pack` again"), line
    return line


def test_what_is_whole_says_nothing(run: Callable[[], Run]) -> None:
    assert (run().response, run().stderr) == (NOTHING_COMPILED, "")


@pytest.mark.parametrize("source", ["count = 9\n", "count = 10\n", "count = 1"])
def test_a_changed_source_wins(run: Callable[[], Run], planets: Path, source: str) -> None:
    planets.write_text(source)
    changed = run()
    assert changed.response == [int(source[8:]), ["planets.py"]]
    assert f"{planets} is not what was packed into " in said(changed)


def test_the_others_still_come_from_the_archive(run: Callable[[], Run], task_root: Path) -> None:
    app = task_root / "app.py"
    app.write_text(app.read_text() + "\n")
    assert run().response == NOTHING_COMPILED  # what comes after app.py


def test_a_source_of_another_time_is_read(run: Callable[[], Run], planets: Path) -> None:
    """Unpackers that keep no times, and a zip that was made anew with one time for all."""
    for path in planets.parents[1].rglob("*.*"):
        os.utime(path, (315532800, 315532800))
    assert (run().response, run().stderr) == (NOTHING_COMPILED, "")
    planets.write_text("count = 9\n")
    os.utime(planets, (315532800, 315532800))
    assert run().response == [9, ["planets.py"]]


def test_a_change_within_the_second_is_seen(run: Callable[[], Run], planets: Path) -> None:
    packed = planets.stat().st_mtime_ns
    planets.write_text("count = 9\n")
    os.utime(planets, ns=(packed + 1, packed + 1))
    assert run().response == [9, ["planets.py"]]


def test_a_new_module_is_found(run: Callable[[], Run], task_root: Path, planets: Path) -> None:
    (task_root / "solar/dwarfs.py").write_text("count = 5\n")
    planets.write_text("from solar.dwarfs import count\n")
    assert run().response == [5, ["planets.py", "dwarfs.py"]]


def test_a_package_in_the_place_of_a_module_wins(run: Callable[[], Run], planets: Path) -> None:
    planets.with_suffix("").mkdir()
    (planets.with_suffix("") / "__init__.py").write_text("count = 7\n")
    assert run().response == [7, ["__init__.py"]]


def test_a_folder_in_the_place_of_a_module_does_not(run: Callable[[], Run], planets: Path) -> None:
    planets.with_suffix("").mkdir()
    assert (run().response, run().stderr) == (NOTHING_COMPILED, "")


def test_an_extension_module_in_the_place_of_a_module_wins(run: Callable[[], Run], planets: Path) -> None:
    planets.with_suffix(".so").write_bytes(b"no library")
    failed = run().init_error
    assert failed["errorType"] == "Runtime.ImportModuleError"
    assert f"{planets.with_suffix('.so')}: file too short" in failed["errorMessage"]


def test_bytecode_alone_does_not(run: Callable[[], Run], planets: Path) -> None:
    planets.with_suffix(".pyc").write_bytes(b"no bytecode")
    assert run().response == NOTHING_COMPILED


def test_a_source_that_is_gone_is_missed(run: Callable[[], Run], planets: Path) -> None:
    planets.unlink()
    assert "No module named 'solar.planets'" in run().init_error["errorMessage"]


def test_a_link_is_followed(run: Callable[[], Run], planets: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("count = 6\n")
    planets.unlink()
    planets.symlink_to(tmp_path / "elsewhere.py")
    assert run().response == [6, ["planets.py"]]


# What is wrong with the archive itself.


@pytest.fixture
def whole(task_root: Path, archive: Callable[[Path], Path]) -> bytes:
    return archive(task_root).read_bytes()


type Replace = Callable[[bytes], Run]


@pytest.fixture
def with_archive(run: Callable[[], Run], task_root: Path, archive: Callable[[Path], Path]) -> Replace:
    def replace(content: bytes) -> Run:
        archive(task_root).write_bytes(content)
        return run()

    return replace


ALL_COMPILED = [8, ["__init__.py", "planets.py"]]


def with_checksum(header: bytes) -> bytes:
    total = 0xCBF29CE484222325
    for byte in header[:56]:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return header[:56] + struct.pack("<Q", total)


def test_one_for_another_python_is_refused(with_archive: Replace, whole: bytes) -> None:
    header = whole[:16] + b"cpython-309".ljust(16, b"\0") + whole[32:HEADER]
    run = with_archive(with_checksum(header) + whole[HEADER:])
    assert run.response == ALL_COMPILED
    assert "/.whipsnake/modules.archive is not used: it is for cpython-309, and this is cpython-3" in said(run)


def test_one_for_a_preview_of_this_python_is_refused(with_archive: Replace, whole: bytes) -> None:
    header = whole[:12] + bytes([whole[12] ^ 1]) + whole[13:HEADER]
    run = with_archive(with_checksum(header) + whole[HEADER:])
    assert run.response == ALL_COMPILED
    assert "is not used: it is for another build of cpython-3" in said(run)


def test_one_of_another_format_is_refused(with_archive: Replace, whole: bytes) -> None:
    run = with_archive(whole[:8] + struct.pack("<I", 2) + whole[12:])
    assert (run.response, "another version of whipsnake" in said(run)) == (ALL_COMPILED, True)


@pytest.mark.parametrize("length", [0, 7, 63, 64, 200, -1])
def test_one_that_is_cut_off_is_refused(with_archive: Replace, whole: bytes, length: int) -> None:
    run = with_archive(whole[:length])
    assert (run.response, "is not used: it is not whole" in said(run)) == (ALL_COMPILED, True)


# Bytes that stand for each of the fields, and for paths. The crate's own tests flip every bit.
@pytest.mark.parametrize("at", [0, 8, 12, 16, 32, 40, 48, 52, 56])
def test_a_flipped_bit_of_the_header_is_noticed(with_archive: Replace, whole: bytes, at: int) -> None:
    run = with_archive(flipped(whole, at))
    assert (run.response, "is not used: it " in said(run)) == (ALL_COMPILED, True)


@pytest.mark.parametrize("at", [*range(ENTRY, 2 * ENTRY, 4), 3 * ENTRY])
def test_a_flipped_bit_of_the_index_is_noticed(with_archive: Replace, whole: bytes, at: int) -> None:
    """The entry in the middle of three is looked at first; the paths come after all of them."""
    run = with_archive(flipped(whole, HEADER + at))
    assert run.response[0] == 8
    assert "modules.archive" in said(run)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def test_something_else_in_its_place_is_no_archive(
    run: Callable[[], Run], task_root: Path, archive: Callable[[Path], Path]
) -> None:
    archive(task_root).unlink()
    archive(task_root).mkdir()
    assert (run().response, "is not used: " in said(run())) == (ALL_COMPILED, True)


def test_none_at_all_is_nothing_to_tell(run: Callable[[], Run], task_root: Path, archive: Callable[[Path], Path]) -> None:
    archive(task_root).unlink()
    assert (run().response, run().stderr) == (ALL_COMPILED, "")
