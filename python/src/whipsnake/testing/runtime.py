"""A function that is served by the bootstrap, for as long as a test needs it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from whipsnake.testing.logs import Logs
from whipsnake.testing.result import Fault, FunctionError, Report, Result, StreamedResponse
from whipsnake.testing.session import Session, as_bytes

type PathLike = str | os.PathLike[str]

# How coverage.py finds its way into a process: a measurement that was asked for includes the function.
_PASSED_ON = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class InitError(FunctionError):
    """The function could not be imported, or its process ended before it took an event."""


class Runtime:
    """A function under the bootstrap. Its process stays warm from one invocation to the next, as on Lambda.

    Ends with `close`, or as a context manager.
    """

    def __init__(
        self,
        handler: str,
        *,
        task: PathLike = ".",
        environment: Mapping[str, str] | None = None,
        timeout: float = 30,
        memory: int = 128,
        function_name: str | None = None,
        region: str | None = None,
        bootstrap: PathLike | None = None,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        """Starts the function `module.function` that lies in the folder `task`, and waits for its init phase.

        `timeout` is in seconds, `memory` in megabytes. `bootstrap` is another one than the command's own. `on_log` is given the
        whole log of each phase, with Lambda's lines.
        """
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        arguments = [handler, "--task", os.fspath(task), "--timeout", str(timeout), "--memory", str(memory)]
        for option, value in [("--function-name", function_name), ("--region", region), ("--bootstrap", bootstrap)]:
            if value is not None:
                arguments += [option, os.fspath(value)]
        for name, text in {**passed_on, **(environment or {})}.items():
            arguments += ["--env", f"{name}={text}"]
        self.handler = handler
        self._on_log = on_log or (lambda _: None)
        self._stream: Stream | None = None
        self._session = Session(arguments)
        failed = self._session.receive()["initialised"]
        self.init_logs = self.take_logs()
        """What the function wrote while it was imported."""
        if failed is not None:
            self._session.close()
            raise InitError(Fault.parse(as_bytes(failed)), self.init_logs)

    def invoke(
        self,
        event: object = None,
        *,
        payload: str | bytes | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        client_context: Mapping[str, object] | None = None,
        identity: Mapping[str, object] | None = None,
        tenant: str | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Runs the function once.

        `payload` is the event as JSON, for one that `json.dumps` would write otherwise. `timeout` is this invocation's own, in
        seconds: the deadline that the context tells, and when the process is killed.
        """
        return self.stream(
            event,
            payload=payload,
            request_id=request_id,
            trace_id=trace_id,
            client_context=client_context,
            identity=identity,
            tenant=tenant,
            timeout=timeout,
        ).result()

    def stream(
        self,
        event: object = None,
        *,
        payload: str | bytes | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        client_context: Mapping[str, object] | None = None,
        identity: Mapping[str, object] | None = None,
        tenant: str | None = None,
        timeout: float | None = None,
    ) -> "Stream":
        """The same as `invoke`, with the chunks of a streamed response as they come."""
        if self._stream is not None:
            # One invocation at a time: what the last one still has to say comes first.
            for _ in self._stream:
                pass
            self._stream = None
        if payload is None:
            payload = json.dumps(event)
        elif isinstance(payload, bytes):
            payload = payload.decode()
        request = {
            "payload": payload,
            "request_id": request_id,
            "trace_id": trace_id,
            "client_context": _json(client_context),
            "identity": _json(identity),
            "tenant": tenant,
            "timeout": timeout,
        }
        self._session.send(request)
        self._stream = Stream(self, self._session)
        return self._stream

    def take_logs(self) -> Logs:
        """What the function wrote since the last result."""
        written = self._session.take_log()
        if written:
            self._on_log(Logs(written).text)
        return Logs(written)

    def close(self) -> Logs:
        """Ends the function as Lambda does: SIGTERM, and SIGKILL when it takes too long. Returns what it said meanwhile."""
        self._session.close()
        return self.take_logs()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Runtime {self.handler}>"


class RuntimeFactory(Protocol):
    """What the fixtures are: starts a function. What is not given is the marker's, or else the configuration's."""

    def __call__(
        self,
        handler: str = ...,
        *,
        task: PathLike = ...,
        environment: Mapping[str, str] = ...,
        timeout: float = ...,
        memory: int = ...,
        function_name: str = ...,
        region: str = ...,
        bootstrap: PathLike | None = ...,
    ) -> Runtime: ...


class Stream(Iterator[bytes]):
    """The chunks of a response, as they come. A response that is not streamed has none."""

    def __init__(self, runtime: Runtime, session: Session) -> None:
        self._runtime = runtime
        self._session = session
        self._chunks: list[bytes] = []
        self._content_type: str | None = None
        self._ended: Result | ValueError | None = None

    def __next__(self) -> bytes:
        while self._ended is None:
            match self._session.receive():
                case {"begins": str(content_type)}:
                    self._content_type = content_type
                case {"chunk": chunk}:
                    self._chunks.append(as_bytes(chunk))
                    return self._chunks[-1]
                case {"outcome": outcome}:
                    self._ended = self._result(**outcome)
                case {"refused": why}:
                    self._ended = ValueError(why)
                case message:
                    raise RuntimeError(f"the whipsnake command and whipsnake.testing are of two versions: {message}")
        raise StopIteration

    def result(self) -> Result:
        """Waits for the end of the invocation."""
        for _ in self:
            pass
        assert self._ended is not None
        if isinstance(self._ended, ValueError):
            raise self._ended
        return self._ended

    def _result(self, request_id: str, fault: str | None, payload: Any) -> Result:
        logs, report = _without_lines_of_lambda(self._runtime.take_logs(), request_id)
        streamed = None
        whole = as_bytes(payload)
        if self._content_type is not None:
            streamed = StreamedResponse(self._content_type, self._chunks)
            whole = whole if fault else b"".join(self._chunks)
        return Result(request_id, whole, Fault.parse(whole) if fault else None, logs, report, streamed)


def _json(value: Mapping[str, object] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _without_lines_of_lambda(logs: Logs, request_id: str) -> tuple[Logs, Report]:
    """The function's own lines, and what REPORT says."""
    identified = f"RequestId: {request_id}".encode()
    own, report = [], ""
    for line in logs.raw.split(b"\n"):
        if line.startswith(b"REPORT " + identified + b"\t"):
            report = line.decode()
        elif line not in (b"START " + identified + b" Version: $LATEST", b"END " + identified):
            own.append(line)
    return Logs(b"\n".join(own)), Report.parse(report)
