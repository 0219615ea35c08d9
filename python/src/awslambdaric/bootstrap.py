"""The managed runtime's loop, for the tools that replace parts of it.

The bootstrap calls `handle_event_request` here once somebody has imported these names. Each name that the original looks up
when it is called is looked up here as well. A name that nobody has replaced ends in the code that serves all other functions.
"""

import importlib as importlib
import json
import logging
import os
import sys
import time
import traceback

import whipsnake as _whipsnake
from awslambdaric import lambda_runtime_client as _lambda_runtime_client
from awslambdaric import lambda_runtime_marshaller as _lambda_runtime_marshaller
from awslambdaric.lambda_context import _LambdaContext as LambdaContext
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_log_utils import _DATETIME_FORMAT, JsonFormatter, LogFormat, _get_log_level_from_env_var
from awslambdaric.lambda_runtime_marshaller import to_json
from whipsnake import _logging
from whipsnake._logging import _DEFAULT_FRAME_TYPE as _DEFAULT_FRAME_TYPE
from whipsnake._logging import (
    _JSON_FRAME_TYPES,
    _TEXT_FRAME_TYPES,
    FramedTelemetryLogSink,
    StandardLogSink,
)
from whipsnake._logging import LambdaLoggerFilter as LambdaLoggerFilter
from whipsnake._logging import LambdaLoggerHandler as LambdaLoggerHandler
from whipsnake._logging import LambdaLoggerHandlerWithFrameType as LambdaLoggerHandlerWithFrameType
from whipsnake._logging import _format_log_level as _format_log_level

ERROR_LOG_LINE_TERMINATE = "\r"
ERROR_LOG_IDENT = "\u00a0"
AWS_LAMBDA_INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
INIT_TYPE_SNAP_START = "snap-start"
PREVIEW_RUNTIME_ENVS = {"AWS_Lambda_python3.15"}
_AWS_LAMBDA_LOG_FORMAT = LogFormat.from_str(os.environ.get("AWS_LAMBDA_LOG_FORMAT"))
_AWS_LAMBDA_LOG_LEVEL = _get_log_level_from_env_var(os.environ.get("AWS_LAMBDA_LOG_LEVEL"))
_LOGS_JSON = _AWS_LAMBDA_LOG_FORMAT == LogFormat.JSON
_ERROR_FRAME_TYPE = (_JSON_FRAME_TYPES if _LOGS_JSON else _TEXT_FRAME_TYPES)[logging.ERROR]

# inspect.CO_COROUTINE
_CO_COROUTINE = 0x80

# Through which the bootstrap calls what is below. Its methods are looked up at each call.
_client = (
    _lambda_runtime_client.LambdaMultiConcurrentRuntimeClient
    if os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY")
    else LambdaRuntimeClient
)(os.environ.get("AWS_LAMBDA_RUNTIME_API"))


def __getattr__(name):
    # Of the invocation that is served where the question is asked; nothing during the init phase.
    if name == "_GLOBAL_AWS_REQUEST_ID":
        return _whipsnake.running().log.request_id or None
    if name == "_GLOBAL_TENANT_ID":
        return _whipsnake.running().log.tenant_id
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "_GLOBAL_AWS_REQUEST_ID", "_GLOBAL_TENANT_ID"})


def handle_event_request(
    lambda_runtime_client,
    request_handler,
    invoke_id,
    event_body,
    content_type,
    client_context_json,
    cognito_identity_json,
    invoked_function_arn,
    epoch_deadline_time_in_ms,
    tenant_id,
    log_sink,
    invocation_id=None,
):
    """Serves one invocation, from its bytes to the response. Called by the bootstrap once somebody has imported this module."""
    try:
        lambda_context = create_lambda_context(
            client_context_json,
            cognito_identity_json,
            epoch_deadline_time_in_ms,
            invoke_id,
            invoked_function_arn,
            tenant_id,
        )
        event = lambda_runtime_client.marshaller.unmarshal_request(event_body, content_type)
        response = _whipsnake.running().outcome_of(request_handler(event, lambda_context))
        result, result_content_type = lambda_runtime_client.marshaller.marshal_response(response)
    except Exception as error:
        _post_failure(lambda_runtime_client, error, invoke_id, log_sink, invocation_id)
    else:
        lambda_runtime_client.post_invocation_result(invoke_id, result, result_content_type, invocation_id)


def _post_failure(lambda_runtime_client, error, invoke_id, log_sink, invocation_id):
    """Logs and reports the failure of an invocation."""
    if _is_reporting_replaced():
        if isinstance(error, FaultException):
            xray_fault = make_xray_fault("LambdaValidationError", error.msg, os.getcwd(), [])  # noqa: PTH109
            error_result = make_error(error.msg, error.exception_type, error.trace, invoke_id)
        else:
            frames = _frames(error.__traceback__)
            xray_fault = make_xray_fault(type(error).__name__, str(error), os.getcwd(), frames)  # noqa: PTH109
            error_result = make_error(str(error), type(error).__name__, traceback.format_list(frames), invoke_id)
        log_error(error_result, log_sink)
        report, xray_cause = to_json(error_result), to_json(xray_fault)
    else:
        report, xray_cause = _whipsnake.running().log_failure(error)
    lambda_runtime_client.post_invocation_error(invoke_id, report, xray_cause, invocation_id)


def _post_init_failure(lambda_runtime_client, error, known, log_sink):
    """Logs and reports a failed init phase, where somebody has replaced a name on the way. `known` is for `make_error`."""
    reads_stack = any(map(_is_replaced, ("build_fault_result", "extract_traceback", "traceback")))
    if isinstance(error, FaultException) or not reads_stack:
        error_result = make_error(*known)
    else:
        error_result = build_fault_result((type(error), error, error.__traceback__), None)
    log_error(error_result, log_sink)
    lambda_runtime_client.post_init_error(error_result)


def _frames(tb):
    """What `extract_traceback` gives, without the frames that are not the function's."""
    frames = extract_traceback(tb)
    for number, frame in enumerate(frames):
        if not frame[0].startswith(_OWN_CODE) and "/bootstrap.py" not in frame[0]:
            return frames[number:]
    return frames


_OWN_CODE = ("<frozen awslambdaric.", "<frozen whipsnake.", handle_event_request.__code__.co_filename)


def make_error(error_message, error_type, stack_trace, invoke_id=None):
    """What is reported to Lambda, as a dict."""
    return {
        "errorMessage": error_message or "",
        "errorType": error_type or "",
        "requestId": invoke_id if invoke_id is not None else "",
        "stackTrace": stack_trace or [],
    }


def build_fault_result(exc_info, msg):
    """The same for an exception."""
    error_type, error, tb = exc_info
    return make_error(msg or str(error), error_type.__name__, traceback.format_list(_frames(tb)))


def make_xray_fault(ex_type, ex_msg, working_dir, tb_tuples):
    """What is reported to X-Ray, as a dict. `tb_tuples` is what `extract_traceback` gives."""
    stack = [{"label": label, "path": path, "line": line} for path, line, label, _ in tb_tuples]
    return {
        "working_directory": working_dir,
        "exceptions": [{"message": ex_msg, "type": ex_type, "stack": stack}],
        "paths": list({frame["path"] for frame in stack}),
    }


def extract_traceback(tb):
    """File, line, name and source of each frame."""
    return [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(tb)]


def replace_line_indentation(line, indent_char, new_indent_char):
    rest = line.lstrip(indent_char)
    return new_indent_char * (len(line) - len(rest)) + rest


if _LOGS_JSON:

    def log_error(error_result, log_sink):
        """Logs what `make_error` gives."""
        now = time.strftime(_DATETIME_FORMAT, logging.Formatter.converter(time.time()))
        log_sink.log_error([to_json({"timestamp": now, "level": "ERROR", **error_result})])

else:

    def log_error(error_result, log_sink):
        """Logs what `make_error` gives."""
        error_type, message = error_result.get("errorType"), error_result.get("errorMessage")
        headline = f"[ERROR] {error_type}" if error_type else "[ERROR]"
        if message:
            headline += (": " if error_type else " ") + message
        lines = [headline]
        stack_trace = error_result.get("stackTrace")
        if stack_trace is not None:
            lines.append("Traceback (most recent call last):")
            for entry in stack_trace:
                entry_lines = entry.splitlines() if entry else [""]
                lines += [replace_line_indentation(line, " ", ERROR_LOG_IDENT) if line else line for line in entry_lines]
        log_sink.log_error(lines)


def parse_json_header(header, name):
    """By the standard library's rules and in its words, unlike events."""
    try:
        return json.loads(header)
    except Exception as error:
        message = f"Unable to parse {name} JSON: {error}"
        raise FaultException(FaultException.LAMBDA_CONTEXT_UNMARSHAL_ERROR, message, None) from None


def create_lambda_context(
    client_context_json,
    cognito_identity_json,
    epoch_deadline_time_in_ms,
    invoke_id,
    invoked_function_arn,
    tenant_id,
):
    """The context of one invocation, from its headers; two of them are JSON."""
    return LambdaContext(
        invoke_id,
        parse_json_header(client_context_json, "Client Context") if client_context_json else None,
        parse_json_header(cognito_identity_json, "Cognito Identity") if cognito_identity_json else None,
        epoch_deadline_time_in_ms,
        invoked_function_arn,
        tenant_id,
    )


def update_xray_env_variable(xray_trace_id):
    """Puts the trace id where X-Ray looks for it."""
    if xray_trace_id is not None:
        os.environ["_X_AMZN_TRACE_ID"] = xray_trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def on_init_complete(lambda_runtime_client, log_sink):
    """Runs the hooks before a snapshot and after a restore, where somebody has replaced one of the names on this way."""
    from awslambdaric import lambda_runtime_hooks_runner

    try:
        lambda_runtime_hooks_runner.run_before_snapshot()
        lambda_runtime_client.restore_next()
    except BaseException:
        error_result = build_fault_result(sys.exc_info(), None)
        log_error(error_result, log_sink)
        lambda_runtime_client.post_init_error(error_result, FaultException.BEFORE_SNAPSHOT_ERROR)
        sys.exit(64)
    try:
        lambda_runtime_hooks_runner.run_after_restore()
    except BaseException:
        error_result = build_fault_result(sys.exc_info(), None)
        log_error(error_result, log_sink)
        lambda_runtime_client.report_restore_error(error_result)
        sys.exit(65)


class Unbuffered:
    """A stream that is flushed after each write."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, exc_tb):
        pass

    def __getattr__(self, attr):
        return getattr(self.stream, attr)

    def write(self, msg):
        self.stream.write(msg)
        self.stream.flush()

    def writelines(self, msgs):
        self.stream.writelines(msgs)
        self.stream.flush()


def create_log_sink():
    descriptor = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    return StandardLogSink() if descriptor is None else FramedTelemetryLogSink(descriptor)


def _setup_logging(log_format, log_level, log_sink):
    formatter = JsonFormatter() if log_format == LogFormat.JSON else None
    _logging.set_up(logging, formatter, log_level, log_sink)


def _log_preview_runtime_warning():
    if os.environ.get("LAMBDA_DISABLE_PREVIEW_WARN", ""):
        return
    if os.environ.get("AWS_EXECUTION_ENV", "") in PREVIEW_RUNTIME_ENVS:
        from awslambdaric.lambda_literals import get_lambda_preview_runtime_warning_message

        logging.warning(get_lambda_preview_runtime_warning_message())


def init_logging():
    sys.stdout = Unbuffered(sys.stdout)
    sys.stderr = Unbuffered(sys.stderr)
    log_sink = create_log_sink()
    log_sink.__enter__()
    _setup_logging(_AWS_LAMBDA_LOG_FORMAT, _AWS_LAMBDA_LOG_LEVEL, log_sink)
    return log_sink


def run(handler, lambda_runtime_client):  # noqa: ARG001
    raise RuntimeError(
        "whipsnake runs the function by itself: set _HANDLER and start its bootstrap instead of calling awslambdaric"
    )


def _get_handler(handler):
    """The function that a handler string names."""
    return _whipsnake.running().get_handler(handler)


def _settled(handler):
    """The handler as tools know handlers: a call has its result when it returns, and raises what the handler raises."""
    code = getattr(handler, "__code__", None)
    if code is None or not code.co_flags & _CO_COROUTINE:
        return handler

    import functools

    @functools.wraps(handler)
    def settled(event, context):
        return _whipsnake.running().outcome_of(handler(event, context))

    return settled


def _begin(trace_id):
    """Called when an invocation has come. Whether its trace id has been set by a function of somebody else's."""
    names = globals()
    names.pop("_GLOBAL_AWS_REQUEST_ID", None)
    names.pop("_GLOBAL_TENANT_ID", None)
    if update_xray_env_variable is _ORIGINALS["update_xray_env_variable"]:
        return False
    update_xray_env_variable(trace_id)
    return True


def _is_replaced(name):
    return globals()[name] is not _ORIGINALS[name]


def _is_reporting_replaced():
    """Whether somebody has replaced a name that the original looks up when it logs and reports a failure."""
    return (
        any(map(_is_replaced, _REPORTING)) or _logging.is_sink_replaced() or _lambda_runtime_marshaller._is_to_json_replaced()
    )


def _is_init_reporting_replaced():
    """The same for a failed init phase."""
    return _is_reporting_replaced() or _is_replaced("build_fault_result")


def _is_waiting_replaced():
    return _lambda_runtime_client._is_waiting_replaced(_client)


def _is_snapshot_replaced():
    """The same for what is done around a snapshot."""
    return (
        _is_replaced("on_init_complete")
        or _is_init_reporting_replaced()
        or _lambda_runtime_client._is_restoring_replaced(_client)
    )


_REPORTING = (
    "ERROR_LOG_IDENT",
    "ERROR_LOG_LINE_TERMINATE",
    "_ERROR_FRAME_TYPE",
    "extract_traceback",
    "log_error",
    "make_error",
    "make_xray_fault",
    "replace_line_indentation",
    "to_json",
    "traceback",
)
_ORIGINALS = {
    name: globals()[name]
    for name in (*_REPORTING, "_get_handler", "build_fault_result", "on_init_complete", "update_xray_env_variable")
}
