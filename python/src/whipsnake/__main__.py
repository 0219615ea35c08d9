"""`python -m whipsnake`, which is the command `whipsnake`. Part of the wheel, not of the bootstrap."""

import os
import sys
from typing import NoReturn

from whipsnake import _command


def main() -> NoReturn:
    """Becomes the command."""
    try:
        path, environment = _command.find()
        os.execve(path, ["whipsnake", *sys.argv[1:]], environment)
    except OSError as error:
        print(f"whipsnake: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
