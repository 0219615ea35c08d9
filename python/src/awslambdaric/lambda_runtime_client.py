"""The client through which answers go to Lambda, for the tools that put themselves before its methods."""

import whipsnake
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller, to_json


class BaseLambdaRuntimeClient:
    marshaller = LambdaMarshaller()
    """How events become objects and results become bytes. A function may put one of its own here, with the same two methods."""

    def __init__(self, lambda_runtime_address, use_thread_for_polling_next=False):
        self.lambda_runtime_address = lambda_runtime_address
        self.use_thread_for_polling_next = use_thread_for_polling_next

    def post_init_error(self, error_response_data, error_type_override=None):
        """Reports a failed init phase. `error_response_data` is a dict."""
        error_type = error_type_override or error_response_data["errorType"]
        whipsnake.running().fail_init(to_json(error_response_data), error_type)

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
        """Answers an invocation, with text, with bytes, or with a stream that the marshaller has opened."""
        whipsnake.running().respond(invoke_id, _bytes(result_data), content_type, invocation_id)

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, invocation_id=None):
        """Reports that an invocation failed. Both faults are JSON texts."""
        whipsnake.running().fail(invoke_id, _bytes(error_response_data), xray_fault, invocation_id)


class LambdaRuntimeClient(BaseLambdaRuntimeClient):
    pass


def _bytes(data):
    return data.encode("utf-8") if isinstance(data, str) else data
