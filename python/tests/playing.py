"""Runs a function under a runtime, against a scripted Runtime API, and shows what the platform saw.

The server and the recorder are `whipsnake play` (crates/emulator/src/script.rs and recording.rs describe both formats).
"""

import base64
import itertools
import json
import os
import subprocess
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

type Files = Mapping[str, str | bytes]
"""The function's files by name. Text is dedented; what starts with `#!` is executable."""

SECONDS_TO_ANSWER = 20 * int(os.environ.get("WHIPSNAKE_TIMES_SLOWER") or 1)
"""For a whole run. `WHIPSNAKE_TIMES_SLOWER` is for machines that need longer for everything, such as emulated ones."""


class Step(dict[str, Any]):
    """One answer to a poll of /next, in the script's own words."""


def event(value: object, *, headers: Mapping[str, str | bytes | None] | None = None, **step: object) -> Step:
    """An event. `headers` go on top of the usual ones; None removes."""
    return payload(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), headers=headers, **step)


def payload(body: bytes, *, headers: Mapping[str, str | bytes | None] | None = None, **step: object) -> Step:
    """An event that is exactly these bytes."""
    return Step(body=as_written(body), **_with_headers(headers, step))


def step(**fields: object) -> Step:
    """Anything else that /next can answer."""
    return Step(fields)


def when_asked_by(pollers: int, events: Sequence[object]) -> list[object]:
    """The events; the first is given out when so many requests wait for one, which are all that serve at once."""
    first, *others = events
    return [Step(first if isinstance(first, Step) else event(first), pollers=pollers), *others]


def _with_headers(headers: Mapping[str, str | bytes | None] | None, fields: dict[str, object]) -> dict[str, object]:
    if headers:
        fields["set_headers"] = {name: as_written(value) for name, value in headers.items()}
    return fields


def as_written(value: str | bytes | None) -> object:
    """As a script has it."""
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _read_bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


@dataclass(frozen=True)
class Runtime:
    """A command that runs functions, and what it needs to find in its environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Play:
    """A function, the events it gets, and how the Runtime API behaves."""

    task_root: Path
    runtime_directory: Path
    handler: str = "app.handler"
    events: Sequence[object] = ()
    environment: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """On top of Lambda's own variables; None removes one."""
    script: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the script: response, error, init_error, end, pipes, .."""

    def script_for(self, runtime: Runtime) -> dict[str, Any]:
        variables = lambda_variables(self.task_root, self.runtime_directory, self.handler)
        variables |= {**runtime.environment, **self.environment}
        return {
            "command": [*runtime.command],
            "directory": str(self.task_root),
            "environment": {name: as_written(value) for name, value in variables.items() if value is not None},
            "next": [step if isinstance(step, Step) else event(step) for step in self.events],
            "timeout_ms": SECONDS_TO_ANSWER * 1000,
            **self.script,
        }


def lambda_variables(task_root: Path, runtime_directory: Path, handler: str) -> dict[str, str | bytes | None]:
    """What Lambda sets for a function on an OS-only runtime."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "AWS_REGION": "eu-central-1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
        "LAMBDA_RUNTIME_DIR": str(runtime_directory),
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TZ": ":UTC",
        "_HANDLER": handler,
    }


@dataclass(frozen=True)
class Chunk:
    """A chunk of a chunked body."""

    at_us: int
    """When it had arrived, in microseconds of the clock that `time.monotonic` reads."""
    size: int


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    connection: int
    method: str
    path: str
    headers: Sequence[tuple[str, bytes]]
    body: bytes
    truncated: bool
    at_us: int
    """Microseconds since the runtime was started."""
    chunks: Sequence[Chunk]
    trailers: Sequence[tuple[str, bytes]]

    def header(self, name: str) -> str | None:
        """A header's value; None when absent."""
        values = [value for written, value in self.headers if written.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times to {self.path}"
        return values[0].decode() if values else None

    @property
    def pieces(self) -> list[bytes]:
        """The body of a chunked request, chunk by chunk."""
        ends = itertools.accumulate(chunk.size for chunk in self.chunks)
        return [self.body[end - chunk.size : end] for chunk, end in zip(self.chunks, ends, strict=True)]

    @property
    def call(self) -> str:
        """Such as `GET next`, `POST rid-1/response`, `POST init/error`."""
        return f"{self.method} {self.path.removeprefix('/2018-06-01/runtime/').removeprefix('invocation/')}"

    def json(self) -> Any:
        """The body, which has to be JSON in UTF-8; NaN and Infinity pass."""
        return json.loads(self.body.decode())


@dataclass(frozen=True)
class Run:
    """What a runtime did."""

    requests: Sequence[Request]
    stdout: str
    stderr: str
    exit_code: int | None
    signal: int | None
    """The signal that ended it. SIGKILL is how a play ends when the events are used up."""
    timed_out: bool
    ended_at_us: int
    """Microseconds since the runtime was started."""
    pipes: Mapping[str, bytes]

    @cached_property
    def answers(self) -> dict[str, Request]:
        """The POSTs for invocations, by request id: `rid-1` and so on."""
        return {path[-2]: request for request in self.requests if len(path := request.path.split("/")) == 6}

    @property
    def calls(self) -> list[str]:
        return [request.call for request in self.requests]

    @property
    def responses(self) -> list[Any]:
        """The answers, decoded, of the invocations that succeeded."""
        return [answer.json() for answer in self.answers.values() if answer.path.endswith("/response")]

    @property
    def response(self) -> Any:
        """The answer of the one invocation."""
        assert self.calls[:2] == ["GET next", "POST rid-1/response"], self.story()
        assert len(self.answers) == 1, self.story()
        return self.responses[0]

    @property
    def errors(self) -> list[Any]:
        """The reports of the invocations that failed."""
        return [answer.json() for answer in self.answers.values() if answer.path.endswith("/error")]

    @property
    def init_error(self) -> Any:
        """The report of the init phase's failure; None when there was none."""
        reports = [request for request in self.requests if request.call == "POST init/error"]
        assert len(reports) < 2, self.story()
        return reports[0].json() if reports else None

    def seconds_to_answer(self, number: int) -> float:
        """From the runtime's asking for an event to its answer."""
        asked = [request for request in self.requests if request.call == "GET next"][number - 1]
        return (self.answers[f"rid-{number}"].at_us - asked.at_us) / 1_000_000

    @property
    def ending(self) -> str:
        """How the process ended: `exit code 1`, `signal 15`."""
        return f"exit code {self.exit_code}" if self.signal is None else f"signal {self.signal}"

    def story(self) -> str:
        """All of it, for a failed test's message."""
        requests = "".join(f"  {request.call}  {request.body[:2000]!r}\n" for request in self.requests)
        return f"{self.ending}\nrequests:\n{requests}stdout:\n{self.stdout}\nstderr:\n{self.stderr}"


ENDED_AFTER_THE_LAST_EVENT = "signal 9"


class Watcher(Protocol):
    """Looks at every play."""

    def environment(self, runtime: Runtime) -> Mapping[str, str]:
        """Variables that the runtime's process has on top of the play's."""

    def played(self, runtime: Runtime, run: Run) -> None:
        """Called when a play is over."""


class Player:
    """Plays scripts with the `whipsnake` command."""

    watchers: ClassVar[list[Watcher]] = []
    """These look at the plays of all players."""

    def __init__(self, command: Path) -> None:
        self._command = command

    def play(self, play: Play, runtimes: Sequence[Runtime]) -> list[Run]:
        """The same under each of the runtimes, one after the other."""
        scripts = [play.script_for(runtime) for runtime in runtimes]
        for runtime, one in zip(runtimes, scripts, strict=True):
            for watcher in self.watchers:
                one["environment"].update(watcher.environment(runtime))
        script = json.dumps(scripts)
        # The command ends a play at its own time-out; this is for a command that does not.
        seconds = 6 * max(one["timeout_ms"] for one in scripts) / 1000
        played = subprocess.run(
            [self._command, "play", "-"], input=script.encode(), capture_output=True, check=False, timeout=seconds
        )
        assert played.returncode == 0, f"the script could not be played: {played.stderr.decode()}\n{script}"
        runs = [_run(recording) for recording in json.loads(played.stdout)]
        for runtime, run in zip(runtimes, runs, strict=True):
            for watcher in self.watchers:
                watcher.played(runtime, run)
            assert not run.timed_out, f"{runtime.name} was still busy when its time was over: {run.story()}"
        return runs


def _run(recording: dict[str, Any]) -> Run:
    return Run(
        requests=[
            Request(
                connection=request["connection"],
                method=request["method"],
                path=request["path"],
                headers=[(name, _read_bytes(value)) for name, value in request["headers"]],
                body=_read_bytes(request["body"]),
                truncated=request.get("truncated", False),
                at_us=request["at_us"],
                chunks=[
                    Chunk(recording["spawned_at_us"] + chunk["at_us"], chunk["size"]) for chunk in request.get("chunks", [])
                ],
                trailers=[(name, _read_bytes(value)) for name, value in request["trailers"]],
            )
            for request in recording["requests"]
        ],
        stdout=_read_bytes(recording["stdout"]).decode(errors="backslashreplace"),
        stderr=_read_bytes(recording["stderr"]).decode(errors="backslashreplace"),
        exit_code=recording["exit_code"],
        signal=recording["signal"],
        timed_out=recording["timed_out"],
        ended_at_us=recording["ended_at_us"],
        pipes={name: _read_bytes(value) for name, value in recording["pipes"].items()},
    )


def write_files(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = textwrap.dedent(content).lstrip("\n").encode()
        path.write_bytes(content)
        if content.startswith(b"#!"):
            path.chmod(0o755)


def lines(text: str) -> Iterable[str]:
    """Lines as Lambda's log has them: a carriage return is no line end."""
    return text.removesuffix("\n").split("\n") if text else []
