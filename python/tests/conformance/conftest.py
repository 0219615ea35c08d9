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
        r"Z\d |N7 the hooks' runner|N7 what is done around": "hooks before a snapshot run where the checkpoint is made",
    },
}
"""By the beginning of a case's name, the reason."""

START_ORDINARILY = {
    "init": {
        r"N7 (a log sink's methods on its class|the request id of log records|_get_handler)": (
            "the module calls the runtime when it is imported, and there is none where the checkpoint is made"
        ),
    },
}
"""Cases whose functions start without their checkpoint, and pass."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kind = os.environ.get("WHIPSNAKE_FROM_CHECKPOINT", "")
    for item in items:
        case = item.name.partition("[")[2]
        for patterns, mark in ((CANNOT_BE_THE_SAME, skip), (START_ORDINARILY, pytest.mark.ordinary_start)):
            for pattern, reason in patterns.get(kind, {}).items():
                if re.match(pattern, case):
                    item.add_marker(mark(reason))


def skip(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skip(reason=reason)
