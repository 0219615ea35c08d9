"""Checkpoints on arm64, in an emulated machine: `make checkpoint-arm64`. Everything is emulated, so times say nothing.

The machine runs everything once and reports it (guest.py); the tests look at the reports.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from checkpoint_arm64 import machine
from checkpoint_arm64.functions import ALL, DRAWN, KINDS
from layer import old_linux

type Report = Mapping[str, Any]

PROCESSORS = os.environ.get("WHIPSNAKE_ARM64_PROCESSORS", "").split() or list(machine.PROCESSORS)
FUNCTIONS = os.environ.get("WHIPSNAKE_ARM64_FUNCTIONS", "").split() or list(ALL)
RESTORES = int(os.environ.get("WHIPSNAKE_RESTORES") or 5)
MOST_RESTARTS = 0.1
"""The part of all starts that may begin again. A checkpoint's stack has 8 MiB of the 1 GiB in which the kernel puts its own:
that is one start in 120. With libraries near the stack it was one in four."""


PACKED = [name for name in FUNCTIONS if ALL[name].is_packed]


class Machines:
    """One disk for each processor, and what happened on it."""

    def __init__(self, contents: machine.Contents, folder: Path) -> None:
        self.contents, self.folder = contents, folder
        machine.furnish(folder / "root", contents)
        self.reports: dict[str, Sequence[Report]] = {}

    def of(self, processor: str) -> Sequence[Report]:
        """Packs and starts all functions on the processor."""
        if processor not in self.reports:
            again = {"is_packed_already": True, "functions": plan(PACKED, 1)}
            plans = {"pack": {"is_packed_already": False, "functions": plan(FUNCTIONS, RESTORES)}, "start": again}
            machine.image(self.folder / "root", self.disk(processor), plans)
            starts = sum(how["restores"] + 20 for how in plan(FUNCTIONS, RESTORES).values()) * len(KINDS)
            self.reports[processor] = self.run(processor, "pack", processor, 600 + 5 * starts)
        return self.reports[processor]

    def moved(self, made_on: str, started_on: str) -> Sequence[Report]:
        """Starts on one processor what was packed on another."""
        self.of(made_on)
        return self.run(made_on, "start", started_on, 600)

    def disk(self, processor: str) -> Path:
        return self.folder / f"{processor}.ext4"

    def run(self, disk: str, plan: str, processor: str, limit: float) -> Sequence[Report]:
        found, output = machine.run(self.contents, self.disk(disk), plan, processor, limit)
        assert [report["what"] for report in found[-1:]] == ["end"], output[-20_000:]
        return found


def plan(names: Sequence[str], restores: int) -> dict[str, Any]:
    functions = {name: ALL[name] for name in names}
    return {
        name: {"app": how.app, "kinds": KINDS, "is_packed": how.is_packed, "restores": restores * how.times_more}
        for name, how in functions.items()
    }


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Machines:
    needed = ["qemu-system-aarch64", "mke2fs", "unzip", "apt-get", "dpkg-deb"]
    missing = [program for program in needed if shutil.which(program) is None]
    assert not missing, f"{', '.join(missing)} missing: Debian has them in qemu-system-arm, e2fsprogs, unzip, apt and dpkg"
    [layer] = Path(os.environ["WHIPSNAKE_ARM64_LAYERS"]).glob("whipsnake-*-arm64.zip")
    contents = machine.Contents(
        base=machine.base(old_linux.mirror()),
        layer=layer,
        python=Path(os.environ["WHIPSNAKE_ARM64_PYTHON"]).parents[1],
        programs=[Path(program) for program in os.environ["WHIPSNAKE_ARM64_PROGRAMS"].split()],
        packages={folder.name: folder for folder in Path(os.environ["WHIPSNAKE_ARM64_PACKAGES"]).iterdir() if folder.is_dir()},
    )
    return Machines(contents, tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="session", params=PROCESSORS)
def reports(request: pytest.FixtureRequest, machines: Machines) -> Sequence[Report]:
    """What happened on a machine with this processor."""
    return machines.of(request.param)


def of(reports: Sequence[Report], what: str, name: str = "") -> list[Report]:
    return [report for report in reports if report["what"] == what and (not name or report["name"] == name)]


def test_the_machine_has_the_processor(reports: Sequence[Report], request: pytest.FixtureRequest) -> None:
    [found] = of(reports, "machine")
    signs_addresses = "paca" in found["features"]
    assert signs_addresses == (request.node.callspec.params["reports"] == "max")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_packed_with_each_kind_of_checkpoint(reports: Sequence[Report], name: str) -> None:
    packed = of(reports, "packed", name)
    assert [report["kind"] for report in packed] == list(KINDS)
    assert [report for report in packed if report["exit"]] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_start_continues_from_the_checkpoint(reports: Sequence[Report], name: str) -> None:
    starts = of(reports, "start", name)
    assert len(starts) == RESTORES * ALL[name].times_more * len(KINDS)
    assert [start for start in starts if not start["restored"] or start["output"]] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_response_is_right(reports: Sequence[Report], name: str) -> None:
    for start in of(reports, "start", name) + of(reports, "ordinary", name):
        count = 1 if start["what"] == "ordinary" else 2
        assert len(start["responses"]) == count, start
        events = [{"n": start.get("number", 0), "m": event} for event in range(count)]
        wrong = [pair for pair in zip(events, start["responses"], strict=True) if not ALL[name].is_right(*pair)]
        assert wrong == [], start


def test_few_starts_find_the_kernel_in_their_way(reports: Sequence[Report]) -> None:
    starts = of(reports, "start")
    again = [start for start in starts if start["attempts"] > 1]
    print(f"{len(again)} of {len(starts)} starts had to begin again")
    assert len(again) <= max(1, MOST_RESTARTS * len(starts))


@pytest.mark.skipif(
    "standard_library" not in FUNCTIONS, reason="the function that draws is not among WHIPSNAKE_ARM64_FUNCTIONS"
)
@pytest.mark.parametrize("drawn", DRAWN)
def test_copies_draw_numbers_of_their_own(reports: Sequence[Report], drawn: str) -> None:
    numbers = [start["responses"][0][drawn] for start in of(reports, "start", "standard_library")]
    assert len(set(numbers)) == len(numbers)


def test_signed_return_addresses_are_turned_off_where_there_are_any(reports: Sequence[Report]) -> None:
    """A restored process has other keys than the dumped one. Where the processor has none, there is nothing to ask for."""
    has_keys = "paca" in of(reports, "machine")[0]["features"]
    for start in of(reports, "start", "standard_library"):
        assert [response["keys"] for response in start["responses"]] == [0 if has_keys else -1] * 2


def test_landing_pads_are_restored_where_there_are_any(reports: Sequence[Report]) -> None:
    """The kernel's own code has them as well, in one mapping."""
    has_pads = "bti" in of(reports, "machine")[0]["features"]
    for start in of(reports, "start"):
        assert (start["guarded"] > 1) == has_pads, start


ONE_PROCESSOR = pytest.mark.skipif(len(PROCESSORS) < 2, reason="WHIPSNAKE_ARM64_PROCESSORS names one processor")


@ONE_PROCESSOR
def test_a_checkpoint_of_graviton2_continues_on_a_processor_that_signs_return_addresses(machines: Machines) -> None:
    starts = of(machines.moved("neoverse-n1", "max"), "start")
    assert len(starts) >= len(KINDS)
    assert [start for start in starts if not start["restored"] or start["output"]] == []


@ONE_PROCESSOR
def test_a_checkpoint_of_a_newer_processor_is_not_used_on_graviton2(machines: Machines) -> None:
    starts = of(machines.moved("max", "neoverse-n1"), "start")
    assert len(starts) >= len(KINDS)
    for start in starts:
        assert not start["restored"]
        assert "this processor lacks a feature of the one that it was made for" in start["output"]
        assert len(start["responses"]) == 2
