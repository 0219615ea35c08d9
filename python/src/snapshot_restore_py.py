"""Hooks of SnapStart, as functions of the managed runtime register them.

Lambda takes no snapshots of functions on OS-only runtimes, so nothing is ever called: on the managed runtime, too, a function
without SnapStart registers in vain.
"""

__version__ = "1.0.0"
__all__ = ["register_after_restore", "register_before_snapshot"]

_before_snapshot_registry: "list[object]" = []
_after_restore_registry: "list[object]" = []


def register_before_snapshot(func, *args, **kwargs):
    """Registers what is to be called before a snapshot is taken. Also a decorator."""
    _before_snapshot_registry.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Registers what is to be called after a restore. Also a decorator."""
    _after_restore_registry.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot_registry


def get_after_restore():
    return _after_restore_registry
