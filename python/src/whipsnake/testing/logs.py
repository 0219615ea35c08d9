"""What a function wrote to its log."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# A text record of the `logging` module: [INFO]<tab>2026-11-21T01:52:05.123Z<tab>request id<tab>message.
_TEXT = re.compile(r"\[(?P<level>[A-Z]+)\]\t(?P<timestamp>\S+Z)\t(?P<request_id>[^\t]*)\t(?P<message>.*)", re.DOTALL)


@dataclass(frozen=True)
class LogRecord:
    """A record of the `logging` module, in text or in JSON."""

    level: str
    message: str
    """Of a text record with several lines the first; nothing tells the others from what the function prints."""
    timestamp: str | None = None
    request_id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    """All of a JSON record, with what was given as `extra`."""


class Logs:
    """Standard output, standard error and log records of a function, in the order in which they were written."""

    def __init__(self, written: bytes) -> None:
        self.raw = written
        """The bytes, in which a carriage return keeps the lines of one record together."""
        # Without universal newlines: only "\n" ends a record.
        self._lines = written.decode(errors="replace").split("\n")

    @property
    def text(self) -> str:
        """The log as people read it."""
        return "\n".join(map(_readable, self._lines))

    @property
    def records(self) -> list[LogRecord]:
        """The records of the `logging` module; prints are in `text` alone."""
        return [record for line in self._lines if (record := _record(line)) is not None]

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Logs({self.raw!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Logs) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


def _readable(line: str) -> str:
    return line.rstrip("\r").replace("\r", "\n")


def _record(line: str) -> LogRecord | None:
    if line.startswith("{"):
        return _json_record(line)
    match = _TEXT.fullmatch(line)
    if match is None:
        return None
    return LogRecord(match["level"], _readable(match["message"]), match["timestamp"], match["request_id"] or None)


def _json_record(line: str) -> LogRecord | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or "level" not in fields:
        return None
    message = fields.get("message", fields.get("errorMessage", ""))
    return LogRecord(
        level=str(fields["level"]),
        message=message if isinstance(message, str) else json.dumps(message),
        timestamp=fields.get("timestamp"),
        request_id=fields.get("requestId", fields.get("AWSRequestId")),
        fields=fields,
    )
