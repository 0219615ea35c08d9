"""Functions on the layer, where nothing is but the layer, an old C library and Lambda's rules."""

import fnmatch
import json
import re
from pathlib import Path

import pytest

from layer.conftest import OnLambda
from layer.sandbox import GROUP, MEGABYTES, USER, Sandbox


def test_a_sample_greets(on_lambda: OnLambda) -> None:
    module = "def handler(event, context): return f'Hello {event[\"name\"]} in {context.memory_limit_in_mb} MB'"
    assert on_lambda({"app.py": module}, events=[{"name": "Ada"}]).response == "Hello Ada in 128 MB"


def test_it_really_is_a_poor_place(on_lambda: OnLambda, sandbox: Sandbox) -> None:
    module = """
        import ctypes, os

        def versions(symbol, *versions):
            library = ctypes.CDLL("libm.so.6")
            look = ctypes.CDLL(None).dlvsym
            look.restype, look.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
            return [bool(look(library._handle, symbol, version)) for version in versions]

        def refusal(path):
            try:
                open(path, "w")
            except OSError as error:
                return error.strerror

        def handler(event, context):
            with open("/tmp/file", "w") as file:
                file.write("x")
            return {
                "user": [os.getuid(), os.getgid(), os.getgroups()],
                "task": refusal("/var/task/file"),
                "opt": refusal("/opt/file"),
                "devices": sorted(os.listdir("/dev")),
                "hypot": versions(b"hypot", b"GLIBC_2.2.5", b"GLIBC_2.17", b"GLIBC_2.35"),
                "folder": os.getcwd(),
                "own_c_library": os.path.exists("/opt/whipsnake/lib/libc.so.6"),
            }
    """
    told = on_lambda({"app.py": module}, events=[{}]).response
    assert told["user"] == [USER, GROUP, []]
    assert told["task"] == told["opt"] == "Read-only file system"
    assert told["devices"] == ["null", "random", "urandom", "zero"]
    assert told["folder"] == "/var/task"
    # The first and the last have been of x86_64's glibc, the second and the last of arm64's.
    assert any(told["hypot"][:2])
    # The layer of a Python that needs a newer C library brings one.
    assert told["own_c_library"] or not told["hypot"][2]
    if sandbox.memory_group is None:
        pytest.skip("this machine has no memory group for us")
    eats = "def handler(event, context): return len(b'x' * (event << 20))"
    run = on_lambda({"app.py": eats}, events=[8, 2 * MEGABYTES])
    assert (run.responses, run.ending) == ([8 << 20], "signal 9")
    assert run.calls == ["GET next", "POST rid-1/response", "GET next"]


def test_python_lies_where_the_layer_has_it(on_lambda: OnLambda) -> None:
    module = """
        import os, sys, sysconfig

        def handler(event, context):
            return {
                "executable": sys.executable, "prefix": [sys.prefix, sys.exec_prefix, sys.base_prefix],
                "path": sys.path, "os": os.__file__,
                "name": f"python{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}",
                "variables": [sysconfig.get_config_var("LIBDIR"), sysconfig.get_path("purelib")],
            }
    """
    run = on_lambda({"app.py": module}, events=[{}])
    told = run.response
    home, name = "/opt/whipsnake", told["name"]
    plain = name.removesuffix("t")
    assert told["executable"] == f"/opt/bin/{name}"
    assert told["prefix"] == [home] * 3
    assert told["os"] == f"{home}/lib/{name}/os.py"
    assert told["variables"] == [f"{home}/lib", f"{home}/lib/{name}/site-packages"]
    layers = [f"/opt/python/lib/{each}/site-packages" for each in dict.fromkeys([name, plain])]
    first = ["/var/task", *layers, "/opt/python", f"{home}/lib/{name}/site-packages", "/var/runtime"]
    last = [f"{home}/lib/{name.replace('.', '')}.zip", f"{home}/lib/{name}", f"{home}/lib/{name}/lib-dynload"]
    assert told["path"][: len(first) + len(last)] == first + last
    assert (run.stdout, run.stderr) == ("", "")


def test_every_module_of_the_standard_library_that_was_packed_can_be_imported(on_lambda: OnLambda) -> None:
    module = """
        import importlib, os, pathlib, sys, warnings
        warnings.simplefilter("ignore")
        # Jokes, programs, and a file of Debian's for a setuptools that is not there.
        NOT_FOR_IMPORT = {"antigravity", "this", "__main__", "_distutils_system_mod"}

        def handler(event, context):
            folder, failures, count = os.path.dirname(os.__file__), [], 0
            for base, _, files in os.walk(folder):
                if base.startswith(folder + "/site-packages"):
                    continue
                for file in files:
                    path = pathlib.Path(base, file)
                    if base.endswith("lib-dynload"):
                        name = file.split(".")[0]
                    elif path.suffix == ".py":
                        parts = path.relative_to(folder).with_suffix("").parts
                        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                    else:
                        continue
                    if NOT_FOR_IMPORT & set(name.split(".")):
                        continue
                    count += 1
                    try:
                        importlib.import_module(name)
                    except BaseException as error:
                        failures.append(f"{name}: {error!r}")
            return [count, failures]
    """
    count, failures = on_lambda({"app.py": module}, events=[{}]).response
    assert count > 400
    # What is for other systems says so.
    other = re.compile(r"msvcrt|_winapi|nt\b|winreg|_overlapped|win32|Windows|only (?:valid|works) on|_scproxy|_ios|aix|AIX")
    assert "\n".join(failure for failure in failures if not other.search(failure)) == ""


def test_no_module_is_compiled_at_run_time_but_what_the_list_names(on_lambda: OnLambda, repository: Path) -> None:
    module = """
        import _imp, importlib.util, os

        def is_frozen(path):
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            return _imp.is_frozen(name) or name in ("importlib._bootstrap", "importlib._bootstrap_external")

        def handler(event, context):
            missing = []
            folder = os.path.dirname(os.__file__)
            for base, folders, files in os.walk(folder):
                for file in files:
                    path = os.path.join(base, file)
                    if not file.endswith(".py") or is_frozen(os.path.relpath(path, folder)):
                        continue
                    if not os.path.exists(importlib.util.cache_from_source(path)):
                        missing.append(os.path.relpath(path, folder))
            return missing
    """
    missing = on_lambda({"app.py": module}, events=[{}]).response
    trims = json.loads((repository / "layer" / "trim.json").read_text())
    named = [pattern for trim in trims for pattern in trim.get("bytecode", ())]
    assert [path for path in missing if not any(fnmatch.fnmatchcase(path, pattern) for pattern in named)] == []
    assert "encodings/mac_greek.py" in missing


def test_stack_traces_show_the_standard_librarys_lines(on_lambda: OnLambda) -> None:
    module = "import json\ndef handler(event, context): return json.loads('[')"
    [error] = on_lambda({"app.py": module}, events=[{}]).errors
    last = error["stackTrace"][-1]
    assert re.match(r'  File "/opt/whipsnake/lib/python3\.\d+t?/json/decoder\.py", line \d+, in raw_decode\n', last)
    assert last.endswith('    raise JSONDecodeError("Expecting value", s, err.value) from None\n')


def test_ssl_trusts_what_the_system_trusts(on_lambda: OnLambda) -> None:
    module = """
        import os, ssl

        def handler(event, context):
            trusting = ssl.create_default_context()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            connection = trusting.wrap_bio(incoming, outgoing, server_hostname="example.com")
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                pass
            hello = outgoing.read()
            return [os.environ["SSL_CERT_FILE"], len(trusting.get_ca_certs()) > 50, hello[0], b"example.com" in hello]
    """
    told = on_lambda({"app.py": module}, events=[{}]).response
    # 22: a TLS record of a handshake.
    assert told == ["/etc/pki/tls/certs/ca-bundle.crt", True, 22, True]


def test_libraries_in_c_work(on_lambda: OnLambda) -> None:
    module = """
        import bz2, ctypes, datetime, decimal, hashlib, lzma, sqlite3, uuid, zlib, zoneinfo
        import xml.etree.ElementTree as tree

        def handler(event, context):
            database = sqlite3.connect(":memory:")
            database.execute("create table t (a)")
            database.execute("insert into t values (42)")
            data = b"abc" * 100
            summer = datetime.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
            return {
                "sqlite": database.execute("select a + 1 from t").fetchone(),
                "ctypes": ctypes.CDLL(None).strlen(b"four"),
                "zone": summer.utcoffset().total_seconds(),
                "packed": [module.decompress(module.compress(data)) == data for module in (bz2, lzma, zlib)],
                "hash": hashlib.sha256(b"abc").hexdigest()[:8],
                "fast": hashlib.sha512.__name__,
                "xml": tree.fromstring("<a><b>c</b></a>").findtext("b"),
                "decimal": str(decimal.Decimal(1) / 3),
                "uuid": uuid.uuid4().version,
            }
    """
    told = on_lambda({"app.py": module}, events=[{}]).response
    assert told["sqlite"] == [43]
    assert told["ctypes"] == 4
    assert told["zone"] == 7200
    assert told["packed"] == [True, True, True]
    assert told["hash"] == "ba7816bf"
    assert told["xml"] == "c"
    assert told["decimal"] == "0.3333333333333333333333333333"
    assert told["uuid"] == 4


def test_other_libraries_of_the_same_name_do_not_win(on_lambda: OnLambda) -> None:
    """Lambda's LD_LIBRARY_PATH has the function's own folders in it."""
    wrong = {f"{folder}/{name}": "not a library" for folder in ("lib", "python/lib") for name in LIBRARIES}
    module = """
        import bz2, ctypes, hashlib, lzma, sqlite3, ssl, zlib

        def handler(event, context):
            with open("/proc/self/maps") as maps:
                files = {line.split()[-1] for line in maps if ".so" in line}
            return sorted(file for file in files if not file.startswith("/opt/whipsnake/"))
    """
    task = {"app.py": module, **{f"lib/{name}": "not a library" for name in LIBRARIES}}
    run = on_lambda(task, layer=wrong, events=[{}])
    family = re.compile(r"/(ld|libc|libm|libdl|libpthread|librt|libutil|libgcc_s|libresolv|libnss_\w+)[-.][^/]*$")
    assert [file for file in run.response if not family.search(file)] == []


LIBRARIES = [
    *(f"libpython3.{minor}{threads}.so.1.0" for minor in range(12, 17) for threads in ("", "t")),
    *("libssl.so.3", "libcrypto.so.3", "libsqlite3.so.0", "libz.so.1", "libffi.so.8", "liblzma.so.5", "libbz2.so.1.0"),
]
