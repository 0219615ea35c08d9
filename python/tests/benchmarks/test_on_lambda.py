"""The script of layer/examples/benchmark, with an account that is made up."""

import base64
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

WARM = "REPORT RequestId: a\tDuration: {} ms\tBilled Duration: 2 ms\tMemory Size: 1024 MB\tMax Memory Used: 40 MB\t"
COLD = WARM.format("2.50") + "Init Duration: {} ms\t"


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", repository / "layer/examples/benchmark/measure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# In the order in which they are measured.
RUNTIMES = ("Checkpoint", "Managed", "Whipsnake")


class Account:
    """Whipsnake starts in 10 ms here, in 2 from a checkpoint, and the managed runtime in 40."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.new: set[str] = set()

    def get_paginator(self, _name: str) -> "Account":
        return self

    def paginate(self, **_arguments: str) -> Iterator[dict[str, Any]]:
        function = "AWS::Lambda::Function"
        kinds = {"Runtime": "AWS::Lambda::LayerVersion", **dict.fromkeys((f"{runtime}Empty" for runtime in RUNTIMES), function)}
        for name, kind in kinds.items():
            resource = {"LogicalResourceId": name, "PhysicalResourceId": f"stack-{name}", "ResourceType": kind}
            yield {"StackResourceSummaries": [resource]}

    def update_function_configuration(self, **arguments: Any) -> None:
        self.calls.append(("update", arguments["FunctionName"]))
        self.new.add(arguments["FunctionName"])
        assert arguments["Environment"]["Variables"]

    def get_waiter(self, name: str) -> "Account":
        assert name == "function_updated_v2"
        return self

    def wait(self, **arguments: str) -> None:
        self.calls.append(("wait", arguments["FunctionName"]))

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        name = arguments["FunctionName"]
        self.calls.append(("invoke", name))
        is_managed = "Managed" in name
        start = 40 if is_managed else 2 if "Checkpoint" in name else 10
        report = COLD.format(start) if name in self.new else WARM.format("2.00" if is_managed else "0.50")
        self.new.discard(name)
        return {"LogResult": base64.b64encode(f"START RequestId: a\n{report}\n".encode()), "Payload": io.BytesIO(b"{}")}


def test_starts_are_forced_in_turn_and_compared(script: ModuleType) -> None:
    account = Account()
    functions = script.Functions("stack", account, account)
    measured = script.measure(functions, starts=2, warm=3)
    cold = [(call, name.removeprefix("stack-")) for call, name in account.calls[:9]]
    assert cold == [(call, name) for name in map("{}Empty".format, RUNTIMES) for call in ("update", "wait", "invoke")]
    assert account.calls[9:18] == account.calls[:9]
    assert [call for call, _ in account.calls[18:]] == ["invoke"] * 9
    told = [" ".join(line.split()) for line in script.table(measured).splitlines()[1:]]
    assert told == [
        "Empty, whipsnake 10 / 40 ms = 0.25 0.5 / 2 ms = 0.25 40 / 40 MB = 1.00",
        "Empty, checkpoint 2 / 40 ms = 0.05 0.5 / 2 ms = 0.25 40 / 40 MB = 1.00",
    ]
    record = measured[2].record()
    assert (record["r"], record["i"], record["acd"]) == ("lambda-perf-whipsnakeempty-zip-1024-x86_64", [10.0, 10.0], 10)


def test_a_log_without_a_report_is_refused(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="no REPORT line"):
        script.read_report("START RequestId: a\n")


def test_a_failed_invocation_ends_the_measurement(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    failed = {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "KeyError"}')}
    monkeypatch.setattr(account, "invoke", lambda **_: failed)
    with pytest.raises(RuntimeError, match=r"CheckpointEmpty failed: .*KeyError"):
        script.measure(script.Functions("stack", account, account), starts=1, warm=0)
