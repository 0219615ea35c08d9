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
from checkpoint_arm64.functions import ALL, DRAWN

type Report = Mapping[str, Any]

PROCESSORS = os.environ.get("WHIPSNAKE_ARM64_PROCESSORS", "").split() or list(machine.PROCESSORS)
FUNCTIONS = os.environ.get("WHIPSNAKE_ARM64_FUNCTIONS", "").split() or list(ALL)
RESTORES = int(os.environ.get("WHIPSNAKE_RESTORES") or 5)
MOST_RESTARTS = 0.05
"""The part of all starts that may begin again: a checkpoint's stack has 8 MiB of the 1 GiB in which the kernel puts its own."""


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[machine.Contents, Path]:
    needed = ["qemu-system-aarch64", "mke2fs", "unzip", "apt-get", "dpkg-deb"]
    missing = [program for program in needed if shutil.which(program) is None]
    assert not missing, f"{', '.join(missing)} missing: Debian has them in qemu-system-arm, e2fsprogs, unzip, apt and dpkg"
    [layer] = Path(os.environ["WHIPSNAKE_ARM64_LAYERS"]).glob("whipsnake-*-arm64.zip")
    contents = machine.Contents(
        base=machine.base(os.environ.get("WHIPSNAKE_DEBIAN", "http://deb.debian.org/debian")),
        layer=layer,
        python=Path(os.environ["WHIPSNAKE_ARM64_PYTHON"]).parents[1],
        programs=[Path(program) for program in os.environ["WHIPSNAKE_ARM64_PROGRAMS"].split()],
        packages={folder.name: folder for folder in Path(os.environ["WHIPSNAKE_ARM64_PACKAGES"]).iterdir() if folder.is_dir()},
    )
    root = tmp_path_factory.mktemp("arm64") / "root"
    machine.furnish(root, contents)
    return contents, root


@pytest.fixture(scope="session", params=PROCESSORS)
def reports(request: pytest.FixtureRequest, disk: tuple[machine.Contents, Path]) -> Sequence[Report]:
    """What happened on a machine with this processor."""
    functions = {
        name: {
            "app": ALL[name].app,
            "kinds": ALL[name].kinds,
            "is_packed": ALL[name].is_packed,
            "restores": RESTORES * ALL[name].times_more,
        }
        for name in FUNCTIONS
    }
    contents, root = disk
    starts = sum(len(ALL[name].kinds) for name in FUNCTIONS) * (RESTORES + 20)
    found, output = machine.run(contents, root, {"functions": functions}, request.param, limit=300 + 5 * starts)
    assert [report["what"] for report in found[-1:]] == ["end"], output[-20_000:]
    return found


def of(reports: Sequence[Report], what: str, name: str = "") -> list[Report]:
    return [report for report in reports if report["what"] == what and (not name or report["name"] == name)]


def test_the_machine_has_the_processor(reports: Sequence[Report], request: pytest.FixtureRequest) -> None:
    [found] = of(reports, "machine")
    signs_addresses = "paca" in found["features"]
    assert signs_addresses == (request.node.callspec.params["reports"] == "max")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_packed_with_each_kind_of_checkpoint(reports: Sequence[Report], name: str) -> None:
    packed = of(reports, "packed", name)
    assert [report["kind"] for report in packed] == list(ALL[name].kinds)
    assert [report for report in packed if report["exit"]] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_start_continues_from_the_checkpoint(reports: Sequence[Report], name: str) -> None:
    starts = of(reports, "start", name)
    assert len(starts) == RESTORES * ALL[name].times_more * len(ALL[name].kinds)
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
