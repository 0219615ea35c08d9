"""Runs the hooks of `snapshot_restore_py`. Imported when a snapshot is taken, and not before."""

import whipsnake as _whipsnake
from snapshot_restore_py import get_after_restore, get_before_snapshot


def run_before_snapshot():
    """The last that was registered comes first."""
    hooks = get_before_snapshot()
    while hooks:
        function, arguments, keywords = hooks.pop()
        _whipsnake.running().outcome_of(function(*arguments, **keywords))


def run_after_restore():
    """The first that was registered comes first."""
    for function, arguments, keywords in get_after_restore():
        _whipsnake.running().outcome_of(function(*arguments, **keywords))
