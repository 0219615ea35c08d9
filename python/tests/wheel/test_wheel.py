"""The wheel: what is in it, and that it is all that a Python user needs."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from playing import write_files
from wheel.conftest import Installed

FUNCTION = """
    import logging, os, subprocess, sys

    def output_of_python(source):
        return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True).stdout

    def handler(event, context):
        logging.getLogger().warning("running")
        traces = ("LD_", "WHIPSNAKE", "PYTHONHOME")
        return {
            "path": sys.path,
            "executable": sys.executable,
            "prefixes": [sys.prefix, sys.base_prefix],
            "variables": {name: value for name, value in os.environ.items() if name.startswith(traces)},
            "child": output_of_python("import pytest; print(pytest.__file__)"),
        }

    def imported(event, context):
        return __import__(event).__file__
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, {"app.py": FUNCTION, "event.json": '{"a": 1}'})
    return tmp_path


def invoke(installed: Installed, project: Path, handler: str = "app.handler", event: str = "event.json") -> object:
    ran = installed.run("whipsnake", "invoke", handler, "--event", event, cwd=project)
    return json.loads(ran.stdout)


def test_it_says_what_it_is_for(wheel: Path) -> None:
    name, version, interpreter, abi, platform = wheel.stem.split("-")
    assert (name, version) == ("whipsnake", "0.1.0")
    assert re.fullmatch(r"cp3\d\d", interpreter)
    assert abi in (interpreter, f"{interpreter}t")
    # By the word of a tool that knows nothing of ours. It objects to libpython, without which a bootstrap is none.
    auditwheel = Path(sys.executable).with_name("auditwheel")
    told = subprocess.run([auditwheel, "show", wheel], capture_output=True, text=True, check=True)
    assert f'This constrains the platform tag to "{platform}"' in told.stdout


def test_it_has_the_command_the_bootstrap_the_types_and_the_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {info.filename: info for info in archive.infolist()}
        metadata = email.message_from_bytes(archive.read("whipsnake-0.1.0.dist-info/METADATA"))
        licences = archive.read("whipsnake/_bin/LICENCES.txt").decode()
    assert {name.partition("/")[0] for name in files} == {"whipsnake", "whipsnake-0.1.0.dist-info"}
    for program in ("whipsnake", "bootstrap", "restorer"):
        assert (files[f"whipsnake/_bin/{program}"].external_attr >> 16) & 0o111 == 0o111
    assert {"whipsnake/py.typed", "whipsnake/types.py", "whipsnake/testing/plugin.py"} <= files.keys()
    assert metadata["Requires-Python"] == ">=3.12"
    assert metadata["Requires-Dist"] is None
    for crate in ("pyo3", "tokio", "clap"):
        assert re.search(rf"^{crate} \d", licences, re.MULTILINE)
    assert not re.search(r"^(windows|pyo3-build-config)", licences, re.MULTILINE)


def test_it_can_be_built_from_a_source_distribution(
    wheel: Path, installed: Installed, repository: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("source")
    python = os.environ["WHIPSNAKE_WHEEL_PYTHON"]
    build: list[str | Path] = ["uv", "build", "--quiet", "--python", python, "--out-dir", folder]
    subprocess.run([*build, "--sdist", repository / "python"], check=True)
    (source,) = folder.glob("*.tar.gz")
    subprocess.run([*build, "--wheel", source], cwd=folder, check=True)
    (built,) = folder.glob("*.whl")
    assert built.name == wheel.name
    assert python_of(built) == python_of(wheel)
    environment = folder / ".venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", installed.python, environment], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", environment, built], check=True)
    assert isinstance(invoke(Installed(environment, installed.python), project, "app.imported", '"json"'), str)


def python_of(wheel: Path) -> dict[str, bytes | None]:
    """What is in a wheel. Programs may differ: they come from two folders."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(archive.namelist())
        return {name: archive.read(name) if name.endswith((".py", "METADATA", ".txt")) else None for name in names}


def test_a_function_runs_on_the_virtual_environments_python(installed: Installed, project: Path) -> None:
    told = invoke(installed, project)
    assert isinstance(told, dict)
    base = installed.python.parents[1]
    assert told["executable"] == str(installed.folder / "bin" / "python")
    assert told["prefixes"][1] == str(base)
    packages = str(next((installed.folder / "lib").glob("python3*")) / "site-packages")
    standard_library = [folder for folder in told["path"] if folder.startswith(str(base))]
    assert [Path(folder).name for folder in standard_library][1:] == [Path(standard_library[1]).name, "lib-dynload"]
    # As on Lambda: the function, layers, packages, the standard library.
    assert told["path"][0] == str(project)
    assert told["path"].index(packages) < told["path"].index(standard_library[0])
    assert told["child"] == f"{packages}/pytest/__init__.py\n"


def test_a_function_sees_lambdas_variables_and_no_traces_of_the_wheel(installed: Installed, project: Path) -> None:
    told = invoke(installed, project)
    assert isinstance(told, dict)
    assert told["variables"] == {
        "LD_LIBRARY_PATH": f"/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{project}:{project}/lib:/opt/lib"
    }


def test_the_packages_of_the_environment_come_before_the_standard_library_and_behind_the_function(
    installed: Installed, project: Path
) -> None:
    event = project / "event.json"
    event.write_text('"pytest"')
    assert str(installed.folder) in str(invoke(installed, project, "app.imported"))
    write_files(project, {"pytest.py": ""})
    assert invoke(installed, project, "app.imported") == f"{project}/pytest.py"
    # What the managed runtime has imported before the function is the standard library's, whatever the function brings.
    write_files(project, {"queue.py": "", "event.json": '"queue"'})
    assert str(invoke(installed, project, "app.imported")).startswith(str(installed.python.parents[1]))


def test_a_wrapper_script_has_its_turn(installed: Installed, project: Path) -> None:
    source = "import os, sys\ndef handler(event, context): return [os.environ['FROM'], sys.executable, sys.flags.optimize]"
    write_files(project, {"app.py": source, "wrapper": '#!/bin/sh\nexport FROM=wrapper\nexec "$1" -O "$2"\n'})
    (project / "wrapper").chmod(0o755)
    arguments = ["invoke", "app.handler", "--event", "event.json", "--env", f"AWS_LAMBDA_EXEC_WRAPPER={project}/wrapper"]
    ran = installed.run("whipsnake", *arguments, cwd=project)
    assert json.loads(ran.stdout) == ["wrapper", str(installed.folder / "bin" / "python"), 1]


def test_the_log_is_lambdas(installed: Installed, project: Path) -> None:
    ran = installed.run("whipsnake", "invoke", "app.handler", "--event", "event.json", cwd=project)
    assert re.search(r"^\[WARNING\]\t\S+Z\t\S+\trunning$", ran.stderr, re.MULTILINE), ran.stderr


def test_the_command_is_a_module_too(installed: Installed, project: Path) -> None:
    ran = installed.run("python", "-m", "whipsnake", "invoke", "app.handler", "--event", "event.json", cwd=project)
    assert json.loads(ran.stdout)["executable"] == str(installed.folder / "bin" / "python")
    assert installed.run("python", "-m", "whipsnake", "--version", cwd=project).stdout.startswith("whipsnake 0.1.0")
    assert "Usage: whipsnake" in installed.run("whipsnake", "--help", cwd=project).stdout


def test_exit_codes_are_the_commands(installed: Installed, project: Path) -> None:
    write_files(project, {"app.py": "def handler(event, context): raise ValueError"})
    installed.run("whipsnake", "invoke", "app.handler", "--event", "event.json", cwd=project, code=1)
    installed.run("whipsnake", "invoke", "app.handler", "--event", "missing.json", cwd=project, code=2)


@pytest.fixture
def sample(repository: Path, tmp_path: Path) -> Path:
    return shutil.copytree(repository / "docs" / "samples" / "tested", tmp_path / "tested")


def test_pytest_finds_the_plugin_and_the_sample_of_the_guide_passes(installed: Installed, sample: Path) -> None:
    assert "5 passed" in installed.run("pytest", "-W", "error", "--strict-markers", cwd=sample).stdout


def test_a_coverage_that_is_measured_includes_the_function(installed: Installed, sample: Path) -> None:
    settings = sample / "pyproject.toml"
    settings.write_text(settings.read_text() + '\n[tool.coverage.run]\npatch = ["subprocess"]\n')
    printed = installed.run("pytest", "--cov=lambda_function", cwd=sample).stdout
    assert re.search(r"^lambda_function\.py .* 100%$", printed, re.MULTILINE), printed


def test_plain_python_imports_what_functions_import(installed: Installed, tmp_path: Path) -> None:
    source = "import whipsnake.types, whipsnake; print(whipsnake.HttpResponse(201).status, whipsnake.__version__)"
    assert installed.run("python", "-c", source, cwd=tmp_path).stdout == "201 0.1.0\n"
    imported = "import awslambdaric"
    assert "ModuleNotFoundError" in installed.run("python", "-c", imported, cwd=tmp_path, code=1).stderr


def test_doctor_tells_about_the_environments_python(installed: Installed, project: Path) -> None:
    told = installed.run("whipsnake", "doctor", cwd=project).stdout
    assert f"of {installed.python.parents[1]}: " in told
    assert "it does not run here" not in told


def test_the_bootstrap_alone_says_whose_it_is(installed: Installed, tmp_path: Path) -> None:
    (bootstrap,) = installed.folder.glob("lib/python3*/site-packages/whipsnake/_bin/bootstrap")
    ran = subprocess.run(
        [bootstrap],
        env={"LD_LIBRARY_PATH": str(installed.python.parents[1] / "lib"), "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("whipsnake: WHIPSNAKE_PYTHON is not set. This bootstrap is part of a Python package")


def test_a_python_without_a_shared_library_is_told_what_to_do(installed: Installed, project: Path) -> None:
    # It answers the command's questions as one that is elsewhere, where nothing is.
    pretend = "import sys, sysconfig; sys.base_prefix = '/nowhere'; sysconfig.get_config_vars().update(LIBDIR='', LIBPL='')"
    python = project / "python"
    python.write_text(f'#!/bin/sh\nexec "{installed.python}" -I -S -c "{pretend}; exec(sys.argv[1])" "$4"\n')
    python.chmod(0o755)
    arguments = ["invoke", "app.handler", "--event", "event.json"]
    ran = installed.run("whipsnake", *arguments, cwd=project, code=2, WHIPSNAKE_PYTHON=str(python))
    assert f"whipsnake: {python} has no shared library, and functions run in one: there is no libpython3." in ran.stderr
    assert "On Debian and Ubuntu it is in the package libpython3." in ran.stderr
