"""Where the `whipsnake` command is. Part of the wheel, not of the bootstrap."""

import os
import sys
from pathlib import Path

# The wheel has it beside this file.
_IN_THE_WHEEL = Path(__file__).with_name("_bin") / "whipsnake"


def find() -> tuple[str, dict[str, str]]:
    """The command's path, and the environment to start it with.

    `WHIPSNAKE_CLI` names another one than the wheel's, such as one that was built from source.
    """
    environment = dict(os.environ)
    named = environment.get("WHIPSNAKE_CLI")
    if named:
        return named, environment
    if not _IN_THE_WHEEL.is_file():
        raise FileNotFoundError(
            f"there is no whipsnake command at {_IN_THE_WHEEL}: install whipsnake from its wheel, or name a command that was "
            "built from source with WHIPSNAKE_CLI"
        )
    # The wheel's bootstrap has no Python of its own: it uses this one, with the packages of this virtual environment.
    environment.setdefault("WHIPSNAKE_PYTHON", sys.executable)
    return str(_IN_THE_WHEEL), environment
