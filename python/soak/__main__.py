"""Serves invocations by the hundred thousand, and looks whether any is mixed up with another and whether anything grows.

    make soak [INVOCATIONS=2500000] [FREE_THREADED=path/to/a/bootstrap]

Each way of serving has its share of them, with a process of its own. Exit code 1 where something was mixed up, lost, or grew.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from invocations import Load
from ledger import Ledger
from processes import Sample, sample, slope, usual_growth
from runtime_api import RuntimeApi

FUNCTION = Path(__file__).parent / "function"
SAMPLES = 1000
LONG = 100_000
"""Invocations of a way from which on its resident memory in use is judged, and what its allocators keep more strictly."""
VERY_LONG = 1_000_000
"""Invocations from which on the resident set is. What malloc keeps free goes up and down, by 1 MB and now and then by 10: over
400,000 invocations that alone makes a slope of most of a byte, over a million one of a fifth."""
MEASURES = 100
COMES_AND_GOES = 2
"""Threads that wait beside a loop, connections that are made anew: some samples meet one. Leaks are met by the hundred."""
WARM = 0.25
"""The part of a run that is not looked at: caches fill, and the C library's heap finds its size."""


@dataclass(frozen=True)
class Way:
    """A way of serving."""

    handler: str
    share: float
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    own_bootstrap: bool = False

    @property
    def without(self) -> frozenset[str]:
        """The kinds of invocations that make no sense here."""
        is_tasks = self.variables.get("WHIPSNAKE_CONCURRENCY") == "tasks"
        return frozenset({*(() if self.variables else ("pause",)), *(() if is_tasks else ("late",))})


def several(kind: str, at_once: int) -> dict[str, str]:
    return {"AWS_LAMBDA_MAX_CONCURRENCY": str(at_once), "WHIPSNAKE_CONCURRENCY": kind}


WAYS = {
    "one": Way("app.handler", 0.4),
    "one, async": Way("app.async_handler", 0.2),
    "16 tasks": Way("app.async_handler", 0.15, several("tasks", 16)),
    "8 threads": Way("app.handler", 0.1, several("threads", 8)),
    "4 processes": Way("app.handler", 0.15, several("processes", 4)),
    "8 threads, free-threaded": Way("app.handler", 0.1, several("threads", 8), own_bootstrap=True),
}


@dataclass(frozen=True)
class Result:
    way: str
    invocations: int
    answered: int
    records: int
    mistakes: int
    missing: int
    examples: Sequence[str]
    seconds: float
    resident: int
    """Bytes, at the end."""
    resident_slope: float
    """Bytes an invocation, as the system sees it: with what malloc keeps free for the next large event."""
    in_use_slope: float
    """The same without that, and without files."""
    malloc_growth: float
    """Bytes an invocation that are taken from malloc and not given back, usually."""
    blocks_growth: float
    """The same in blocks of Python's own allocator."""
    descriptors: tuple[int, int]
    """After the warm-up and at the end, at their highest over an eighth of the run."""
    threads: tuple[int, int]
    kinds: Mapping[str, int]
    ending: int

    def faults(self) -> list[str]:
        """What is not as it should be.

        A resident set grows in steps of pages, and the C library gives none back at once: over a short run the slope of a step
        is thousands of bytes. What malloc and Python's allocator have given out is exact, as it is asked for at the same
        point of an invocation and after a collection: a short run is judged by that. The smallest thing that an invocation
        could leave behind is one block, or 32 bytes of malloc; caches that still fill are far below.
        """
        is_long = self.invocations >= LONG
        most_malloc, most_blocks = (1.0, 0.02) if is_long else (16.0, 0.5)
        # With others at work at the same moment, what they have in use counts as well; and each thread and process has a heap
        # of its own, which finds its size when the largest events happen to meet it.
        several_at_once = "one" not in self.way
        checks = {
            f"answered {self.answered}": self.answered == self.invocations,
            f"{self.mistakes} mixed up: {self.examples}": self.mistakes == 0,
            f"{self.missing} missing: {self.examples}": self.missing == 0,
            f"ended with {self.ending}": self.ending == -signal.SIGTERM,
            f"resident set grows by {self.resident_slope:.2f} bytes an invocation": several_at_once
            or self.invocations < VERY_LONG
            or self.resident_slope < 1,
            f"resident memory in use grows by {self.in_use_slope:.2f} bytes an invocation": several_at_once
            or not is_long
            or self.in_use_slope < 1,
            f"malloc keeps {self.malloc_growth:.2f} bytes an invocation": several_at_once or self.malloc_growth < most_malloc,
            f"Python keeps {self.blocks_growth:.3f} blocks an invocation": several_at_once or self.blocks_growth < most_blocks,
            f"descriptors grew from {self.descriptors}": self.descriptors[1] <= self.descriptors[0] + COMES_AND_GOES,
            f"threads grew from {self.threads}": self.threads[1] <= self.threads[0] + COMES_AND_GOES,
        }
        return [problem for problem, is_right in checks.items() if not is_right]


def variables(way: Way, address: str) -> dict[str, str]:
    own = {
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "soak",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LAMBDA_TASK_ROOT": str(FUNCTION),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": way.handler,
    }
    return {"PATH": os.environ["PATH"], **own, **way.variables}


def run(name: str, bootstrap: Path, number: int) -> Result:
    way, ledger, samples = WAYS[name], Ledger(), list[Sample]()
    load = Load(number, max(1, number // MEASURES), way.without)
    every = max(1, number // SAMPLES)
    with tempfile.TemporaryFile("w+") as errors:

        def between(n: int) -> None:
            if n % every == 0:
                samples.append(sample(n, process.pid))

        api = RuntimeApi(load, ledger, between)
        begun = time.monotonic()
        process = subprocess.Popen(
            [bootstrap], env=variables(way, api.address), cwd=FUNCTION, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors, text=True, errors="backslashreplace", start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        reader = threading.Thread(target=read, args=(process.stdout, ledger))
        reader.start()
        api.start()
        while not api.done.wait(0.2) and process.poll() is None:
            pass
        seconds = time.monotonic() - begun
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(30)
        errors.seek(0)
        if complaint := errors.read(2000):
            ledger.line(f"standard error: {complaint}")
    return summed_up(name, load, ledger, samples, seconds, process.returncode)


def read(stream: IO[str], ledger: Ledger) -> None:
    for line in stream:
        ledger.line(line.removesuffix("\n"))


def summed_up(name: str, load: Load, ledger: Ledger, samples: list[Sample], seconds: float, ending: int) -> Result:
    samples.sort(key=lambda one: one.n)
    warm = [one for one in samples if one.n > load.number * WARM]
    measured = [one for one in sorted(ledger.measured) if one[0] > load.number * WARM]
    eighth = max(1, len(samples) // 8)
    missing = ledger.missing()

    def growth(count: str) -> tuple[int, int]:
        first, last = warm[:eighth], warm[-eighth:]
        return max((getattr(one, count) for one in first), default=0), max((getattr(one, count) for one in last), default=0)

    return Result(
        way=name,
        invocations=load.number,
        answered=ledger.answers,
        records=ledger.records,
        mistakes=ledger.mistakes,
        missing=len(missing),
        examples=[*ledger.examples, *missing[:5]],
        seconds=seconds,
        resident=samples[-1].resident if samples else 0,
        resident_slope=slope([(one.n, one.resident) for one in warm]),
        in_use_slope=slope([(n, resident) for n, _, _, resident in measured]),
        malloc_growth=usual_growth([(n, in_use) for n, _, in_use, _ in measured]),
        blocks_growth=usual_growth([(n, blocks) for n, blocks, _, _ in measured]),
        descriptors=growth("descriptors"),
        threads=growth("threads"),
        kinds=dict(ledger.kinds),
        ending=ending,
    )


def table(results: Sequence[Result]) -> str:
    """Markdown."""
    heads = (
        "way",
        "invocations",
        "log records",
        "mixed up or lost",
        "a second",
        "MB resident",
        "bytes an invocation",
        "in use",
        "malloc's",
        "blocks",
    )
    rows = [
        (
            one.way, f"{one.invocations:,}", f"{one.records:,}", one.mistakes + one.missing,
            f"{one.invocations / one.seconds:,.0f}", f"{one.resident / 1e6:.1f}",

            f"{one.resident_slope:+.3f}", f"{one.in_use_slope:+.3f}", f"{one.malloc_growth:+.3f}", f"{one.blocks_growth:+.4f}",
            f"{one.descriptors[0]} to {one.descriptors[1]}", f"{one.threads[0]} to {one.threads[1]}",
        )
        for one in results
    ]  # fmt: skip
    lines = [(*heads, "descriptors", "threads"), ["---", *["---:"] * 11], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", type=Path, required=True)
    parser.add_argument("--free-threaded", type=Path, help="a bootstrap that embeds a free-threaded CPython")
    parser.add_argument("--invocations", type=int, default=2_500_000, help="of all ways together")
    parser.add_argument("--way", action="append", choices=WAYS, help="this one alone, with all invocations; may be repeated")
    parser.add_argument("--json", action="store_true", help="the figures instead of a table")
    arguments = parser.parse_args()
    names = arguments.way or [name for name, way in WAYS.items() if not way.own_bootstrap or arguments.free_threaded]
    results = []
    for name in names:
        number = int(arguments.invocations * (1 / len(names) if arguments.way else WAYS[name].share))
        bootstrap = arguments.free_threaded if WAYS[name].own_bootstrap else arguments.bootstrap
        results.append(run(name, bootstrap.resolve(), number))
        print(f"{name}: {number:,} invocations in {results[-1].seconds:.0f} s", file=sys.stderr)
    print(json.dumps([dataclasses.asdict(one) for one in results]) if arguments.json else table(results))
    faults = [f"{one.way}: {fault}" for one in results for fault in one.faults()]
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
