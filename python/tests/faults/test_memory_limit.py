"""Lambda's smallest function: the kernel holds it to 128 MB, and kills what takes more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import PlayFunction
from emulators.serving import boto3_client, serving
from faults.handlers import AT_ONCE, ECHO, HANDLERS, served, served_at_once
from faults.misbehaving import misbehaves
from memory_group import NEEDED, MemoryGroup
from playing import ENDED_AFTER_THE_LAST_EVENT, Play, Player, Runtime, payload, write_files

MEGABYTES = 128
LARGEST = 6 * 1024 * 1024
EVENTS = {
    "a text": b'"' + b"x" * (LARGEST - 2) + b'"',
    "objects": json.dumps([{"key": "some value"}] * (LARGEST // 24)).encode(),
}
"""Of 6 MB, as Python writes them: whoever gives them back answers with the same bytes."""

TELLS_ITS_HIGHEST = ECHO.replace(
    "    return event", '    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])\n    return event'
)
"""In KB, of resident memory: `ru_maxrss` has that of the program which started the process, too."""
EATS = "kept = []\nwhile True: kept.append(b'x' * 2**20)"


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    made = MemoryGroup.make(MEGABYTES)
    if made is None:
        pytest.skip(NEEDED)
    yield made
    made.remove()


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", EVENTS)
def test_events_of_6_megabytes_come_back_one_after_the_other(
    play: PlayFunction, bootstrap: Path, group: MemoryGroup, name: str, handler: str
) -> None:
    run = served(play, handler, [payload(EVENTS[name])] * 3, command=group.command([bootstrap]))
    assert [answer.body == EVENTS[name] for answer in run.answers.values()] == [True] * 3, run.ending
    assert (run.ending, run.stdout, run.stderr) == (ENDED_AFTER_THE_LAST_EVENT, "", "")
    assert group.killed == 0


def test_they_need_less_memory_than_under_the_managed_runtime(
    player: Player, bootstrap: Path, managed: Runtime, tmp_path: Path, group: MemoryGroup
) -> None:
    write_files(tmp_path, {"app.py": TELLS_ITS_HIGHEST + HANDLERS["plain"]})
    events = [payload(EVENTS[name]) for name in EVENTS]
    highest = []
    for runtime in (managed, Runtime("whipsnake", [str(bootstrap)])):
        held = Runtime(runtime.name, group.command(runtime.command), runtime.environment)
        (run,) = player.play(Play(tmp_path, tmp_path, events=events), [held])
        assert [len(answer.body) for answer in run.answers.values()] == [len(body) for body in EVENTS.values()]
        highest.append(max(map(int, run.stdout.split())))
    reference, ours = highest
    assert ours < reference < MEGABYTES * 1024


@pytest.mark.parametrize("kind", AT_ONCE)
def test_four_texts_of_6_megabytes_come_back_at_once(
    play: PlayFunction, bootstrap: Path, group: MemoryGroup, kind: str
) -> None:
    events = [payload(EVENTS["a text"])] * 8
    run = served_at_once(play, kind, events, places=4, command=group.command([bootstrap]))
    assert [answer.body == EVENTS["a text"] for answer in run.answers.values()] == [True] * 8, run.ending
    assert group.killed == 0


@pytest.mark.parametrize("handler", ["plain", "async"])
def test_who_takes_more_is_killed_and_the_next_invocation_has_a_new_process(
    cli: Path, bootstrap: Path, tmp_path: Path, group: MemoryGroup, handler: str
) -> None:
    source = misbehaves(EATS, "return [event, os.getpid()]")["app.py"]
    assert isinstance(source, str)
    write_files(tmp_path / "task", {"app.py": source.replace("def ", "async def ") if handler == "async" else source})
    with serving(cli, group.program(tmp_path / "bootstrap", bootstrap), tmp_path / "task") as endpoints:
        client = boto3_client(endpoints.invoke_api)
        first, eaten, last = (client.invoke(FunctionName="greeter", Payload=number) for number in "102")
    (one, process), failure, (two, successor) = (json.loads(answer["Payload"].read()) for answer in (first, eaten, last))
    assert (one, two) == (1, 2)
    assert process != successor
    assert eaten["FunctionError"] == "Unhandled"
    assert failure["errorType"] == "Runtime.ExitError"
    assert failure["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    assert group.killed == 1


@pytest.mark.parametrize("kind", ["processes", "isolated"])
def test_of_several_processes_the_one_that_takes_more_is_killed_and_replaced(
    play: PlayFunction, bootstrap: Path, group: MemoryGroup, kind: str
) -> None:
    source = f"""
def outcome(event):
    if event == 2:
        {EATS.replace(chr(10), chr(10) + " " * 8)}
    return event
"""
    run = served_at_once(play, kind, range(8), source=source, command=group.command([bootstrap]))
    assert sorted(run.responses) == [0, 1, 3, 4, 5, 6, 7]
    assert [(error["errorType"], error["errorMessage"]) for error in run.errors] == [
        ("Runtime.ExitError", "RequestId: rid-3 Error: Runtime exited with error: signal: killed")
    ]
    assert group.killed == 1


@pytest.mark.not_from_checkpoint("a restored process takes less memory, so what is too much for an ordinary one may fit")
def test_what_does_not_fit_at_once_is_told_of_each_and_nothing_is_answered_wrongly(
    play: PlayFunction, bootstrap: Path, group: MemoryGroup
) -> None:
    """Two lists of 250,000 objects: one fits."""
    events = [payload(EVENTS["objects"])] * 4
    run = served_at_once(play, "processes", events, command=group.command([bootstrap]))
    assert run.answers.keys() == {"rid-1", "rid-2", "rid-3", "rid-4"}
    answered = [answer for answer in run.answers.values() if answer.path.endswith("/response")]
    assert [answer.body == EVENTS["objects"] for answer in answered] == [True] * len(answered)
    # One that has just answered may be the one that the kernel takes.
    assert 0 < len(run.errors) <= group.killed
    assert {error["errorType"] for error in run.errors} == {"Runtime.ExitError"}
