"""Measures the functions of template.yaml on Lambda: forces cold starts in turn and reads Lambda's REPORT lines.

    python measure.py STACK [--starts 20] [--warm 20] [--lambda-perf records.json]

Needs boto3 and an account. Each start changes an environment variable, so that Lambda makes a new execution environment.
"""

import argparse
import base64
import json
import random
import re
import statistics
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

MANAGED = "Managed"
RUNTIMES = ("Whipsnake", "Checkpoint", MANAGED)
REPORT = re.compile(
    r"^REPORT RequestId: \S+\tDuration: (?P<duration>[\d.]+) ms\tBilled Duration: \d+ ms\t"
    r"Memory Size: (?P<memory_size>\d+) MB\tMax Memory Used: (?P<memory_used>\d+) MB\t"
    r"(?:Init Duration: (?P<init_duration>[\d.]+) ms\t)?",
    re.MULTILINE,
)


class Report(NamedTuple):
    """What Lambda says of an invocation; milliseconds and megabytes."""

    duration: float
    memory_size: int
    memory_used: int
    init_duration: float | None
    """None when the execution environment was there already."""


def read_report(log: str) -> Report:
    found = REPORT.search(log)
    if found is None:
        raise ValueError(f"there is no REPORT line in {log!r}")
    init = found["init_duration"]
    memory = int(found["memory_size"]), int(found["memory_used"])
    return Report(float(found["duration"]), *memory, float(init) if init else None)


class Measured:
    """One function's starts and warm invocations."""

    def __init__(self, name: str, architecture: str = "x86_64") -> None:
        self.name = name
        self.architecture = architecture
        self.cold: list[Report] = []
        self.warm: list[Report] = []

    @property
    def starts(self) -> list[float]:
        return [report.init_duration for report in self.cold if report.init_duration is not None]

    def record(self) -> dict[str, object]:
        """In lambda-perf's shape."""
        memory_size = self.cold[0].memory_size
        return {
            "r": f"lambda-perf-{self.name.lower()}-zip-{memory_size}-{self.architecture}",
            "p": "zip",
            "d": self.name,
            "i": self.starts,
            "m": memory_size,
            "a": self.architecture,
            "mu": round(statistics.mean(report.memory_used for report in self.cold), 3),
            "ad": round(statistics.mean(report.duration for report in self.cold), 3),
            "acd": round(statistics.mean(self.starts), 3),
        }


class Functions:
    """The stack's functions."""

    def __init__(self, stack: str, cloudformation: Any, lambda_client: Any) -> None:
        self._lambda = lambda_client
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        self.by_name = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }

    def start(self, name: str) -> Report:
        """Invokes in an execution environment that is made for it."""
        function = self.by_name[name]
        variables = {"Variables": {"COLD_START": f"{random.getrandbits(64):x}"}}
        self._lambda.update_function_configuration(FunctionName=function, Environment=variables)
        self._lambda.get_waiter("function_updated_v2").wait(FunctionName=function)
        return self.invoke(name)

    def invoke(self, name: str) -> Report:
        answer = self._lambda.invoke(FunctionName=self.by_name[name], Payload=b"{}", LogType="Tail")
        if "FunctionError" in answer:
            raise RuntimeError(f"{name} failed: {answer['Payload'].read().decode()}")
        return read_report(base64.b64decode(answer["LogResult"]).decode())


def measure(functions: Functions, starts: int, warm: int) -> list[Measured]:
    """Everybody has a turn before anybody has the next one."""
    measured = {name: Measured(name) for name in sorted(functions.by_name)}
    for turn in range(starts):
        print(f"start {turn + 1} of {starts}", flush=True)
        for name, figures in measured.items():
            figures.cold.append(functions.start(name))
    for name, figures in measured.items():
        figures.warm += [functions.invoke(name) for _ in range(warm)]
    return list(measured.values())


def table(measured: list[Measured]) -> str:
    """Medians, and ours in relation to the managed runtime's."""
    cases: dict[str, dict[str, Measured]] = defaultdict(dict)
    for figures in measured:
        for runtime in RUNTIMES:
            if figures.name.startswith(runtime):
                cases[figures.name.removeprefix(runtime)][runtime] = figures
    lines = [f"{'':22} {'init duration':>30} {'warm duration':>30} {'memory used':>22}"]
    for case, by_runtime in cases.items():
        theirs = by_runtime.pop(MANAGED)
        for runtime, ours in sorted(by_runtime.items(), reverse=True):
            cells = [
                compare([ours.starts, theirs.starts], "ms"),
                compare([[report.duration for report in side.warm] for side in (ours, theirs)], "ms"),
                compare([[report.memory_used for report in side.cold] for side in (ours, theirs)], "MB"),
            ]
            label = f"{case}, {runtime.lower()}"
            lines.append(f"{label:22} {cells[0]:>30} {cells[1]:>30} {cells[2]:>22}")
    return "\n".join(lines)


def compare(sides: list[list[float]], unit: str) -> str:
    if not all(sides):
        return "-"
    ours, theirs = map(statistics.median, sides)
    return f"{ours:.4g} / {theirs:.4g} {unit} = {ours / theirs:.2f}"


def main() -> None:
    import boto3

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--warm", type=int, default=20)
    parser.add_argument("--lambda-perf", type=Path, metavar="FILE")
    asked = parser.parse_args()
    functions = Functions(asked.stack, boto3.client("cloudformation"), boto3.client("lambda"))
    measured = measure(functions, asked.starts, asked.warm)
    print(table(measured))
    if asked.lambda_perf:
        made = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        records = {"metadata": {"generatedAt": made}, "runtimeData": [figures.record() for figures in measured]}
        asked.lambda_perf.write_text(json.dumps(records) + "\n")


if __name__ == "__main__":
    main()
