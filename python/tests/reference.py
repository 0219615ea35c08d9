"""The managed runtime as the oracle: how it is run, and what of two runs has to agree.

The managed runtime is `awslambdaric` started by a closed-source script; DRIVER does what that script is seen to do. Lambda's
part is the argument `start`: it is not there any more when a wrapper script runs the command line that it was given.
"""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playing import Run, Runtime

HOW_TO_GET_IT = (
    "needs awslambdaric: run the tests from a virtual environment with python/pyproject.toml's `test` group on the CPython "
    "that the bootstrap was built against (`make test` makes one), or name an interpreter that has it in "
    "WHIPSNAKE_REFERENCE_PYTHON"
)

DRIVER = """\
import os, site, sys

WRAPPED = '''
[ -f "$0" ] || { echo "$0: does not exist"; exit 127; }
[ -x "$0" ] || { echo "$0: is not an executable"; exit 126; }
exec -- "$0" "$@"
'''
if sys.argv[1:] == ["start"]:
    if wrapper := os.environ.get("AWS_LAMBDA_EXEC_WRAPPER"):
        os.execv("/bin/bash", ["bash", "-c", WRAPPED, wrapper, sys.executable, __file__])
    del sys.argv[1]

import awslambdaric.__main__ as awslambdaricmain

def main():
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    layers = ["/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2], "/opt/python"]
    path_is_given = "PYTHONPATH" in os.environ
    if not path_is_given:
        for folder in [site.getsitepackages()[0], *reversed(layers)]:
            sys.path.insert(0, folder)
    sys.path.insert(0, task_root)
    for folder in [task_root] + ([] if path_is_given else layers):
        site.addsitedir(folder)
    if not path_is_given:
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]
    awslambdaricmain.main([task_root, os.environ["_HANDLER"]])

if __name__ == "__main__":
    main()
"""


def managed_runtime(python: Path, runtime_directory: Path) -> Runtime:
    """awslambdaric on `python`. The driver is written where the managed runtime has its own."""
    question = "import sys, awslambdaric; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True).stdout.strip()
    driver = runtime_directory / "bootstrap.py"
    driver.write_text(DRIVER)
    return Runtime(
        name="awslambdaric",
        command=[str(python), str(driver), "start"],
        # The managed runtime's start script exports it.
        environment={"AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}"},
    )


type Expected = Any
"""A value; or a pattern to find in a text; or a function that says yes; or a dict of these for some keys of a dict."""


@dataclass(frozen=True)
class Better:
    """Where whipsnake is meant to differ: what it has to show instead, by place in the view, and why."""

    because: str
    shows: Mapping[str, Expected]


@dataclass(frozen=True)
class Pair:
    """The same played under both runtimes."""

    reference: Run
    whipsnake: Run
    events: list[object] = field(default_factory=list)

    def assert_agreement(self, better: Better | None = None, free: Mapping[str, str] | None = None) -> None:
        """Both look the same to the platform and in the log, except where ours is meant to be better, and where (`free`, with
        the reason) nobody can depend on anything: `stdout`, `rid-1`, `rid-1/x-ray`."""
        problems = disagreements(view(self.reference), view(self.whipsnake), better=better, free=free or {})
        assert not problems, "\n".join(problems) + f"\n\nwhipsnake: {self.whipsnake.story()}"

    def assert_same_answer(self, request_id: str) -> None:
        """One invocation of many was answered alike."""
        ours, theirs = view(self.whipsnake).get(request_id), view(self.reference).get(request_id)
        assert theirs is not None, f"the managed runtime never answered {request_id}: {self.reference.story()}"
        difference = _difference(theirs, ours)
        assert not difference, difference


def disagreements(
    theirs: dict[str, Any],
    ours: dict[str, Any],
    *,
    better: Better | None = None,
    free: Mapping[str, str] | None = None,
    shows: Mapping[str, Expected] | None = None,
) -> list[str]:
    """What is wrong with our view of a play, in words; nothing when it is as it should be. `shows` is for both of them."""
    for place in free or {}:
        _forget(ours, place)
        _forget(theirs, place)
    improved = better.shows if better else {}
    problems = [
        f"{place}: {difference}"
        for place in sorted({*ours, *theirs} - {*improved})
        if (difference := _difference(theirs.get(place), ours.get(place)))
    ]
    for place, expected in improved.items():
        if not _satisfies(ours.get(place), expected):
            problems.append(f"{place}: should be {expected!r}\n  found {_short(ours.get(place))}")
    if better and not problems and all(_satisfies(theirs.get(place), wanted) for place, wanted in improved.items()):
        problems.append(f"the managed runtime does this too, nothing is better: {better.because}")
    for place, expected in (shows or {}).items():
        for name, places in (("the managed runtime", theirs), ("whipsnake", ours)):
            if not _satisfies(places.get(place), expected):
                problems.append(f"{place}: {name} should show {expected!r}\n  found {_short(places.get(place))}")
    return problems


def _forget(places: dict[str, Any], place: str) -> None:
    whole, _, part = place.rpartition("/")
    if place in places:
        del places[place]
    elif whole in places:
        places[whole].pop(part, None)


def _difference(expected: Any, found: Any) -> str:
    """Where two values differ; empty when they do not."""
    if expected == found:
        return ""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return "; ".join(f"{key}: {_difference(expected.get(key), found.get(key))}" for key in keys)
    start = 0
    if isinstance(expected, str) and isinstance(found, str):
        same = (one == other for one, other in zip(expected, found, strict=False))
        start = max(0, next((index for index, is_same in enumerate(same) if not is_same), 0) - 60)
    return f"\n  expected {_short(expected, start)}\n  found    {_short(found, start)}"


def _short(value: Any, start: int = 0) -> str:
    text = repr(value[start:]) if start else repr(value)
    return ("..." if start else "") + (text if len(text) < 600 else f"{text[:600]}... ({len(text)} characters)")


def view(run: Run) -> dict[str, Any]:
    """What the platform sees of a run, by place, in a form that can be compared."""
    places: dict[str, Any] = {
        "calls": [request.call for request in run.requests],
        "ending": run.ending,
        "stdout": _log(run.stdout),
        "stderr": _stderr(run.stderr),
    }
    for request in run.requests:
        if request.method != "POST":
            continue
        place = "init/error" if request.call == "POST init/error" else request.path.split("/")[-2]
        xray = request.header("lambda-runtime-function-xray-error-cause")
        places[place] = {
            "call": request.call,
            "content-type": request.header("content-type"),
            "error-type": request.header("lambda-runtime-function-error-type"),
            "invocation-id": request.header("lambda-runtime-invocation-id"),
            "x-ray": _xray(xray) if xray else None,
            "body": _body(request.body),
        }
    for name, content in run.pipes.items():
        places[name] = frames(content)
    return places


def frames(content: bytes) -> list[tuple[str, str]]:
    """Framed log records: each one's type and text. The time stamp has to be there and is not compared."""
    records = []
    while content:
        kind, length = content[:4].hex(), int.from_bytes(content[4:8], "big")
        assert 1_600_000_000 < int.from_bytes(content[8:16], "big") / 1_000_000 < 5_000_000_000, content[:16]
        records.append((kind, _log(content[16 : 16 + length].decode())))
        content = content[16 + length :]
    return records


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
_WARNING = re.compile(r'(\[WARNING\]\t<time>\t\tLAMBDA_WARNING: .*?\r\n|\{"timestamp": "<time>", "level": "WARNING", '
                      r'"message": "LAMBDA_WARNING: .*?\}\n)')  # fmt: skip
_CLIENT_TIME = re.compile(r"^(\[ERROR\] \[)\d+(\] LAMBDA_RUNTIME )", re.MULTILINE)
_REPEATED = re.compile(r"Previous line repeated \d+ more times")
_OWN_FRAME_IN_LOG = re.compile('\r\u00a0+File "[^"]*awslambdaric[/.][^"]*", line \\d+, in \\w+(\r\u00a0{4}[^\r\n]*)?')
_OWN_FRAME = r'"  File \\"[^"]*awslambdaric[/.][^"]*\\", line \d+, in \w+(?:[^"\\]|\\.)*"'
_OWN_FRAME_IN_BODY = re.compile(f"{_OWN_FRAME}, |(, )?{_OWN_FRAME}")
# A frame, its source lines and the marks under them; in an exception group, all of them have a margin.
_OWN_FRAME_IN_TRACEBACK = re.compile(
    r'  (?P<margin>(?:\| {3})?)File "(?:[^"]*/awslambdaric/[^"]*|[^"]*/runtime\d*/bootstrap\.py|[^"]*/importlib/__init__\.py'
    r'|<frozen (?:awslambdaric|whipsnake)[^"]*)", line \d+, in .*\n(?:  (?P=margin)  .*\n)*'
)
# Where its own code is at fault.
_OWN_FILE = re.compile(r"^\S*/(awslambdaric/\w+\.py):\d+: ", re.MULTILINE)
# The program's name in the message of C's assert.
_ASSERTION = re.compile(r"^python[\d.]*(?=: .*: Assertion )", re.MULTILINE)
# What http.client says of an init error that is no Latin-1; the number depends on the function's folder.
_PLACE_IN_BODY = re.compile(r"in position [\d-]+: Body")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
# Which call of many meets the limit, and on which page of the stack, depends on the size of C frames.
_TOO_DEEP = re.compile(r"(?:maximum recursion depth exceeded|Stack overflow \(used \d+ kB\)) while "
                       r"(?:calling a Python object|(?:en|de)coding a JSON (?:array|object)(?: from a string)?)")  # fmt: skip


def _log(text: str) -> str:
    """Without time stamps, the warning about managed runtime updates, and the runtime's own frames."""
    text = _WARNING.sub("", _CLIENT_TIME.sub(r"\1<time>\2", _TIME.sub("<time>", text)))
    for own_frame in (_OWN_FRAME_IN_LOG, _OWN_FRAME_IN_BODY, _OWN_FRAME_IN_TRACEBACK):
        text = own_frame.sub("", text)
    return _texts(text)


def _stderr(text: str) -> str:
    text = _OWN_FILE.sub(r"\1: ", _OWN_FRAME_IN_TRACEBACK.sub("", _ASSERTION.sub("python", text)))
    return _texts(_PLACE_IN_BODY.sub("in position <n>: Body", text))


def _body(body: bytes) -> str | bytes:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    return _texts(_OWN_FRAME_IN_BODY.sub("", text))


def _texts(text: str) -> str:
    text = _TOO_DEEP.sub("<nested too deeply>", text)
    return _ADDRESS.sub("<address>", _REPEATED.sub("Previous line repeated <some> more times", text))


def _xray(header: str) -> Any:
    """Paths are a set; the runtime's own frames are nobody's business."""
    cause = json.loads(_texts(header))
    for exception in cause["exceptions"]:
        exception["stack"] = [frame for frame in exception["stack"] if not _is_own(frame["path"])]
    cause["paths"] = sorted(path for path in cause["paths"] if not _is_own(path))
    return cause


def _is_own(path: str) -> bool:
    return "/awslambdaric/" in path or path.startswith("<frozen awslambdaric.")


def _satisfies(found: Any, expected: Expected) -> bool:
    match expected:
        case re.Pattern():
            return isinstance(found, str) and expected.search(found) is not None
        case dict():
            return isinstance(found, dict) and all(_satisfies(found.get(key), value) for key, value in expected.items())
        case Callable():
            return bool(expected(found))
        case _:
            return bool(found == expected)
