"""What the processes of a runtime use, and how fast that grows."""

import itertools
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    n: int
    resident: int
    """Bytes, of all processes together."""
    descriptors: int
    threads: int


def sample(n: int, process: int) -> Sample:
    resident = descriptors = threads = 0
    for one in tree(process):
        folder = Path(f"/proc/{one}")
        try:
            resident += int((folder / "statm").read_text().split()[1]) * PAGE
            descriptors += len([*(folder / "fd").iterdir()])
            threads += len([*(folder / "task").iterdir()])
        except OSError:
            # It has just ended.
            continue
    return Sample(n, resident, descriptors, threads)


def tree(process: int) -> Iterator[int]:
    """A process and those below it."""
    yield process
    try:
        children = [child for file in Path(f"/proc/{process}/task").glob("*/children") for child in file.read_text().split()]
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def usual_growth(points: Sequence[tuple[float, float]]) -> float:
    """From one point to the next, for each unit between them: the median.

    What every invocation leaves behind is in all of these. A cache that grows by a step, or a buffer that is in use at one
    point and not at the next, is in few.
    """
    pairs = itertools.pairwise(points)
    growths = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs]
    return statistics.median(growths) if growths else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between any two points (Theil and Sen).

    A line of least squares follows what is far off: a free end of the heap that malloc keeps for some thousand invocations
    moves it by several bytes an invocation.
    """
    slopes = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in itertools.combinations(points, 2)]
    return statistics.median(slopes) if slopes else 0.0
