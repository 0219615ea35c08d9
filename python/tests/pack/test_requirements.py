"""The function's files beside those of its requirements, and which wheels are installed."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pack.conftest import ARCHIVE, GREETINGS, Pack, Wheel, names, refusal
from playing import write_files


def test_a_file_in_the_place_of_a_requirements_folder_is_refused(pack: Pack, function: Path, wheel: Wheel) -> None:
    write_files(function, {"greetings": "hello\n"})
    said = refusal(pack, function, "--requirements", wheel(GREETINGS))
    assert "greetings is a file of the function and a folder of its requirements (greetings/__init__.py): rename the" in said


def test_a_folder_in_the_place_of_a_requirements_file_is_refused(pack: Pack, function: Path, wheel: Wheel) -> None:
    write_files(function, {"words/hello.txt": "hello\n"})
    said = refusal(pack, function, "--requirements", wheel({"words": "hello\n"}))
    assert "words is a file of the requirements and a folder of the function (words/hello.txt): rename the function's" in said


@pytest.mark.parametrize(
    ("own", "theirs", "left_out"),
    [
        ("yaml.py", {"yaml/__init__.py": "", "yaml/reader.py": ""}, "yaml/"),
        ("a/yaml.py", {"a/yaml/__init__.py": "", "a/yaml/b/c.py": ""}, "a/yaml/"),
        ("yaml.py", {"yaml.abi3.so": ""}, "yaml.abi3.so"),
        ("yaml/__init__.py", {"yaml/__init__.abi3.so": ""}, "yaml/__init__.abi3.so"),
    ],
)
def test_the_functions_module_wins(
    pack: Pack, function: Path, wheel: Wheel, tmp_path: Path, own: str, theirs: Mapping[str, str], left_out: str
) -> None:
    write_files(function, {own: "x = 1\n"})
    output = tmp_path / "function.zip"
    done = pack(function, "--output", output, "--requirements", wheel({**theirs, "other.py": ""}))
    assert done.returncode == 0, done.stderr
    assert f"whipsnake: the function's {own} replaces {left_out} of its requirements\n" in done.stderr
    packed = [name for name in names(output) if ".dist-info/" not in name]
    assert packed == sorted([ARCHIVE, "app.py", "other.py", own])


@pytest.mark.usefixtures("installer")
def test_two_requirements_with_one_path_give_one_zip(pack: Pack, function: Path, wheel: Wheel, tmp_path: Path) -> None:
    for name in ("zebra", "ant", "mole"):
        wheel({"shared/__init__.py": "", "shared/owner.py": f"owner = {name!r}\n", f"{name}.py": "", "alike.py": ""}, name=name)
    requirements = wheel({"single.py": ""}, name="single")
    zips = set()
    for _ in range(3):
        done = pack(function, "--output", tmp_path / "function.zip", "--requirements", requirements)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stderr.splitlines() if "is packed" in line]
        assert "alike.py and 2 more files came with ant, mole and with zebra, and that of zebra is packed" in line
        zips.add((tmp_path / "function.zip").read_bytes())
    assert len(zips) == 1
    with zipfile.ZipFile(tmp_path / "function.zip") as file:
        assert file.read("shared/owner.py") == b"owner = 'zebra'\n"
        assert {"ant.py", "mole.py", "zebra.py", "single.py"} <= {*file.namelist()}


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("tag", ["2_17", "2_28", "2_34"])
def test_wheels_are_for_the_c_library_of_lambda(packed: Callable[..., Path], function: Path, wheel: Wheel, tag: str) -> None:
    """An installer takes the newest that fits; this machine's C library may well be newer."""
    for platform in (f"manylinux_{tag}_x86_64", "manylinux_2_35_x86_64", "manylinux_2_36_x86_64"):
        requirements = wheel({"greetings/tag.txt": platform}, f"py3-none-{platform}")
    with zipfile.ZipFile(packed(function, "--requirements", requirements, "--arch", "x86_64")) as file:
        assert file.read("greetings/tag.txt") == f"manylinux_{tag}_x86_64".encode()


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("tag", ["manylinux_2_35_x86_64", "manylinux_2_39_x86_64"])
def test_a_wheel_for_a_newer_c_library_is_refused(pack: Pack, function: Path, wheel: Wheel, tag: str) -> None:
    said = refusal(pack, function, "--requirements", wheel(GREETINGS, f"py3-none-{tag}"), "--arch", "x86_64")
    assert " failed, see above" in said


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("tag", ["manylinux_2_17", "manylinux_2_27", "manylinux_2_31", "manylinux2014", "manylinux_2_34"])
def test_wheels_of_every_age_are_found_for_the_other_processor(
    packed: Callable[..., Path], function: Path, wheel: Wheel, tag: str
) -> None:
    requirements = wheel(GREETINGS, f"py3-none-{tag}_aarch64")
    assert "greetings/words.txt" in names(packed(function, "--requirements", requirements, "--arch", "arm64"))
