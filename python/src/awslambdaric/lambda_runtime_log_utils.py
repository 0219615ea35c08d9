"""What log records look like as JSON. Imported for functions that log JSON, and for those that ask for it."""

import json
import logging
import traceback
from enum import IntEnum

from whipsnake._logging import _DEFAULT_FRAME_TYPE as _DEFAULT_FRAME_TYPE
from whipsnake._logging import _JSON_FRAME_TYPES, _format_log_level
from whipsnake._logging import _TEXT_FRAME_TYPES as _TEXT_FRAME_TYPES

_DATETIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# What a record has by itself, and what the handler puts there: all other attributes came from the caller's `extra`.
_RESERVED_FIELDS = {
    "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info",
    "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process",
    "aws_request_id", "tenant_id", "_frame_type",
}  # fmt: skip

# A value that JSON has no form for is logged as its text.
_json_encoder = json.JSONEncoder(ensure_ascii=False, default=str)
_encode_json = _json_encoder.encode


class LogFormat(IntEnum):
    JSON = 0
    TEXT = 1

    @classmethod
    def from_str(cls, value):
        return cls.JSON.value if value and value.upper() == "JSON" else cls.TEXT.value


def _get_log_level_from_env_var(log_level):
    return {None: "", "TRACE": "DEBUG"}.get(log_level, log_level).upper()


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with Lambda's keys first and the caller's `extra` after them."""

    _has_milliseconds = False

    def __init__(self):
        super().__init__(datefmt=_DATETIME_FORMAT)

    def formatTime(self, record, datefmt=None):  # noqa: N802
        if not self._has_milliseconds:
            return super().formatTime(record, datefmt)
        return f"{super().formatTime(record, _DATETIME_FORMAT[:-1])}.{int(record.msecs):03d}Z"

    def format(self, record):
        record.levelno = _format_log_level(record)
        record.levelname = logging.getLevelName(record.levelno)
        record._frame_type = _JSON_FRAME_TYPES.get(record.levelno, _JSON_FRAME_TYPES[logging.NOTSET])
        is_object = isinstance(record.msg, dict) and not record.args
        exception_type, exception, stack = record.exc_info or (None, None, None)
        fields = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.msg if is_object else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(stack) if exception_type else None,
            "errorType": exception_type.__name__ if exception_type else None,
            "errorMessage": str(exception) if exception_type else None,
            "requestId": getattr(record, "aws_request_id", None),
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if record.exc_info else None,
        }
        if getattr(record, "tenant_id", None) is not None:
            fields["tenantId"] = record.tenant_id
        for name, value in vars(record).items():
            if name not in _RESERVED_FIELDS:
                fields.setdefault(name, value)
        return _encode_json({name: value for name, value in fields.items() if value is not None}) + "\n"
