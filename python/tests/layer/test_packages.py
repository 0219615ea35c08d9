"""A user's layer: packages in /opt/python, with extension modules as wheels bring them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from layer.conftest import OnLambda

CACHE = Path.home() / ".cache/whipsnake"
WHEELS = {"numpy": "numpy==2.4.6", "pydantic_core": "pydantic-core==2.50.4", "orjson": "orjson==3.13.0"}


def installed(requirement: str, python: Path, folder: Path, **variables: str) -> str:
    """Installs a wheel for the layer's Python; or says why there is none."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(CACHE / "uv/bin"))
    if uv is None:
        return "uv is needed to fetch wheels"
    command = [uv, "pip", "install", "--python", str(python), "--only-binary", ":all:", "--target", str(folder), requirement]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "UV_NO_CONFIG": "1", **variables}
    )
    return done.stderr.strip() if done.returncode else ""


def test_the_whole_c_api_is_there_for_extension_modules(on_lambda: OnLambda, layer_python: Path) -> None:
    """What the Python's own library or executable exports, wherever it is in the layer: also what no part of CPython uses."""
    shared = sorted(layer_python.parents[1].glob("lib/libpython3.*.so.1.0"))
    file = shared[0] if shared else layer_python
    told = subprocess.run(["nm", "-D", "--defined-only", file], capture_output=True, text=True, check=True, timeout=20)
    names = {line.split()[-1].partition("@")[0] for line in told.stdout.splitlines()}
    names = {name for name in names if name.startswith(("Py", "_Py"))}
    assert len(names) > 1500
    assert {"PyObject_Call", "Py_FrozenMain", "PyMarshal_WriteObjectToString"} <= names
    module = """
        import ctypes

        def handler(event, context):
            return [name for name in event if not hasattr(ctypes.pythonapi, name)]
    """
    assert on_lambda({"app.py": module}, events=[sorted(names)]).response == []


CALCULATE = {
    "numpy": ("import numpy\ndef handler(event, context): return float(numpy.linalg.det(numpy.array([[1, 2], [3, 4]])))", -2.0),
    "pydantic_core": (
        "from pydantic_core import SchemaValidator, core_schema\n"
        "def handler(event, context): return SchemaValidator(core_schema.int_schema()).validate_python('42')",
        42,
    ),
    "orjson": (
        "import orjson\ndef handler(event, context): return orjson.loads(orjson.dumps({'a': [1.5, None]}))",
        {"a": [1.5, None]},
    ),
}


@pytest.mark.parametrize("package", sorted(WHEELS))
def test_extension_modules_of_wheels_work(on_lambda: OnLambda, layer_python: Path, tmp_path: Path, package: str) -> None:
    folder = tmp_path / "user"
    problem = installed(WHEELS[package], layer_python, folder / "python")
    if problem:
        pytest.skip(f"no wheel of {WHEELS[package]} for {layer_python.name}: {problem[-200:]}")
    module, expected = CALCULATE[package]
    answer = on_lambda({"app.py": module}, layer_folder=folder, events=[{}]).response
    assert answer == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_packages_lie_where_layers_may_have_them(on_lambda: OnLambda, layer_python: Path) -> None:
    """Docs name both: /opt/python, and the folder with the version, without a t for a free-threaded one."""
    version = layer_python.name.removeprefix("python").removesuffix("t")
    layer = {
        "python/plain.py": "WHERE = __file__",
        f"python/lib/python{version}/site-packages/versioned.py": "WHERE = __file__",
    }
    module = "import plain, versioned\ndef handler(event, context): return [plain.WHERE, versioned.WHERE]"
    assert on_lambda({"app.py": module}, layer=layer, events=[{}]).response == [
        "/opt/python/plain.py",
        f"/opt/python/lib/python{version}/site-packages/versioned.py",
    ]
