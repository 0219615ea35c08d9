"""Throughput and memory of several invocations at once: tasks, processes and threads, and awslambdaric's processes.

    make bench-concurrency [FREE_THREADED=path/to/a/bootstrap]

One after the other, each for 1, 8 and 32 invocations at once. Throughput is taken between the first answers and the last
ones. Memory is what the runtime's processes have for themselves and their shares of what they have in common (PSS), at its
highest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playing import Play, Runtime, write_files
from reference import managed_runtime

AT_ONCE = (1, 8, 32)

# A client of the SDK is what most functions begin with.
PRELUDE = "import asyncio, time\nimport boto3\nclient = boto3.client('s3')\n"
WAITS_ASYNC = "async def handler(event, context):\n    await asyncio.sleep(0.02)\n    return event\n"
WAITS = "def handler(event, context):\n    time.sleep(0.02)\n    return event\n"
COMPUTES = "def handler(event, context):\n    total = 0\n    for number in range(200_000): total += number\n    return total\n"


@dataclass(frozen=True)
class Contender:
    """A runtime with the kind of function that it serves."""

    name: str
    runtime: Runtime
    source: str
    invocations: int
    """For each place; at least 40 in all."""


@dataclass(frozen=True)
class Figures:
    per_second: float
    megabytes: float


def measure(cli: Path, contender: Contender, at_once: int, variables: Mapping[str, str]) -> Figures:
    """Plays the function's invocations, and looks at the processes meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder)
        write_files(task, {"app.py": PRELUDE + contender.source})
        number = max(40, contender.invocations * at_once)
        script = Play(
            task,
            task,
            environment={**variables, "AWS_LAMBDA_MAX_CONCURRENCY": str(at_once)},
            script={
                "next": [{"event": 1, "repeat": number}],
                "end": "SIGKILL",
                "end_after_answers": True,
                "timeout_ms": 120_000,
            },
        ).script_for(contender.runtime)
        (task / "script.json").write_text(json.dumps(script))
        command = [str(cli), "play", str(task / "script.json")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as player, (task / "recording.json").open("wb") as kept:
            os.set_blocking(player.stdout.fileno(), False)  # type: ignore[union-attr]
            peak = 0
            while player.poll() is None:
                peak = max(peak, sum(map(proportional_size, descendants(player.pid))))
                kept.write(player.stdout.read() or b"")  # type: ignore[union-attr]
                time.sleep(0.05)
            kept.write(player.stdout.read() or b"")  # type: ignore[union-attr]
        recording = json.loads((task / "recording.json").read_bytes())
    answers = sorted(request["at_us"] for request in recording["requests"] if request["method"] == "POST")
    if len(answers) != number:
        raise SystemExit(f"{contender.name} answered {len(answers)} of {number}: {recording['stderr']}{recording['stdout']}")
    # Without those that waited for the start.
    begun = at_once
    return Figures((number - begun) / (answers[-1] - answers[begun - 1]) * 1_000_000, peak / 1024)


def descendants(process: int) -> Iterator[int]:
    """The processes below one, of which the first is the runtime."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        # The player starts the runtime from a thread of its own choice.
        for thread in Path(f"/proc/{process}/task").iterdir():
            children += (thread / "children").read_text().split()
    except OSError:
        return
    for child in dict.fromkeys(map(int, children)):
        yield child
        yield from descendants(child)


def proportional_size(process: int) -> int:
    """In kilobytes; 0 when it has just ended."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def table(rows: Sequence[tuple[str, Sequence[Figures]]]) -> Iterator[str]:
    """Markdown."""
    yield "| | " + " | ".join(f"{at_once}: per second | {at_once}: MB" for at_once in AT_ONCE) + " |"
    yield "|---|" + "---:|" * (2 * len(AT_ONCE))
    for name, figures in rows:
        yield f"| {name} | " + " | ".join(f"{one.per_second:.0f} | {one.megabytes:.0f}" for one in figures) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", type=Path, required=True, help="the `whipsnake` command")
    parser.add_argument("--bootstrap", type=Path, required=True)
    parser.add_argument("--free-threaded", type=Path, help="a bootstrap that embeds a free-threaded CPython")
    parser.add_argument("--packages", type=Path, required=True, help="where boto3 is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = managed_runtime(Path(sys.executable), Path(folder))
        ours = Runtime("whipsnake", [str(arguments.bootstrap)])
        free = Runtime("free-threaded", [str(arguments.free_threaded)]) if arguments.free_threaded else None
        contenders = {
            "waits 20 ms": [
                Contender("one loop (`async def`)", ours, WAITS_ASYNC, 60),
                *([Contender("threads, free-threaded", free, WAITS, 60)] if free else []),
                Contender("processes", ours, WAITS, 60),
                Contender("awslambdaric's processes", reference, WAITS, 60),
            ],
            "computes": [
                *([Contender("threads, free-threaded", free, COMPUTES, 20)] if free else []),
                Contender("processes", ours, COMPUTES, 20),
                Contender("awslambdaric's processes", reference, COMPUTES, 20),
            ],
        }
        variables = {"PYTHONPATH": str(arguments.packages), "PYTHONDONTWRITEBYTECODE": "1"}
        for title, several in contenders.items():
            rows = [(one.name, [measure(arguments.cli, one, n, variables) for n in AT_ONCE]) for one in several]
            print(f"\nA handler that {title}:\n", *table(rows), sep="\n", flush=True)


if __name__ == "__main__":
    main()
