"""What has to be done around a checkpoint: before the process is dumped, and in every process that is restored from it.

The bootstrap imports this module only in a process that is dumped, so it may import what it likes. What it needs after the restore is in
memory by then.
"""

import gc
import os
import sys
import time

# Read by every client and SDK, different in each execution environment, and replaced in a restored process by whatever copied them.
_CREDENTIALS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})

# Functions that read every variable and only use those whose names match: file name and function -> suffix of the names.
_READERS_OF_ALL = {("urllib/request.py", "getproxies_environment"): "_proxy"}

# The names of the variables that were read. `*` stands for all of them.
_read: set[str] = set()


class _RecordingEnvironment(type(os.environ)):  # type: ignore[misc]
    """`os.environ` while the function is initialized."""

    def __getitem__(self, name):
        _note(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        _note(name)
        return super().__contains__(name)

    def __iter__(self):
        _note_all(self, sys._getframe(1))
        return super().__iter__()

    def copy(self):
        _note_all(self, sys._getframe(1))
        return dict(super().items())


def _note(name):
    if name not in _CREDENTIALS:
        _read.add(name)


def _note_all(environment, frame):
    """Notes every variable, unless the caller is known to use only some."""
    while frame is not None:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        for (reader, name), suffix in _READERS_OF_ALL.items():
            if function == name and file.endswith(reader):
                _read.update(name for name in map(os.fsdecode, environment._data) if name.lower().endswith(suffix))
                return
        if not file.endswith(("_collections_abc.py", "os.py")) and "_collections_abc" not in file:
            break
        frame = frame.f_back
    _read.add("*")


def record() -> None:
    """Begins to record which variables are read."""
    os.environ.__class__ = _RecordingEnvironment


def variables_read() -> set[str]:
    """The names that were read. `*` stands for a look at all of them."""
    return _read


def module_files() -> list[str]:
    """The files that the imported modules were made from."""
    files = set()
    for module in list(sys.modules.values()):
        file = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(file, str) and file.startswith("/"):
            files.add(file)
    return sorted(file for file in files if os.path.isfile(file))


def before() -> None:
    """Prepares the process for the dump."""
    os.environ.__class__ = type(os.environ).__mro__[1]
    snapshots = sys.modules.get("snapshot_restore_py")
    if snapshots is not None:
        hooks = snapshots.get_before_snapshot()
        while hooks:
            function, arguments, keywords = hooks.pop()
            function(*arguments, **keywords)
    # What is pending would be written by every copy.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_bytes(1)
    gc.collect()


def after() -> None:
    """Renews what a restored process must not share with its copies."""
    environment = os.environ
    if type(environment) is os._Environ and environment._data is not sys.modules["posix"].environ:
        environment._data.clear()
        environment._data.update(sys.modules["posix"].environ)
    time.tzset()
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
