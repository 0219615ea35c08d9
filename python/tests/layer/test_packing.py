"""What `whipsnake layer` writes, and what it says about input that cannot be packed."""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


def pack(cli: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([cli, "layer", *options], capture_output=True, text=True, check=False, timeout=600)


def options_of_the_layer() -> list[str]:
    """The options of `make layer-test` for the layer."""
    told = {"--libpython": os.environ.get("WHIPSNAKE_LIBPYTHON"), "--libc": os.environ.get("WHIPSNAKE_LIBC")}
    return [word for option, value in told.items() if value for word in (option, value)]


def test_two_runs_give_one_hash(cli: Path, repository: Path, layers: Path, layer_python: Path, tmp_path: Path) -> None:
    wanted = options_of_the_layer()
    packed = pack(cli, "--python", layer_python, *wanted, "--source", repository, "--sdk", "apart", "--output", tmp_path)
    assert packed.returncode == 0, packed.stderr
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.zip")}
    assert len(sums) == 2
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in layers.glob("*.zip")}
    for name, digest in sums.items():
        assert (tmp_path / f"{name}.sha256").read_text() == f"{digest}  {name}\n"
        assert f"sha256 {digest}\n" in packed.stdout
        assert f"--zip-file fileb://{tmp_path / name}" in packed.stdout
    is_static = " (static" in packed.stderr
    assert (
        f"libpython              {'static, in the bootstrap' if is_static else 'shared, among the libraries'}\n"
        in packed.stdout
    )
    assert is_static or "static" not in wanted
    with zipfile.ZipFile(next(layers.glob("whipsnake-[0-9]*.zip"))) as layer:
        assert any("/libpython" in name for name in layer.namelist()) is not is_static


def test_the_bill_names_everything(layer_zip: Path, layers: Path) -> None:
    [of_sdk] = layers.glob("whipsnake-sdk-*.cdx.json")
    bills = [json.loads(path.read_text()) for path in (layer_zip.with_suffix(".cdx.json"), of_sdk)]
    assert [(bill["bomFormat"], bill["specVersion"]) for bill in bills] == [("CycloneDX", "1.6")] * 2
    components = [{component["name"]: component for component in bill["components"]} for bill in bills]
    runtime, sdk = components
    for name in ("cpython", "openssl", "sqlite", "zlib", "pyo3", "hyper", "tokio"):
        assert runtime[name]["version"], name
    assert runtime["openssl"]["cpe"].startswith("cpe:2.3:a:openssl:openssl:")
    assert runtime["hyper"]["purl"] == f"pkg:cargo/hyper@{runtime['hyper']['version']}"
    assert {"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3", "simplejson"} == sdk.keys()
    with zipfile.ZipFile(layer_zip) as layer:
        libraries = [name for name in layer.namelist() if name.startswith("whipsnake/lib/") and name.count("/") == 2]
        for name in libraries:
            [sum_of_file] = runtime[name]["hashes"]
            assert sum_of_file["content"] == hashlib.sha256(layer.read(name)).hexdigest()


def unpacked_size(layer: Path) -> int:
    with zipfile.ZipFile(layer) as members:
        return sum(member.file_size for member in members.infolist())


def test_the_layer_is_small(layer_zip: Path, layers: Path) -> None:
    with zipfile.ZipFile(layer_zip) as layer:
        own = "whipsnake/lib/libc.so.6" in layer.namelist()
    # A C library and its licences.
    zipped, unpacked = (2, 4) if own else (0, 0)
    assert layer_zip.stat().st_size <= (16 + zipped) * MEGABYTE
    # CPython 3.15's library is larger.
    of_python = 43 if "-cp315-" in layer_zip.name else 42
    assert unpacked_size(layer_zip) <= (of_python + unpacked) * MEGABYTE
    assert sum(path.stat().st_size for path in layers.glob("*.zip")) <= (35 + zipped) * MEGABYTE


def test_a_c_library_of_its_own_is_small(layer_zip: Path, own_layer_zip: Path) -> None:
    """As many megabytes as the guide says."""
    assert own_layer_zip.stat().st_size - layer_zip.stat().st_size <= 2 * MEGABYTE
    assert unpacked_size(own_layer_zip) - unpacked_size(layer_zip) <= 4 * MEGABYTE


def test_nobody_can_change_what_is_in_the_layer(layers: Path) -> None:
    for path in layers.glob("*.zip"):
        with zipfile.ZipFile(path) as layer:
            modes = {stat.filemode(member.external_attr >> 16) for member in layer.infolist() if not member.is_dir()}
        assert modes <= {"-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}


def test_nothing_in_the_layer_names_the_machine_that_packed_it(layer_zip: Path, repository: Path, layer_python: Path) -> None:
    """Bytecode holds the paths that its source does. What CPython's own build wrote into its binaries is not ours."""
    prefixes = {layer_python.parents[1], layer_python.resolve().parents[1]} - {Path("/usr"), Path("/usr/local")}
    machine = {str(path).encode() for path in (Path.home() / ".cargo", Path.home() / ".local", repository, *prefixes)}
    with zipfile.ZipFile(layer_zip) as layer:
        files = {name: layer.read(name) for name in layer.namelist()}
    of_cpython: tuple[str, ...] = (".so", ".so.1.0")
    if not any("/libpython3." in name for name in files):
        # CPython's code is in the bootstrap.
        of_cpython += ("bootstrap",)
    named = [
        (name, path) for name, content in files.items() for path in machine if path in content and not name.endswith(of_cpython)
    ]
    assert named == []
    [record] = [content.decode() for name, content in files.items() if re.search(r"/_sysconfigdata\w*[^/]*\.py$", name)]
    variables: dict[str, dict[str, object]] = {}
    exec(record, variables)
    recorded = variables["build_time_vars"]
    assert [recorded[name] for name in ("prefix", "LIBDIR")] == ["/opt/whipsnake", "/opt/whipsnake/lib"]
    # Every absolute path, also behind an option of a compiler.
    paths = {match for value in recorded.values() for match in re.findall(r"(?:^|[\s='\":,]|-[ILR])(/[\w.+-]+)", str(value))}
    assert paths <= {"/opt", "/build", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr"}


def test_the_folder_that_python_is_in_does_not_show(
    cli: Path, repository: Path, layers: Path, layer_python: Path, tmp_path: Path
) -> None:
    """A copy stands for the same Python on another machine."""
    prefix = layer_python.parents[1]
    shutil.copytree(prefix, tmp_path / "copied/python", symlinks=True)
    wanted = options_of_the_layer()
    python = tmp_path / "copied/python/bin" / layer_python.name
    packed = pack(cli, "--python", python, *wanted, "--source", repository, "--output", tmp_path)
    assert packed.returncode == 0, packed.stderr
    [one], [other] = layers.glob("whipsnake-[0-9]*.zip"), tmp_path.glob("whipsnake-[0-9]*.zip")
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        assert first.namelist() == second.namelist()
        assert [name for name in first.namelist() if first.read(name) != second.read(name)] == []


def test_what_is_no_python_is_refused(cli: Path, repository: Path, tmp_path: Path) -> None:
    told = pack(cli, "--python", "/bin/sh", "--source", repository, "--output", tmp_path)
    assert told.returncode == 2
    assert "/bin/sh does not run as a Python 3: " in told.stderr
    assert not list(tmp_path.iterdir())


def test_another_processor_is_refused(cli: Path, repository: Path, layer_python: Path, tmp_path: Path) -> None:
    told = pack(cli, "--arch", "arm64", "--python", layer_python, "--source", repository, "--output", tmp_path)
    assert told.returncode == 2
    assert "it is for x86_64, and the layer for arm64; name a Python for arm64 with --python" in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_module_that_needs_what_lambda_lacks_is_named(
    cli: Path, repository: Path, layer_python: Path, tmp_path: Path
) -> None:
    """A Python like the layer's, with one extension module more."""
    if shutil.which("cc") is None:
        pytest.skip("a C compiler is needed")
    prefix = layer_python.parents[1]
    copy = tmp_path / "python"
    shutil.copytree(prefix, copy, symlinks=True, ignore=shutil.ignore_patterns("test", "config-*", "site-packages", "*.a"))
    [modules] = copy.glob("lib/python3.*/lib-dynload")
    (tmp_path / "fake.c").write_text("int brand_new(void) { return 1; }")
    (tmp_path / "module.c").write_text("int brand_new(void); int f(void) { return brand_new(); }")
    (tmp_path / "versions").write_text("GLIBC_2.99 { brand_new; };")
    shared = ["cc", "-shared", "-fPIC", "-nostdlib", "-o"]
    script = f"-Wl,--version-script={tmp_path / 'versions'}"
    subprocess.run([*shared, "libc.so.6", "fake.c", "-Wl,-soname,libc.so.6", script], cwd=tmp_path, check=True, timeout=60)
    subprocess.run([*shared, modules / "_new.so", "module.c", "./libc.so.6"], cwd=tmp_path, check=True, timeout=60)
    out = tmp_path / "out"
    told = pack(cli, "--python", copy / "bin" / layer_python.name, "--source", repository, "--output", out)
    assert told.returncode == 2
    needs = f"{modules / '_new.so'} needs brand_new of GLIBC_2.99"
    assert f"{needs}, which neither provided.al2023 nor this machine's glibc 2." in told.stderr
    # The first file that is too new: another one where all of this Python is.
    why = re.compile(r"^C library: glibc 2\..*, in the layer\n  because .* needs \w+ of GLIBC_2\.\d+$", re.MULTILINE)
    assert why.search(told.stderr)
    told = pack(cli, "--python", copy / "bin" / layer_python.name, "--libc", "system", "--source", repository, "--output", out)
    assert told.returncode == 2
    assert re.search(r" needs \w+ of GLIBC_2\.\d+, and provided.al2023 is older: take a Python .*--libc own", told.stderr)
    subprocess.run([*shared, "libmissing.so.1", "fake.c", "-Wl,-soname,libmissing.so.1"], cwd=tmp_path, check=True, timeout=60)
    subprocess.run([*shared, modules / "_new.so", "module.c", "./libmissing.so.1"], cwd=tmp_path, check=True, timeout=60)
    told = pack(cli, "--python", copy / "bin" / layer_python.name, "--source", repository, "--output", out)
    assert f"{modules / '_new.so'} needs libmissing.so.1 for " in told.stderr
    assert "name the folder it is in with --libraries" in told.stderr
    assert not out.exists()
