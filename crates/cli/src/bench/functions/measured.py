"""Stands before a function whose start is looked into: when its import begins and ends, and what its process weighs."""

import posix
import time

pipe = int(posix.environ[b"MEASURED"])
posix.write(pipe, b"begin %d\n" % time.monotonic_ns())

from MODULE import FUNCTION as measured

posix.write(pipe, b"end %d\n" % time.monotonic_ns())


def handler(event, context):
    if type(event) is dict and "measure memory" in event:
        rollup = posix.open("/proc/self/smaps_rollup", posix.O_RDONLY)
        posix.write(pipe, posix.read(rollup, 4096))
        posix.close(rollup)
        return None
    return measured(event, context)
