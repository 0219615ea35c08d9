"""What is done around a checkpoint: before the process is dumped, and in every process that is restored from it.

The bootstrap imports this module only in a process that is dumped, so it may import what it likes. What it needs after the
restore is in memory by then.
"""

import os
import sys
import time

from whipsnake import _checkpoint_adapters

# Different in each execution environment. Clients that have copied them get the new ones after the restore.
_CREDENTIALS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"})

_PROXIES = frozenset(
    form for protocol in ("http", "https", "ftp", "all", "no") for form in (f"{protocol}_proxy", f"{protocol}_PROXY".upper())
)

# Functions that look at every variable and use only some: end of the file's name, function, the variables.
_READERS_OF_ALL = {
    ("urllib/request.py", "getproxies_environment"): _PROXIES,
    ("botocore/utils.py", "__init__"): frozenset({"AWS_EC2_METADATA_DISABLED"}),
}

# The names of the variables that were read. `*` stands for all of them.
_read: set[str] = set()

# Runs the function's hooks, where it can have registered any.
_run_after_restore = None

# Set in a run that explains why there is no checkpoint.
_origins = None

# `os.environ` as it was before the function was imported.
_environment = None

# Where code has looked at every variable: file and line.
_looked_at_all: list[str] = []


# The names that a look at all variables has listed and not looked up yet, the next one last.
_listed: list[str] = []


class _RecordingEnvironment(type(os.environ)):  # type: ignore[misc]
    """`os.environ` while the function is initialized."""

    def __getitem__(self, name):
        # Code that copies all variables looks up each of them, in order.
        if _listed and _listed[-1] == name:
            _listed.pop()
        else:
            _listed.clear()
            _note(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        _note(name)
        return super().__contains__(name)

    def __iter__(self):
        names = list(super().__iter__())
        if _note_all(sys._getframe(1)):
            _listed[:] = reversed(names)
        return iter(names)

    def copy(self):
        _note_all(sys._getframe(1))
        return {self.decodekey(name): self.decodevalue(value) for name, value in self._data.items()}


def _note(name):
    # `os.get_exec_path` tries a name in bytes as well, which is no key.
    if isinstance(name, str) and name not in _CREDENTIALS:
        _read.add(name)


def _note_all(frame):
    """Notes every variable, unless the caller is known to use only some. Returns whether every variable was noted."""
    while frame is not None:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        for (reader, name), used in _READERS_OF_ALL.items():
            if function == name and file.endswith(reader):
                _read.update(used)
                return False
        if "_collections_abc" not in file and not file.endswith("/os.py"):
            _looked_at_all.append(f"{file}:{frame.f_lineno}")
            break
        frame = frame.f_back
    _read.add("*")
    return True


def record() -> None:
    """Begins to record which variables are read, and what has to be renewed after a restore."""
    global _environment
    _environment = os.environ
    _environment.__class__ = _RecordingEnvironment
    _checkpoint_adapters.record()


def record_origins() -> None:
    """Begins to record where descriptors, threads and shared memory come from. The process must not be kept."""
    global _origins
    from whipsnake._checkpoint_origins import Recorder

    _origins = Recorder()
    _origins.start()


def origins() -> tuple[dict[int, list[str]], dict[int, list[str]], dict[str, list[str]]]:
    """The lines of code that opened descriptors, started threads and shared memory."""
    if _origins is None:
        return {}, {}, {}
    _origins.stop()
    return _origins.origins()


def variables_read() -> set[str]:
    """The names that were read. `*` stands for a look at all of them."""
    return _read


def looked_at_all_variables() -> list[str]:
    """Where that was done: file and line."""
    return _looked_at_all


def module_files() -> list[str]:
    """The files that the imported modules were made from."""
    files = set()
    for module in list(sys.modules.values()):
        file = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(file, str) and file.startswith("/"):
            files.add(file)
    return sorted(file for file in files if os.path.isfile(file))


def thread_names() -> dict[int, str]:
    """Python's names of its threads, by their ids."""
    return _checkpoint_adapters.thread_names()


def threads_started_again() -> list[int]:
    """The ids of the threads that their libraries start again in a forked process."""
    return _checkpoint_adapters.threads_started_again()


def before() -> None:
    """Prepares the process for the dump."""
    global _run_after_restore
    snapshots = sys.modules.get("snapshot_restore_py")
    if snapshots is not None:
        # Here, so that the module is in the memory that is dumped.
        from awslambdaric.lambda_runtime_hooks_runner import run_after_restore

        _run_after_restore = run_after_restore
        hooks = snapshots.get_before_snapshot()
        while hooks:
            function, arguments, keywords = hooks.pop()
            _finish(function(*arguments, **keywords))
    _checkpoint_adapters.before()
    # A function may have put something of its own in its place.
    if _environment is not None:
        _environment.__class__ = _RecordingEnvironment.__base__
    # What is pending would be written by every copy.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _finish(result):
    """A hook may be a coroutine function."""
    if hasattr(result, "__await__"):
        import asyncio

        asyncio.run(result)


def after() -> None:
    """Renews what a restored process must not share with its copies, then calls the function's hooks."""
    of_posix = sys.modules["posix"].environ
    of_os = getattr(os.environ, "_data", None)
    # A function may have put something of its own in the place of either.
    if type(os.environ) is os._Environ and of_os is not None and of_os is not of_posix:
        of_os.clear()
        of_os.update(of_posix)
    time.tzset()
    log_handlers = sys.modules.get("whipsnake._logging")
    if log_handlers is not None:
        log_handlers.follow_log()
    _checkpoint_adapters.after()
    if _run_after_restore is not None:
        _run_after_restore()
