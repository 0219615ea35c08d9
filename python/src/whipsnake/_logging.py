"""The Lambda handler on the root logger. Imported when the function has imported `logging`, and not before.

The classes stand in for the managed runtime's. Their `__module__` is `awslambdaric.bootstrap`, which has them as attributes.
That module is not imported for them, because invocations take a longer way once it is.
"""

import logging
import sys
import time

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What tells Lambda a record's level and format, on the descriptor for framed records. Four bytes, big-endian.
_LEVEL_BITS = {0: 0, 10: 8, 20: 12, 30: 16, 40: 20, 50: 24}
_TEXT_FRAME_TYPES = {level: (0xA55A0003 | bits).to_bytes(4, "big") for level, bits in _LEVEL_BITS.items()}
_JSON_FRAME_TYPES = {level: (0xA55A0002 | bits).to_bytes(4, "big") for level, bits in _LEVEL_BITS.items()}
_DEFAULT_FRAME_TYPE = _TEXT_FRAME_TYPES[0]

_NAMES = "awslambdaric.bootstrap"

# By a name of our own: a function may take `sys` apart.
_modules = sys.modules

# The bootstrap's log, and the sink for it that handlers are given.
_log: "Any" = None
_sink: "Any" = None


def install(module, log, json_format, milliseconds, level):
    """Puts the handler on the root logger of `module`, which is `logging`. `log` is the bootstrap's."""
    global _ERROR_FRAME_TYPE
    formatter = None
    if json_format:
        _ERROR_FRAME_TYPE = _JSON_FRAME_TYPES[logging.ERROR]
        from awslambdaric.lambda_runtime_log_utils import JsonFormatter

        formatter = JsonFormatter()
        if milliseconds:
            formatter._has_milliseconds = True
    set_up(module, formatter, "DEBUG" if level == "TRACE" else level.upper(), sink_of(log))


def set_up(module, formatter, level, sink):
    """The same with a sink of anybody's. Without a `formatter`, records are lines of text."""
    module.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandlerWithFrameType(sink) if formatter or level else LambdaLoggerHandler(sink)
    handler.setFormatter(
        formatter
        or module.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(LambdaLoggerFilter())
    root = module.getLogger()
    if level in module.getLevelNamesMapping():
        root.setLevel(level)
    root.addHandler(handler)


def sink_of(log):
    """The sink that the process's records go to."""
    global _log, _sink
    if _sink is None or _log is not log:
        _log = log
        if log.framed:
            _sink = FramedTelemetryLogSink.__new__(FramedTelemetryLogSink)
            _sink._log = log
        else:
            _sink = StandardLogSink()
    return _sink


def follow_log():
    """Has handlers that were made before a checkpoint write frames, where the restored process has a descriptor for those."""
    if type(_sink) is StandardLogSink and _log.framed:
        _sink.__class__ = FramedTelemetryLogSink  # type: ignore[assignment]
        _sink._log = _log  # type: ignore[attr-defined]


def is_sink_replaced():
    """Whether somebody has changed how the process's sink writes."""
    if _sink is None:
        return False
    own, cls = vars(_sink), type(_sink)
    return "log" in own or "log_error" in own or (cls.log, cls.log_error) != _METHODS.get(cls)


def _named(name):
    """What a name of `awslambdaric.bootstrap` means: somebody may have replaced it."""
    names = _modules.get(_NAMES)
    return globals()[name] if names is None else getattr(names, name, globals().get(name))


class LambdaLoggerHandler(logging.Handler):
    """Writes records to Lambda's log. Third-party tools know it by its class name and by `log_sink`."""

    __module__ = _NAMES

    def __init__(self, log_sink):
        logging.Handler.__init__(self)
        self.log_sink = log_sink

    def emit(self, record):
        try:
            self.log_sink.log(_ended(self.format(record), self.log_sink))
        except Exception:
            self.handleError(record)


class LambdaLoggerHandlerWithFrameType(logging.Handler):
    """The same where records have levels that Lambda filters by."""

    __module__ = _NAMES

    def __init__(self, log_sink):
        super().__init__()
        self.log_sink = log_sink

    def emit(self, record):
        try:
            text = _ended(self.format(record), self.log_sink)
            frame_type = getattr(record, "_frame_type", None)
            if frame_type is None:
                frame_type = _named("_TEXT_FRAME_TYPES").get(_named("_format_log_level")(record))
            self.log_sink.log(text, frame_type=frame_type)
        except Exception:
            self.handleError(record)


def _ended(text, sink):
    # A frame says where the record ends; on standard output only a newline does, and a traceback has none.
    return text if text.endswith("\n") or isinstance(sink, FramedTelemetryLogSink) else text + "\n"


class LambdaLoggerFilter(logging.Filter):
    """Tells records which invocation they belong to."""

    __module__ = _NAMES

    def filter(self, record):
        names = _modules.get(_NAMES)
        if names is None:
            record.aws_request_id, record.tenant_id = _log.request_id, _log.tenant_id
        else:
            record.aws_request_id = getattr(names, "_GLOBAL_AWS_REQUEST_ID", None) or ""
            record.tenant_id = getattr(names, "_GLOBAL_TENANT_ID", None)
        return True


class StandardLogSink:
    """Writes to standard output."""

    __module__ = _NAMES

    def __init__(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, exc_tb):
        pass

    def log(self, msg, frame_type=None):  # noqa: ARG002
        sys.stdout.write(msg)

    def log_error(self, message_lines):
        sys.stdout.write(_named("ERROR_LOG_LINE_TERMINATE").join(message_lines) + "\n")


class FramedTelemetryLogSink:
    """Writes frames to Lambda's descriptor: four bytes of type, four of length, eight of time in microseconds, the message."""

    __module__ = _NAMES

    # The bootstrap's log, for the sink that writes where that does.
    _log = None

    def __init__(self, fd):
        self.fd = int(fd)

    def __enter__(self):
        if self._log is None:
            self.file = open(self.fd, "wb", 0)  # noqa: PTH123
        return self

    def __exit__(self, exc_type, exc_value, exc_tb):
        if self._log is None:
            self.file.close()

    def log(self, msg, frame_type=None):
        frame_type = frame_type or _named("_DEFAULT_FRAME_TYPE")
        if self._log is not None:
            self._log.log(msg, frame_type)
            return
        message = msg.encode("utf8")
        now = time.time_ns() // 1000
        self.file.write(frame_type + len(message).to_bytes(4, "big") + now.to_bytes(8, "big") + message)

    def log_error(self, message_lines):
        self.log("\n".join(message_lines), frame_type=_named("_ERROR_FRAME_TYPE"))


_METHODS = {cls: (cls.log, cls.log_error) for cls in (StandardLogSink, FramedTelemetryLogSink)}

ERROR_LOG_LINE_TERMINATE = "\r"
_ERROR_FRAME_TYPE = _TEXT_FRAME_TYPES[logging.ERROR]


def _format_log_level(record):
    """The standard level at or below the record's."""
    return min(50, max(0, record.levelno)) // 10 * 10
