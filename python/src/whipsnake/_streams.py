"""`sys.stdout` and `sys.stderr` as a function finds them."""

import sys
from _io import TextIOWrapper
from _thread import _local

# The streams that were there before. Held for the life of the process: one that is collected closes the descriptor below it.
_replaced: list[object] = []


class StandardStream(TextIOWrapper):
    """Writes each line as it ends, and stays open behind a `with`, as the managed runtime's streams do."""

    def __exit__(self, *exception: object) -> None:
        self.flush()

    # Every flush and every write asks whether the stream is closed, and has it locked already. Without the GIL, CPython's own
    # answer locks it again, so that a thread waits for itself until it gives up what it has; the others queue up behind that.
    if "t" in sys.abiflags:

        @property
        def closed(self) -> bool:
            buffer = self.buffer
            return super().closed if buffer is None else buffer.closed


class StreamOfSeveral(StandardStream):
    """The same for several threads that print at once: a line is written when it is whole, or when its thread flushes."""

    # What a thread has begun to write.
    begun: _local

    def write(self, text: str) -> int:
        whole, end, self.begun.text = (getattr(self.begun, "text", "") + text).rpartition("\n")
        if end:
            super().write(whole + end)
        return len(text)

    def flush(self) -> None:
        if rest := getattr(self.begun, "text", ""):
            self.begun.text = ""
            super().write(rest)
        super().flush()


def share() -> None:
    """From now on several threads print at once."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, StandardStream):
            stream.__class__ = StreamOfSeveral
            stream.begun = _local()  # type: ignore[attr-defined]


def install() -> None:
    """Replaces the two streams. One that does not exist stays None."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            continue
        replacement = StandardStream(
            stream.buffer, stream.encoding, stream.errors, "\n", line_buffering=True, write_through=stream.write_through
        )
        replacement.mode = stream.mode  # type: ignore[misc]
        _replaced.append(stream)
        setattr(sys, name, replacement)
        # Also a reference that outlives what the function may put in the other's place.
        setattr(sys, f"__{name}__", replacement)
