"""SnapStart: hooks before the snapshot and after a restore."""

import re

from conformance.case import Behaviour, Case, Section
from playing import Files
from reference import Better

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def hooks(source: str) -> Files:
    """A function whose module runs `source` and has the two ways to register at hand."""
    return {
        "app.py": "from snapshot_restore_py import register_after_restore, register_before_snapshot\n"
        f"import os, sys\n{source}\n"
        "def handler(event, context):\n    print('invoked')\n    return event\n"
    }


def raising(where: str, what: str) -> Files:
    return hooks(f"def hook():\n    print('hook')\n    raise {what}\nregister_{where}(hook)")


RAISED = {
    "an exception": "ValueError('not ready')",
    "an exception with a cause": "ValueError('not ready') from KeyError('why')",
    "SystemExit": "SystemExit(5)",
    "KeyboardInterrupt": "KeyboardInterrupt",
}


def failing(before: bool) -> list[Case]:
    where, place, exit_code = ("before_snapshot", "init/error", 64) if before else ("after_restore", "restore", 65)
    error_type = "Runtime.BeforeSnapshotError" if before else "Runtime.AfterRestoreError"
    calls = ["POST init/error"] if before else ["GET restore/next", "POST restore/error"]
    return [
        Case(
            name=name,
            files=raising(where, what),
            environment=SNAP_START,
            shows={"calls": calls, place: {"error-type": error_type}, "ending": f"exit code {exit_code}"},
            free=_LOG_OF_CAUSES if "from" in what else {},
        )
        for name, what in RAISED.items()
    ]


_LOG_OF_CAUSES = {"stdout": "the log tells the cause, which the managed runtime leaves out"}

ORDER = """
register_before_snapshot(print, "before", 1, sep="-")
register_after_restore(print, "after", 1)

@register_before_snapshot
def before():
    print("before 2")

@register_after_restore
def after():
    print("after 2")
"""
REGISTERING = """
def hook():
    print("hook")
    register_{where}(print, "registered by a hook")
register_{where}(hook)
register_{where}(print, "last")
"""
THE_SAME_TWICE = """
def hook(number):
    print(number)
register_before_snapshot(hook, 1)
register_before_snapshot(hook, number=2)
"""
BOTH_CALLS = ["GET restore/next", "GET next", "POST rid-1/response", "GET next"]

ORDER_OF_HOOKS = Behaviour(
    "Z1",
    "with `snap-start`, hooks run before the snapshot, the last first, and after the restore, the first first",
    cases=[
        Case(
            name="both",
            files=hooks(ORDER),
            environment=SNAP_START,
            events=[1],
            shows={"calls": BOTH_CALLS, "stdout": "before 2\nbefore-1\nafter 1\nafter 2\ninvoked\n"},
        ),
        *(
            Case(
                name=f"one that registers another {where.replace('_', ' ')}",
                files=hooks(REGISTERING.format(where=where)),
                environment=SNAP_START,
                events=[1],
                shows={"calls": BOTH_CALLS},
            )
            for where in ("before_snapshot", "after_restore")
        ),
        Case(name="the same twice", files=hooks(THE_SAME_TWICE), environment=SNAP_START, events=[1]),
        Case(name="none", files=hooks(""), environment=SNAP_START, events=[1], shows={"calls": BOTH_CALLS}),
        Case(
            name="not even imported",
            files={"app.py": "def handler(event, context): return event"},
            environment=SNAP_START,
            events=[1],
            shows={"calls": BOTH_CALLS},
        ),
        Case(
            name="what is printed and not flushed",
            files=hooks("register_before_snapshot(lambda: sys.stdout.write('no newline'))"),
            environment=SNAP_START,
            events=[1],
        ),
    ],
)
OTHERWISE = Behaviour(
    "Z2",
    "without it no hook runs",
    cases=[
        Case(
            name=f"{kind or 'no type'}",
            files=hooks(ORDER),
            environment={"AWS_LAMBDA_INITIALIZATION_TYPE": kind},
            events=[1],
            shows={"calls": BOTH_CALLS[1:], "stdout": "invoked\n"},
        )
        for kind in ("on-demand", "provisioned-concurrency", "SNAP-START", None)
    ],
)
FAILING_BEFORE = Behaviour(
    "Z3",
    "a hook that raises before the snapshot is a failed init phase of the type `Runtime.BeforeSnapshotError`, and exit code 64",
    cases=failing(before=True),
)
FAILING_AFTER = Behaviour(
    "Z4",
    "a hook that raises after the restore is reported as `Runtime.AfterRestoreError`, and exit code 65",
    cases=failing(before=False),
)


def no_restore(name: str, answer: dict[str, object]) -> Case:
    return Case(
        name=name,
        files=hooks(""),
        environment=SNAP_START,
        script={"restore_next": [answer] * 2},
        better=Better(
            "one sentence says why",
            {
                "init/error": {
                    "error-type": "Runtime.BeforeSnapshotError",
                    "body": re.compile(r'"could not wait for the restore of a snapshot: .*"Runtime.LambdaRuntimeClientError"'),
                },
                "calls": lambda calls: {*calls} == {"GET restore/next", "POST init/error"},
                "stdout": re.compile(
                    r"\A\[ERROR\] Runtime.LambdaRuntimeClientError: could not wait for the restore of a snapshot: "
                ),
            },
        ),
    )


NO_RESTORE = Behaviour(
    "Z5",
    "where Lambda takes no snapshot, that is reported as `Runtime.BeforeSnapshotError`, and exit code 64",
    cases=[
        no_restore("500", {"status": 500, "body": "Container error"}),
        no_restore("403", {"status": 403, "body": "Forbidden"}),
        no_restore("404", {"status": 404}),
        no_restore("no answer", {"close": "before"}),
    ],
)
NOT_TAKEN = Behaviour(
    "Z6",
    "a report that Lambda does not take ends the process with exit code 1",
    cases=[
        Case(
            name="before the snapshot",
            files=raising("before_snapshot", "ValueError"),
            environment=SNAP_START,
            script={"init_error": [{"status": 500}]},
            shows={"ending": "exit code 1"},
            free={"stderr": "the managed runtime has a traceback of its own there, and ours a sentence"},
        ),
        Case(
            name="after the restore",
            files=raising("after_restore", "ValueError"),
            environment=SNAP_START,
            script={"restore_error": [{"status": 500}]},
            shows={"ending": "exit code 1"},
            free={"stderr": "the managed runtime has a traceback of its own there, and ours a sentence"},
        ),
    ],
)
SECTION = Section("Snapshots", [ORDER_OF_HOOKS, OTHERWISE, FAILING_BEFORE, FAILING_AFTER, NO_RESTORE, NOT_TAKEN])
