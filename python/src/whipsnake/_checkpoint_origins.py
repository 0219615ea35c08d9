"""Finds the code that opened a descriptor, started a thread or shared memory, for the message of a refused checkpoint.

This is active only in a second run, whose process is thrown away. After each call of a function in C, it looks for what is new
in the process. So it covers extension modules as well, which no patched `open` or `socket` would see.
"""

import _thread
import linecache
import os
import sys

from whipsnake._checkpoint_modules import Installed

# What type checkers take for true, without the import of types.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

# Modules in C whose calls may share memory with other processes.
_SHARES_MEMORY = frozenset({"mmap", "_multiprocessing", "_posixshmem"})

# How `sys.monitoring` knows this module.
_NAME = "whipsnake"

# A place in the code that has called something as often as that is no longer looked at: it is a loop, and nobody opens so much.
_MOST_CALLS = 1_000

# The parts of a stack that a message shows: file, line, function.
type _Stack = list[tuple[str, int, str]]


class Recorder:
    """Records where the process gets descriptors, threads and shared memory from."""

    def __init__(self):
        self._descriptors: dict[str, _Stack | None] = dict.fromkeys(_descriptors())
        self._threads: dict[str, _Stack | None] = dict.fromkeys(_threads())
        self._memory: dict[str, _Stack | None] = dict.fromkeys(_shared_memory())
        self._last = _quick_look()
        # How often each place in the code has called something.
        self._calls: dict[tuple[int, int], int] = {}
        # A look releases the GIL, and a thread that was started just now would look first.
        self._lock = _thread.allocate_lock()

    def start(self) -> None:
        """Begins to look."""
        tool, events = sys.monitoring.DEBUGGER_ID, sys.monitoring.events
        sys.monitoring.use_tool_id(tool, _NAME)
        sys.monitoring.register_callback(tool, events.CALL, self._before_call)
        sys.monitoring.register_callback(tool, events.C_RETURN, self._after_call)
        sys.monitoring.set_events(tool, events.CALL)

    def stop(self) -> None:
        """Ends it. What was found stays."""
        if sys.monitoring.get_tool(sys.monitoring.DEBUGGER_ID) == _NAME:
            sys.monitoring.set_events(sys.monitoring.DEBUGGER_ID, 0)
            sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)

    def _before_call(self, code, offset, function, argument):  # noqa: ARG002
        # What is new by now came from no call: a native thread has opened it, or an object was freed.
        self._look(False)
        place = (id(code), offset)
        calls = self._calls[place] = self._calls.get(place, 0) + 1
        return sys.monitoring.DISABLE if calls > _MOST_CALLS else None

    def _after_call(self, code, offset, function, argument):  # noqa: ARG002
        self._look(True)
        if getattr(function, "__module__", None) in _SHARES_MEMORY:
            _update(self._memory, _shared_memory(), _stack())

    def _look(self, is_by_call):
        if not self._lock.acquire(timeout=1):
            # A process that was forked while another thread looked.
            return
        try:
            now = _quick_look()
            if now != self._last:
                self._last = now
                stack = _stack() if is_by_call else None
                _update(self._descriptors, _descriptors(), stack)
                _update(self._threads, _threads(), stack)
        finally:
            self._lock.release()

    def origins(self) -> tuple[dict[int, list[str]], dict[int, list[str]], dict[str, list[str]]]:
        """Of descriptors by number, threads by id, and shared memory by the name of its file: the lines of code, for people."""
        places = _Places()
        return (
            {int(name.partition(" ")[0]): places.of(stack) for name, stack in self._descriptors.items() if stack},
            {int(name): places.of(stack) for name, stack in self._threads.items() if stack},
            {name.partition(" ")[2]: places.of(stack) for name, stack in self._memory.items() if stack},
        )


def _quick_look():
    """The lowest number that is free for a descriptor, and the number of threads."""
    free = os.dup(0)
    os.close(free)
    return free, os.stat("/proc/self/task").st_nlink


def _descriptors():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{number} {os.readlink('/proc/self/fd/' + number)}")
        except OSError:
            # The listing's own.
            continue
    return found


def _threads():
    return os.listdir("/proc/self/task")


def _shared_memory():
    """Each mapping by its address and the name of its file."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        fields = [line.split(maxsplit=5) for line in maps]
    return [f"{line[0]} {line[5].rstrip()}" for line in fields if line[1].endswith("s") and len(line) == 6]


def _update(known, found, stack):
    for gone in known.keys() - set(found):
        del known[gone]
    for name in found:
        known.setdefault(name, stack)


def _stack() -> _Stack:
    """The caller's frames, the innermost first, without those of this module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == _stack.__code__.co_filename:
        frame = frame.f_back
    stack: _Stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return stack


class _Places:
    """Knows whose code a file has."""

    def __init__(self):
        self._installed = Installed([os.path.dirname(os.__file__)])

    def of(self, stack):
        """The function's own line that led there, and the line of the installed package that did it."""
        code = [frame for frame in stack if not self._installed.is_standard(frame[0])]
        own = next((frame for frame in code if not self._installed.has(frame[0])), None)
        lines = [] if own is None else [self._line(own)]
        if code and code[0] is not own:
            package = self._installed.distribution(code[0][0]) or "an installed package"
            lines.append(f"{package}, {self._line(code[0])}")
        return lines

    def _line(self, frame):
        file, number, function = frame
        source = linecache.getline(file, number).strip()
        folders = [os.path.join(folder, "") for folder in sys.path if folder and file.startswith(os.path.join(folder, ""))]
        shown = file.removeprefix(max(folders, key=len, default=""))
        where = f"{shown}:{number}" if function == "<module>" else f"{shown}:{number}, in {function}"
        return f"{where}: {source}" if source else where
