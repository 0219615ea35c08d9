"""The managed runtime's loop, for the tools that replace parts of it."""

import functools
import os

import whipsnake
from awslambdaric.lambda_context import LambdaContext as LambdaContext
from awslambdaric.lambda_context import create_lambda_context
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_exception import FaultException as FaultException
from awslambdaric.lambda_runtime_marshaller import to_json as to_json

_LOGGING_NAMES = ("JsonFormatter", "LambdaLoggerFilter", "LambdaLoggerHandler", "LambdaLoggerHandlerWithFrameType")

# inspect.CO_COROUTINE
_CO_COROUTINE = 0x80

# Through which the bootstrap calls what is below. Its methods are looked up at each call.
_client = LambdaRuntimeClient(os.environ.get("AWS_LAMBDA_RUNTIME_API"))


def __getattr__(name):
    # Where functions have not imported `logging`, neither do we.
    if name in _LOGGING_NAMES:
        from whipsnake import _logging

        return getattr(_logging, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    log_sink,  # noqa: ARG001
    invocation_id=None,
):
    """Serves one invocation, from its bytes to the answer. Called by the bootstrap once somebody has imported this module."""
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
        response = whipsnake.running().outcome_of(request_handler(event, lambda_context))
        result, result_content_type = lambda_runtime_client.marshaller.marshal_response(response)
    except Exception as error:
        report, xray_cause = whipsnake.running().log_failure(error)
        lambda_runtime_client.post_invocation_error(invoke_id, report, xray_cause, invocation_id)
    else:
        lambda_runtime_client.post_invocation_result(invoke_id, result, result_content_type, invocation_id)


def make_error(error_message, error_type, stack_trace, invoke_id=None):
    """What is reported to Lambda, as a dict."""
    return {
        "errorMessage": error_message or "",
        "errorType": error_type or "",
        "requestId": invoke_id if invoke_id is not None else "",
        "stackTrace": stack_trace or [],
    }


def run(handler, lambda_runtime_client):  # noqa: ARG001
    raise RuntimeError(
        "whipsnake runs the function by itself: set _HANDLER and start its bootstrap instead of calling awslambdaric"
    )


def _get_handler(handler):
    """The function that a handler string names."""
    return whipsnake.running().get_handler(handler)


def _settled(handler):
    """The handler as tools know handlers: a call has its result when it returns, and raises what the handler raises."""
    code = getattr(handler, "__code__", None)
    if code is None or not code.co_flags & _CO_COROUTINE:
        return handler

    @functools.wraps(handler)
    def settled(event, context):
        return whipsnake.running().outcome_of(handler(event, context))

    return settled
