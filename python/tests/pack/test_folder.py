"""What `whipsnake pack` makes of a folder with unusual files in it."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pack.conftest import ARCHIVE, Pack, Wheel, names, refusal
from playing import write_files

MEGABYTE = 1 << 20

# Links.


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "../secret", "{0}/secret", "../secrets"])
def test_a_link_out_of_the_folder_is_refused(pack: Pack, function: Path, tmp_path: Path, target: str) -> None:
    write_files(tmp_path, {"secret": "secret", "secrets/x": "secret"})
    (function / "link").symlink_to(target.format(tmp_path))
    said = refusal(pack, function)
    assert f"reading {function}/link: it is a link out of the folder, to {os.path.realpath(function / 'link')}: " in said
    assert said.endswith("copy what it leads to, or allow that folder with --allow-links\n")


def test_a_folder_whose_name_begins_alike_is_outside(pack: Pack, function: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"function-2/x": "", "allowed/x": "", "allowed-2/x": ""})
    (function / "link").symlink_to("../function-2")
    assert "it is a link out of the folder" in refusal(pack, function, "--allow-links", tmp_path / "allowed")


def test_a_link_out_of_an_allowed_folder_is_refused(pack: Pack, function: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"allowed/x": ""})
    (tmp_path / "allowed/passwd").symlink_to("/etc/passwd")
    (function / "link").symlink_to("../allowed")
    said = refusal(pack, function, "--allow-links", tmp_path / "allowed")
    assert f"reading {tmp_path}/allowed/passwd: it is a link out of the folder, to /etc/passwd: " in said


def test_an_allowed_folder_that_is_missing_is_named(pack: Pack, function: Path) -> None:
    assert "finding nothing, which --allow-links names: No such file" in refusal(pack, function, "--allow-links", "nothing")


def test_links_within_the_folder_are_followed(packed: Callable[..., Path], function: Path) -> None:
    write_files(function, {"data/x": "", "lib/y.py": ""})
    (function / "again").symlink_to("data")
    (function / "lib/x").symlink_to(function / "data/x")
    expected = [ARCHIVE, "again/x", "app.py", "data/x", "lib/x", "lib/y.py"]
    assert names(packed(function)) == expected


def test_a_tree_of_links_is_refused_soon(pack: Pack, function: Path) -> None:
    """Two links on each of 25 levels lead to 33 million folders."""
    for level in range(25):
        folder = function / f"level-{level}"
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).symlink_to(f"../level-{level + 1}")
    (function / "level-25").mkdir()
    assert "more than 100000 files and folders are found through links: remove some links" in refusal(pack, function)


@pytest.mark.parametrize(("name", "target"), [("link", "nothing"), ("link", "link"), ("data/link.py", "../../gone/x.py")])
def test_a_link_that_leads_nowhere_is_named(pack: Pack, function: Path, name: str, target: str) -> None:
    (function / name).parent.mkdir(exist_ok=True)
    (function / name).symlink_to(target)
    said = refusal(pack, function)
    assert f"reading {function / name}: it is a link to {target}, which cannot be found (" in said
    assert said.endswith("): remove the link\n")


def test_a_lock_of_emacs_is_left_out(packed: Callable[..., Path], function: Path) -> None:
    (function / ".#app.py").symlink_to("somebody@somewhere.4711:1700000000")
    assert names(packed(function)) == [ARCHIVE, "app.py"]


# What is no file, and what may not be meant to be packed.


def test_what_is_no_file_is_left_out_and_named(
    pack: Pack, function: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(function / "pipe")
    monkeypatch.chdir(function)  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    done = pack(function, "--output", tmp_path / "function.zip")
    assert done.returncode == 0
    assert "whipsnake: left out, because they are no files: pipe (a named pipe), socket (a socket)\n" in done.stderr
    assert names(tmp_path / "function.zip") == [ARCHIVE, "app.py"]


def test_secrets_are_named(pack: Pack, function: Path, tmp_path: Path) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"
    write_files(
        function,
        {".env": "TOKEN=1\n", ".env.example": "TOKEN=\n", "deploy/key": key, "roots.pem": "-----BEGIN CERTIFICATE-----\n"},
    )
    done = pack(function, "--output", tmp_path / "function.zip")
    assert done.returncode == 0
    [line] = [line for line in done.stderr.splitlines() if "secrets" in line]
    assert line.endswith("can read: .env, deploy/key")
    (function / ".env").unlink()
    (function / "deploy/key").unlink()
    assert "secrets" not in pack(function, "--output", tmp_path / "function.zip").stderr


def test_a_name_that_is_not_utf_8_is_refused(pack: Pack, function: Path) -> None:
    (Path(os.fsdecode(os.fsencode(function) + b"/caf\xe9.txt"))).touch()
    assert "its name is not UTF-8, which a zip's names are: rename it" in refusal(pack, function)


# Sizes.


def sparse(file: Path, megabytes: float) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as opened:
        opened.truncate(int(megabytes * MEGABYTE))


def test_a_package_that_lambda_would_refuse_is_not_written(pack: Pack, function: Path, tmp_path: Path) -> None:
    sparse(function / "data/large.bin", 150)
    sparse(function / "data/larger.bin", 151)
    said = refusal(pack, function, "--output", tmp_path / "function.zip")
    assert "whipsnake: the package has 301.0 MB unpacked, 51.0 MB above the 250 MB that Lambda allows, so nothing" in said
    assert "its largest files are data/larger.bin (151.0 MB), data/large.bin (150.0 MB), app.py (1 kB)\n" in said
    assert not (tmp_path / "function.zip").exists()


def test_a_file_of_gigabytes_is_refused_before_it_is_read(pack: Pack, function: Path, tmp_path: Path) -> None:
    sparse(function / "model.bin", 11 * 1024)
    for option in ("--output", "--unpacked"):
        said = refusal(pack, function, option, tmp_path / "packed")
        assert "its largest files are model.bin (11264.0 MB), app.py " in said


def test_what_the_function_has_as_well_counts_once(pack: Pack, function: Path, wheel: Wheel, tmp_path: Path) -> None:
    """A folder with its requirements in it, and the file that lists them."""
    sparse(function / "greetings.bin", 130)
    requirements = wheel({"greetings.bin": "\0" * 130 * MEGABYTE})
    done = pack(function, "--output", tmp_path / "function.zip", "--requirements", requirements)
    assert done.returncode == 0, done.stderr


def test_bytecode_counts(pack: Pack, function: Path, tmp_path: Path) -> None:
    write_files(function, {f"m{number}.py": f"x = {number}\n" * 20_000 for number in range(4)})
    used = sum(path.stat().st_size for path in function.iterdir())
    sparse(function / "data.bin", 250 - used / MEGABYTE - 0.01)
    said = refusal(pack, function, "--output", tmp_path / "function.zip")
    assert "above the 250 MB that Lambda allows, so nothing was written; its largest files are data.bin (" in said
    assert ARCHIVE in said
    assert pack(function, "--output", tmp_path / "function.zip", "--bytecode", "none").returncode == 0


def test_a_folder_for_a_container_image_may_be_larger(pack: Pack, function: Path, tmp_path: Path) -> None:
    sparse(function / "data.bin", 251)
    done: subprocess.CompletedProcess[str] = pack(function, "--unpacked", tmp_path / "task")
    assert done.returncode == 0
    assert "above the 250 MB that Lambda allows for a zip: deploy it as a container image" in done.stdout


def test_a_zip_that_is_too_large_for_an_upload_goes_through_s3(pack: Pack, function: Path, tmp_path: Path) -> None:
    (function / "data.bin").write_bytes(os.urandom(51 * MEGABYTE))
    done = pack(function, "--output", tmp_path / "function.zip")
    assert done.returncode == 0
    assert "above the 50 MB that can be uploaded directly: upload it to S3" in done.stdout
    copy, update = done.stdout.splitlines()[-2:]
    assert copy == f"aws s3 cp {tmp_path}/function.zip s3://BUCKET/function.zip"
    assert update.endswith(" --s3-bucket BUCKET --s3-key function.zip")


def test_a_large_source_is_named(pack: Pack, function: Path, tmp_path: Path) -> None:
    (function / "table.py").write_text("TABLE = '''\n" + "row\n" * MEGABYTE + "'''\n" + "# a comment\n" * 100_000)
    done = pack(function, "--output", tmp_path / "function.zip")
    assert done.returncode == 0
    assert "whipsnake: compiling table.py (5.1 MB) takes up to 0.7 GB of memory: keep data in a file" in done.stderr
