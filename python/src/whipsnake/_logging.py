"""The Lambda handler on the root logger. Imported when the function has imported `logging`, and not before."""

import logging
import time
import traceback

_TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

# What tells Lambda a record's level and format, on the descriptor for framed records. Four bytes, big-endian.
_LEVEL_BITS = {0: 0, 10: 8, 20: 12, 30: 16, 40: 20, 50: 24}
_TEXT_FRAMES = {level: (0xA55A0003 | bits).to_bytes(4, "big") for level, bits in _LEVEL_BITS.items()}
_JSON_FRAMES = {level: (0xA55A0002 | bits).to_bytes(4, "big") for level, bits in _LEVEL_BITS.items()}

# What a record has by itself, and what the handler puts there: all else came from the caller's `extra`.
_STANDARD_ATTRIBUTES = frozenset({
    "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info",
    "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process",
    "aws_request_id", "tenant_id", "_frame_type",
})  # fmt: skip


def install(module, log, json_format, milliseconds, level):
    """Puts the handler on the root logger of `module`, which is `logging`. `log` is the bootstrap's."""
    module.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandlerWithFrameType(log) if json_format or level else LambdaLoggerHandler(log)
    handler.setFormatter(JsonFormatter(milliseconds) if json_format else logging.Formatter(_TEXT_FORMAT, _DATE_FORMAT))
    handler.addFilter(LambdaLoggerFilter(log))
    root = module.getLogger()
    level = "DEBUG" if level == "TRACE" else level.upper()
    if level in module.getLevelNamesMapping():
        root.setLevel(level)
    root.addHandler(handler)


class LambdaLoggerHandler(logging.Handler):
    """Writes records to Lambda's log. Third-party tools know it by its class name and by `log_sink`."""

    def __init__(self, log_sink):
        super().__init__()
        self.log_sink = log_sink

    def emit(self, record):
        try:
            text = self.format(record)
            # A frame says where the record ends; on standard output only a newline does, and a traceback has none.
            if not self.log_sink.framed and not text.endswith("\n"):
                text += "\n"
            self.log_sink.log(text, self.frame_type(record))
        except Exception:
            self.handleError(record)

    def frame_type(self, record):  # noqa: ARG002
        return None


class LambdaLoggerHandlerWithFrameType(LambdaLoggerHandler):
    """The same where records have levels that Lambda filters by."""

    def frame_type(self, record):
        return getattr(record, "_frame_type", None) or _TEXT_FRAMES.get(_rounded_level(record))


class LambdaLoggerFilter(logging.Filter):
    """Tells records which invocation they belong to."""

    def __init__(self, log):
        super().__init__()
        self._log = log

    def filter(self, record):
        record.aws_request_id = self._log.request_id
        record.tenant_id = self._log.tenant_id
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with Lambda's keys first and the caller's `extra` after them."""

    def __init__(self, milliseconds=False):
        # Text logs do without it.
        import json

        super().__init__(datefmt=_DATE_FORMAT + "Z")
        self._milliseconds = milliseconds
        self._encode = json.JSONEncoder(ensure_ascii=False, default=str).encode

    def formatTime(self, record, datefmt=None):  # noqa: N802
        if not self._milliseconds:
            return super().formatTime(record, datefmt)
        return f"{super().formatTime(record, _DATE_FORMAT)}.{int(record.msecs):03d}Z"

    def format(self, record):
        record.levelno = _rounded_level(record)
        record.levelname = logging.getLevelName(record.levelno)
        record._frame_type = _JSON_FRAMES[record.levelno]
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
            if name not in _STANDARD_ATTRIBUTES:
                fields.setdefault(name, value)
        return self._encode({name: value for name, value in fields.items() if value is not None}) + "\n"


def _rounded_level(record):
    """The standard level at or below the record's."""
    return min(50, max(0, record.levelno)) // 10 * 10
