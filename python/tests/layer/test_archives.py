"""The standard library and the SDK from module archives: `whipsnake layer --bytecode both`."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from layer.conftest import OnLambda
from layer.sandbox import unpack


@pytest.fixture(scope="module")
def archived(cli: Path, repository: Path, layer_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runtime's layer has more than without, and the SDK's."""
    packed, folder = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("archived")
    command: list[str | Path] = [cli, "layer", "--python", layer_python, "--source", repository, "--output", packed]
    done = subprocess.run(
        [*command, "--sdk", "apart", "--bytecode", "both"], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    [runtime] = packed.glob("whipsnake-[0-9]*.zip")
    with zipfile.ZipFile(runtime) as layer:
        layer.extractall(folder, [name for name in layer.namelist() if name.endswith("/modules.archive")])
    [sdk] = packed.glob("whipsnake-sdk-*.zip")
    unpack(sdk, folder)
    return folder


# What was found in an archive, and not yet imported, has a loader whose get_code is not its class's own.
FUNCTION = """
    import importlib.util, sys

    compiled = []
    sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == 'compile' else None)

    import boto3, email.message, sqlite3, xml.etree.ElementTree

    def is_archived(name):
        return "get_code" in vars(importlib.util.find_spec(name).loader)

    def handler(event, context):
        import subprocess
        child = subprocess.run([sys.executable, "-c", "import email; print(email.__file__)"], capture_output=True, text=True)
        return {
            "archived": [is_archived(name) for name in ("csv", "wsgiref.util", "boto3.ec2.deletetags")],
            "files": [email.__file__, boto3.__file__, child.stdout],
            "compiled": [name for name in compiled if name.startswith("/")],
        }
"""


def test_modules_come_from_them(on_lambda: OnLambda, archived: Path) -> None:
    run = on_lambda({"app.py": FUNCTION}, layer_folder=archived, events=[{}])
    email, boto3, child = run.response["files"]
    assert run.response["archived"] == [True, True, True]
    assert run.response["compiled"] == []
    assert email.startswith("/opt/whipsnake/lib/python3.")
    assert child == email + "\n"
    assert "/site-packages/boto3/" in boto3
    assert run.stderr == ""


def test_without_them_there_is_no_hook(on_lambda: OnLambda) -> None:
    module = (
        "import sys\ndef handler(event, context): return [str(hook) for hook in sys.path_hooks if 'whipsnake' in repr(hook)]"
    )
    assert on_lambda({"app.py": module}, events=[{}]).response == []
