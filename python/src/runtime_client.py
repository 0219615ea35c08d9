"""The managed runtime's connection to Lambda. `awslambdaric.lambda_runtime_client` asks for events and responds through it."""

import whipsnake as _whipsnake


def initialize_client(user_agent):
    """The process has a connection already, and keeps its user agent."""


def next():  # noqa: A001
    """Waits for the next invocation: its payload, and its headers by their names."""
    return _whipsnake.running().next()


# What it was, for those who ask whether somebody has replaced it.
_next = next


def post_invocation_result(invoke_id, result_data, content_type, invocation_id=None):
    """Responds to an invocation, with bytes or with a stream that the marshaller has opened."""
    _whipsnake.running().respond(invoke_id, result_data, content_type, invocation_id)


def post_error(invoke_id, error_response_data, xray_fault, invocation_id=None):
    """Reports that an invocation failed. Both faults are JSON texts."""
    report = error_response_data.encode("utf-8") if isinstance(error_response_data, str) else error_response_data
    _whipsnake.running().fail(invoke_id, report, xray_fault, invocation_id)
