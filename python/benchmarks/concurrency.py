"""Throughput and memory of several invocations at once: tasks, processes and threads, and awslambdaric's processes.

    make bench-concurrency [FREE_THREADED=path/to/a/bootstrap]

One after the other, each for 1, 8 and 32 invocations at once. Throughput is taken between the first answers and the last
ones. Milliseconds are the processor time of the runtime's processes for an invocation; that of the emulator stands below.
Memory is what the processes have for themselves and their shares of what they have in common (PSS), at its highest.

What threads could reach is what the same handler reaches in threads of the same CPython without a runtime around them.
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
PRELUDE = "import asyncio, os, time\nimport boto3\nclient = boto3.client('s3')\n"
# What the process has used of the processors so far.
USED = "[os.getpid(), time.process_time()]"
WAITS_ASYNC = f"async def handler(event, context):\n    await asyncio.sleep(0.02)\n    return {USED}\n"
WAITS = f"def handler(event, context):\n    time.sleep(0.02)\n    return {USED}\n"
COMPUTES = f"""\
def handler(event, context):
    total = 0
    for number in range(200_000): total += number
    return {USED}
"""

# The handler in threads, each of which calls it over and over for some seconds.
WITHOUT_RUNTIME = """
import json, sys, threading
def call_over_and_over(position):
    while time.perf_counter() < end:
        handler(1, None)
        calls[position] += 1
calls = [0] * int(sys.argv[1])
handler(1, None)
begun, used = time.perf_counter(), time.process_time()
end = begun + float(sys.argv[2])
threads = [threading.Thread(target=call_over_and_over, args=[position]) for position in range(len(calls))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([sum(calls), time.perf_counter() - begun, time.process_time() - used]))
"""
SECONDS_WITHOUT_RUNTIME = 3

# Looking at a process's memory holds it up, so that is done seldom, and once when all is answered.
SECONDS_BETWEEN_LOOKS = 1


@dataclass(frozen=True)
class Contender:
    """A runtime with the kind of function that it serves."""

    name: str
    runtime: Runtime
    source: str
    invocations: int
    """For each place."""
    at_least: int
    """In all."""


@dataclass(frozen=True)
class Figures:
    per_second: float
    milliseconds: float
    emulator_milliseconds: float = 0
    megabytes: float | None = None


def measure(cli: Path, contender: Contender, at_once: int, variables: Mapping[str, str]) -> Figures:
    """Plays the function's invocations, and looks at the processes meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder)
        write_files(task, {"app.py": PRELUDE + contender.source})
        number = max(contender.at_least, contender.invocations * at_once)
        script = Play(
            task,
            task,
            environment={**variables, "AWS_LAMBDA_MAX_CONCURRENCY": str(at_once)},
            script={
                "next": [{"event": 1, "repeat": number}],
                "end": "SIGKILL",
                "end_after_answers": True,
                "end_after_ms": int(SECONDS_BETWEEN_LOOKS * 1200),
                "timeout_ms": 120_000,
            },
        ).script_for(contender.runtime)
        (task / "script.json").write_text(json.dumps(script))
        with (task / "recording.json").open("wb") as kept:
            player = subprocess.Popen([str(cli), "play", str(task / "script.json")], stdout=kept)
        peak = 0
        while os.waitid(os.P_PID, player.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            peak = max(peak, sum(map(proportional_size, descendants(player.pid))))
        emulator = seconds_used(player.pid)
        player.wait()
        recording = json.loads((task / "recording.json").read_bytes())
    answers = [request for request in recording["requests"] if request["method"] == "POST"]
    if len(answers) != number:
        raise SystemExit(f"{contender.name} answered {len(answers)} of {number}: {recording['stderr']}{recording['stdout']}")
    times = sorted(request["at_us"] for request in answers)
    # Without those that waited for the start.
    begun = at_once
    return Figures(
        (number - begun) / (times[-1] - times[begun - 1]) * 1_000_000,
        milliseconds_each([json.loads(request["body"]) for request in answers], at_once),
        emulator / number * 1000,
        peak / 1024,
    )


def milliseconds_each(told: Sequence[tuple[int, float]], at_once: int) -> float:
    """The processor time for an invocation, from what each process had used when it served one. Without the first ones."""
    processes: dict[int, list[float]] = {}
    for process, used in sorted(told):
        processes.setdefault(process, []).append(used)
    first = max(1, at_once // len(processes))
    served = [used[first - 1 :] for used in processes.values()]
    return sum(used[-1] - used[0] for used in served) / sum(len(used) - 1 for used in served) * 1000


def measure_without_runtime(python: Sequence[str], source: str, at_once: int, variables: Mapping[str, str]) -> Figures:
    """The handler in as many threads of a CPython."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(PRELUDE + source + WITHOUT_RUNTIME)
        command = [*python, str(script), str(at_once), str(SECONDS_WITHOUT_RUNTIME)]
        told = subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True).stdout
    calls, elapsed, used = json.loads(told)
    return Figures(calls / elapsed, used / calls * 1000)


def seconds_used(process: int) -> float:
    """Of the processors, by a process that has ended and was not waited for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    titles = (f"{at_once}: {what}" for at_once in AT_ONCE for what in ("per second", "ms", "MB"))
    yield "| | " + " | ".join(titles) + " |"
    yield "|---|" + "---:|" * (3 * len(AT_ONCE))
    for name, figures in rows:
        cells = (
            f"{one.per_second:.0f} | {one.milliseconds:.2f} | {'' if one.megabytes is None else f'{one.megabytes:.0f}'}"
            for one in figures
        )
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""
    for name, (one, *several) in rows:
        ratios = (
            f"{at_once}: {more.per_second / one.per_second:.2f}" for at_once, more in zip(AT_ONCE[1:], several, strict=True)
        )
        yield f"{name}, times the throughput of one at a time: {', '.join(ratios)}"
    shares = [one.emulator_milliseconds for _, figures in rows for one in figures if one.emulator_milliseconds]
    yield f"The emulator: {min(shares):.2f} to {max(shares):.2f} ms of a processor for an invocation"


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
                Contender("one loop (`async def`)", ours, WAITS_ASYNC, 60, 60),
                *([Contender("threads, free-threaded", free, WAITS, 60, 60)] if free else []),
                Contender("processes", ours, WAITS, 60, 60),
                Contender("awslambdaric's processes", reference, WAITS, 60, 60),
            ],
            "computes": [
                *([Contender("threads, free-threaded", free, COMPUTES, 20, 400)] if free else []),
                Contender("processes", ours, COMPUTES, 20, 400),
                Contender("awslambdaric's processes", reference, COMPUTES, 20, 400),
            ],
        }
        variables = {"PYTHONPATH": str(arguments.packages), "PYTHONDONTWRITEBYTECODE": "1"}
        for title, several in contenders.items():
            rows = [(one.name, [measure(arguments.cli, one, n, variables) for n in AT_ONCE]) for one in several]
            if free and title == "computes":
                alone = [measure_without_runtime(free.command, COMPUTES, n, variables) for n in AT_ONCE]
                rows.insert(1, ("the same threads without whipsnake", alone))
            print(f"\nA handler that {title}:\n", *table(rows), sep="\n", flush=True)


if __name__ == "__main__":
    main()
