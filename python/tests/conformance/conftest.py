"""With `WHIPSNAKE_FROM_CHECKPOINT=imports` or `init` each function starts from a checkpoint. Cases that differ are skipped."""

import os
import re

import pytest

CANNOT_BE_THE_SAME = {
    "imports": {
        r"H15 'json.handler'": "the handler's module is a part of the checkpoint, and is not imported again",
    },
    "init": {
        r"T3 |T4 |N7 log of the handler's framed sink": "what the import logs is logged once, where the checkpoint is made",
        r"V4 not UTF-8": "a variable that is not UTF-8 and was read makes the function start without the checkpoint",
        r"Z\d |N7 the hooks' runner|N7 what is done around": "hooks before a snapshot run where the checkpoint is made",
    },
}
"""By the beginning of a case's name, the reason."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    different = CANNOT_BE_THE_SAME.get(os.environ.get("WHIPSNAKE_FROM_CHECKPOINT", ""), {})
    for item in items:
        case = item.name.partition("[")[2]
        for pattern, reason in different.items():
            if re.match(pattern, case):
                item.add_marker(pytest.mark.skip(reason=reason))
