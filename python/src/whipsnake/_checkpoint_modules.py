"""Finds and imports the third-party modules of a function, for a checkpoint without the function's own modules."""


def import_third_party(task_root: str, handler: str) -> tuple[list[str], list[str]]:
    """Returns the modules that were imported, and what could not be imported, with the reason."""
    raise NotImplementedError
