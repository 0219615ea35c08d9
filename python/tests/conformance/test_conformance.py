"""Every case under both runtimes. See case.py for what a case is, recording.py for the runtime that is not here."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance import recording
from conformance.sections import SECTIONS
from conformance.summary import PROPERTY
from conftest import EmbeddedPython, reference_python
from playing import Play, Player, Run, Runtime
from reference import disagreements, view

CASES = {f"{behaviour.id} {case.name}": case for section in SECTIONS for behaviour, case in section.cases()}

IMPORTS_NAMES = {"names.pth": "import awslambdaric.bootstrap"}
"""With it ours takes the way of a function whose tools have replaced names of awslambdaric: the same has to come out."""


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Runtime | None:
    """The managed runtime; None where only recordings of it are to be had, or are asked for."""
    if os.environ.get("WHIPSNAKE_REFERENCE") == "recorded" or reference_python() is None:
        return None
    runtime = request.getfixturevalue("managed")
    assert isinstance(runtime, Runtime)
    return runtime


@pytest.mark.parametrize("name", CASES)
def test_the_managed_runtime_and_whipsnake_agree(
    name: str,
    live: Runtime | None,
    player: Player,
    bootstrap: Path,
    embedded_python: EmbeddedPython,
    runtime_directory: Path,
    make_play: Callable[..., Play],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    case = CASES[name]
    record_property(PROPERTY, {"name": name, "python": embedded_python.version})
    if case.since > tuple(map(int, embedded_python.version.split(".")[:2])):
        pytest.skip(f"needs Python {case.since[0]}.{case.since[1]}")
    if case.missing:
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"not there yet: {case.missing}"))
    files = {**case.files, **(IMPORTS_NAMES if os.environ.get("WHIPSNAKE_THROUGH_NAMES") else {})}
    play = make_play(files, handler=case.handler, events=case.events, environment=case.environment, **case.script)
    places = {
        str(play.task_root): "/var/task",
        str(runtime_directory): "/var/runtime",
        embedded_python.standard_library: "<python>",
    }

    def seen(run: Run) -> dict[str, Any]:
        return recording.portable(view(run), places)

    ours = Runtime("whipsnake", [str(bootstrap)])
    if live:
        reference, whipsnake = map(seen, player.play(play, [live, ours]))
    else:
        whipsnake = seen(player.play(play, [ours])[0])
        recorded = recording.read(embedded_python.version, name)
        if recorded is None:
            pytest.skip("there is no recording of it for this Python: `make recordings` makes one where awslambdaric is")
        reference = recorded
        not_compared = {*case.better.shows} if case.better else set()
        whipsnake |= {place: recording.shortened(whipsnake[place]) for place in {*whipsnake} - not_compared}
    problems = disagreements(reference, whipsnake, better=case.better, free=case.free, shows=case.shows)
    assert not problems, "\n".join(problems)
    if live:
        record_property(PROPERTY, {"name": name, "view": recording.shortened(reference)})


def test_each_case_has_a_name_of_its_own() -> None:
    names = [f"{behaviour.id} {case.name}" for section in SECTIONS for behaviour, case in section.cases()]
    assert sorted({*names}) == sorted(names)
