"""What an invocation came to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whipsnake.testing.logs import Logs

# What separates prelude and body of a streamed HTTP response.
_DELIMITER = b"\0" * 8
_INTEGRATION = "application/vnd.awslambda.http-integration-response"


class FunctionError(AssertionError):
    """A function has failed of which a response was expected. Its text has the fault and the log."""

    def __init__(self, fault: "Fault", logs: Logs) -> None:
        super().__init__(fault, logs)
        self.fault = fault
        self.logs = logs

    def __str__(self) -> str:
        return f"{self.fault}\n\nlog:\n{self.logs}"


@dataclass(frozen=True)
class Fault:
    """What Lambda tells the caller of a function that failed."""

    error_type: str
    """Such as `ValueError`, `Runtime.ImportModuleError` or `Sandbox.Timedout`."""
    message: str
    stack_trace: list[str]
    """As `traceback.format_list` gives it; empty where no code of the function's is to blame."""
    details: Mapping[str, Any]
    """The whole of it."""

    @classmethod
    def parse(cls, payload: bytes) -> "Fault":
        """Reads the JSON that the caller gets."""
        try:
            details = json.loads(payload)
        except ValueError:
            details = None
        if not isinstance(details, dict):
            details = {"errorMessage": payload.decode(errors="replace")}
        return cls(
            error_type=str(details.get("errorType", "")),
            message=str(details.get("errorMessage", "")),
            stack_trace=list(details.get("stackTrace") or []),
            details=details,
        )

    def __str__(self) -> str:
        return "".join([*self.stack_trace, f"{self.error_type}: {self.message}"])


@dataclass(frozen=True)
class Report:
    """The REPORT line that Lambda writes at the end of an invocation."""

    line: str
    duration_ms: float
    billed_duration_ms: int
    memory_size_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None
    """Of the first invocation of a process alone."""
    checkpoint: str | None
    """Of the first invocation alone, if the function has a checkpoint: `restored`, or `not used (..)` with the reason."""
    status: str | None
    """`timeout` or `error`, where the invocation did not end by an answer of the function's."""

    @classmethod
    def parse(cls, line: str) -> "Report":
        """Reads the line."""

        def field(name: str, value: str = r"[^\t ]+") -> str | None:
            found = re.search(rf"\t{name}: ({value})", line)
            return found[1] if found else None

        init_duration = field("Init Duration")
        return cls(
            line=line,
            duration_ms=float(field("Duration") or 0),
            billed_duration_ms=int(field("Billed Duration") or 0),
            memory_size_mb=int(field("Memory Size") or 0),
            max_memory_used_mb=int(field("Max Memory Used") or 0),
            init_duration_ms=None if init_duration is None else float(init_duration),
            checkpoint=field("Checkpoint", r"[^\t]+"),
            status=field("Status"),
        )


@dataclass(frozen=True)
class StreamedResponse:
    """A response that was streamed."""

    content_type: str
    chunks: list[bytes]

    @property
    def prelude(self) -> Mapping[str, Any] | None:
        """Status, headers and cookies of a `whipsnake.HttpResponse`."""
        prelude, delimiter, _ = b"".join(self.chunks).partition(_DELIMITER)
        if self.content_type != _INTEGRATION or not delimiter:
            return None
        fields: Mapping[str, Any] = json.loads(prelude)
        return fields

    @property
    def body(self) -> bytes:
        """All that was streamed, without a prelude."""
        whole = b"".join(self.chunks)
        return whole if self.prelude is None else whole.partition(_DELIMITER)[2]


@dataclass(frozen=True)
class Result:
    """What an invocation came to."""

    request_id: str
    payload: bytes
    """The response as the caller gets it; of a failed one the JSON that says so."""
    fault: Fault | None
    logs: Logs
    """What the function wrote during the invocation, without Lambda's own lines."""
    report: Report
    stream: StreamedResponse | None = None
    """The response, where the function streamed it."""

    @property
    def response(self) -> Any:
        """The response as a Python object. Raises FunctionError when the function failed."""
        __tracebackhide__ = True
        if self.fault is not None:
            raise FunctionError(self.fault, self.logs)
        return json.loads(self.payload)
