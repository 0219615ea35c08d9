"""Hooks of SnapStart, as functions of the managed runtime register them. They are called where Lambda takes a snapshot."""

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    type Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

__version__ = "1.0.0"
__all__ = ["register_after_restore", "register_before_snapshot"]

_before_snapshot_registry: "list[Hook]" = []
_after_restore_registry: "list[Hook]" = []


def register_before_snapshot[**P, R](func: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Registers what is to be called before a snapshot is taken. Also a decorator."""
    _before_snapshot_registry.append((func, args, kwargs))
    return func


def register_after_restore[**P, R](func: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Registers what is to be called after a restore. Also a decorator."""
    _after_restore_registry.append((func, args, kwargs))
    return func


def get_before_snapshot() -> "list[Hook]":
    return _before_snapshot_registry


def get_after_restore() -> "list[Hook]":
    return _after_restore_registry
