"""What a function's log holds, in a form that can be compared."""

import json
from typing import Any

from playing import Run, lines

# awslambdaric writes it at the start where the runtime is of an old version, or is not the real one.
_ABOUT_THE_RUNTIME = "LAMBDA_WARNING"


def texts(run: Run) -> list[str]:
    """The lines that are no objects."""
    return [line for line in lines(run.stdout) if not line.startswith("{") and _ABOUT_THE_RUNTIME not in line]


def objects(run: Run, *, without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The lines that are objects, without what differs from run to run."""
    found = [json.loads(line) for line in lines(run.stdout) if line.startswith("{") and _ABOUT_THE_RUNTIME not in line]
    return [{name: value for name, value in record.items() if name not in without} for record in found]
