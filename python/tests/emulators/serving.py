"""The `whipsnake emulate` command with a function, for as long as a test needs it."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Endpoints:
    """Where a function is served."""

    invoke_api: str
    function_url: str


@contextlib.contextmanager
def serving(cli: Path, bootstrap: Path, task: Path, *options: str) -> Iterator[Endpoints]:
    """Serves `app.handler` in `task` under the name `greeter`."""
    command: list[str | Path] = [cli, "emulate", "app.handler", "--task", task, "--bootstrap", bootstrap]
    command += ["--listen", "127.0.0.1:0", "--function-url", "127.0.0.1:0", "--function-name", "greeter", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as emulator:
        assert emulator.stderr is not None
        announced = [re.search(r"http://127\.0\.0\.1:\d+", emulator.stderr.readline()) for _ in range(2)]
        invoke_api, function_url = announced
        assert invoke_api, "the emulator's first line names its endpoint"
        assert function_url, "the second line names the Function URL"
        yield Endpoints(invoke_api[0], function_url[0])
        emulator.terminate()
        emulator.stderr.read()


def boto3_client(endpoint: str) -> Any:
    """The client that people have, which asks once."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed in this environment")
    return boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=boto3.session.Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )
