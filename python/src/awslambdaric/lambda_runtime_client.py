"""The client through which responses go to Lambda, for the tools that put themselves before its methods."""

import logging
import sys
import time

import runtime_client
import whipsnake as _whipsnake
from awslambdaric import __version__
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller, to_json

ERROR_TYPE_HEADER = "Lambda-Runtime-Function-Error-Type"
DEFAULT_RETRY_MAX_ATTEMPTS = 5
DEFAULT_RETRY_INITIAL_DELAY = 0.1
DEFAULT_RETRY_BACKOFF_FACTOR = 2.0

_INIT_ERROR = "/2018-06-01/runtime/init/error"
_RESTORE_NEXT = "/2018-06-01/runtime/restore/next"
_RESTORE_ERROR = "/2018-06-01/runtime/restore/error"


def _user_agent():
    return f"aws-lambda-python/{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}-{__version__}"


class InvocationRequest:
    def __init__(self, **kwds):
        self.__dict__.update(kwds)

    def __eq__(self, other):
        return self.__dict__ == other.__dict__


class LambdaRuntimeClientError(Exception):
    def __init__(self, endpoint, response_code, response_body):
        self.endpoint = endpoint
        self.response_code = response_code
        self.response_body = response_body
        super().__init__(
            f"Request to Lambda Runtime '{endpoint}' endpoint failed. Reason: '{response_code}'. "
            f"Response body: '{response_body}'"
        )


class BaseLambdaRuntimeClient:
    marshaller = LambdaMarshaller()
    """How events become objects and results become bytes. A function may put its own here, with the same two methods."""

    def __init__(self, lambda_runtime_address, use_thread_for_polling_next=False):
        self.lambda_runtime_address = lambda_runtime_address
        self.use_thread_for_polling_next = use_thread_for_polling_next
        if use_thread_for_polling_next:
            from concurrent.futures import ThreadPoolExecutor

            self.ThreadPoolExecutor = ThreadPoolExecutor

    def call_rapid(self, http_method, endpoint, expected_http_code, payload=None, headers=None):
        """One exchange with the Runtime API. What it answers is nobody's; an unexpected status is an exception."""
        if endpoint == _INIT_ERROR:
            _whipsnake.running().fail_init(to_json(payload), headers[ERROR_TYPE_HEADER])
        elif endpoint == _RESTORE_NEXT:
            _whipsnake.running().restored()
        elif endpoint == _RESTORE_ERROR:
            _whipsnake.running().fail_restore(to_json(payload))
        else:
            self._exchange(http_method, endpoint, expected_http_code, payload, headers)

    def _exchange(self, http_method, endpoint, expected_http_code, payload, headers):
        import http.client

        connection = http.client.HTTPConnection(self.lambda_runtime_address)
        body = None if http_method == "GET" else to_json(payload)
        connection.request(http_method, endpoint, body, headers=headers or {})
        response = connection.getresponse()
        response_body = response.read()
        if response.status != expected_http_code:
            raise LambdaRuntimeClientError(endpoint, response.status, response_body)

    def post_init_error(self, error_response_data, error_type_override=None):
        """Reports a failed init phase. `error_response_data` is a dict."""
        headers = {ERROR_TYPE_HEADER: error_type_override or error_response_data["errorType"]}
        try:
            self.call_rapid("POST", _INIT_ERROR, 202, error_response_data, headers)
        except Exception as error:
            self.handle_init_error(error)

    def handle_init_error(self, exc):
        raise NotImplementedError

    def restore_next(self):
        """Waits until the process goes on behind a snapshot."""
        self.call_rapid("GET", _RESTORE_NEXT, 200)

    def report_restore_error(self, restore_error_data):
        """Reports that the hooks after a restore failed."""
        headers = {ERROR_TYPE_HEADER: FaultException.AFTER_RESTORE_ERROR}
        self.call_rapid("POST", _RESTORE_ERROR, 202, restore_error_data, headers)

    def handle_exception(self, exc, func_to_retry=None, use_backoff=False):
        raise NotImplementedError

    def _get_next(self):
        # The bootstrap asks again by itself where that makes sense.
        return runtime_client.next()

    def wait_next_invocation(self):
        """Waits for the next invocation. Called where somebody has replaced one of the names on this way."""
        try:
            response_body, headers = self._get_next()
        except Exception as error:
            message = f"LAMBDA_RUNTIME Failed to get next invocation: {error}"
            raise FaultException(FaultException.LAMBDA_RUNTIME_CLIENT_ERROR, message, None) from error
        return InvocationRequest(
            invoke_id=headers.get("Lambda-Runtime-Aws-Request-Id"),
            x_amzn_trace_id=headers.get("Lambda-Runtime-Trace-Id"),
            invoked_function_arn=headers.get("Lambda-Runtime-Invoked-Function-Arn"),
            deadline_time_in_ms=headers.get("Lambda-Runtime-Deadline-Ms"),
            client_context=headers.get("Lambda-Runtime-Client-Context"),
            cognito_identity=headers.get("Lambda-Runtime-Cognito-Identity"),
            tenant_id=headers.get("Lambda-Runtime-Aws-Tenant-Id"),
            content_type=headers.get("Content-Type"),
            event_body=response_body,
            invocation_id=headers.get("Lambda-Runtime-Invocation-Id"),
        )

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
        """Responds to an invocation, with text, with bytes, or with a stream that the marshaller has opened."""
        try:
            data = result_data.encode("utf-8") if isinstance(result_data, str) else result_data
            runtime_client.post_invocation_result(invoke_id, data, content_type, invocation_id)
        except Exception as error:
            self.handle_exception(error)

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, invocation_id=None):
        """Reports that an invocation failed. Both faults are JSON texts."""
        try:
            if len(xray_fault.encode()) >= 1024 * 1024:
                xray_fault = ""
            runtime_client.post_error(invoke_id, error_response_data, xray_fault, invocation_id)
        except Exception as error:
            self.handle_exception(error)


class LambdaRuntimeClient(BaseLambdaRuntimeClient):
    def handle_exception(self, exc, func_to_retry=None, use_backoff=False):  # noqa: ARG002
        raise exc

    def handle_init_error(self, exc):
        raise exc


class LambdaMultiConcurrentRuntimeClient(BaseLambdaRuntimeClient):
    def _get_next_with_backoff(self, e, func_to_retry):
        logging.warning(f"Initial runtime_client.next() failed: {e}")
        delay = DEFAULT_RETRY_INITIAL_DELAY
        latest = e
        for attempt in range(2, DEFAULT_RETRY_MAX_ATTEMPTS + 1):
            logging.info(f"Retrying runtime_client.next() [attempt {attempt}]...")
            time.sleep(delay)
            try:
                return func_to_retry()
            except Exception as error:
                logging.warning(f"Attempt {attempt} failed: {error}")
                delay *= DEFAULT_RETRY_BACKOFF_FACTOR
                latest = error
        raise latest

    def handle_exception(self, exc, func_to_retry=None, use_backoff=False):
        if use_backoff:
            return self._get_next_with_backoff(exc, func_to_retry)
        logging.warning(f"{exc}: This won't kill the Runtime loop")
        return None

    def handle_init_error(self, exc):
        # Another worker has reported it.
        if not isinstance(exc, LambdaRuntimeClientError) or exc.response_code != 403:
            raise exc


def _waits(client):
    return (
        client.wait_next_invocation,
        client._get_next,
        InvocationRequest,
        runtime_client,
    )


def _restores(client):
    return (client.restore_next, client.report_restore_error, client.call_rapid)


_WAITING = _waits(BaseLambdaRuntimeClient)
_RESTORING = _restores(BaseLambdaRuntimeClient)


def _is_waiting_replaced(client):
    """Whether somebody has replaced a name on the way to the next invocation."""
    return _waits(type(client)) != _WAITING or runtime_client.next is not runtime_client._next


def _is_restoring_replaced(client):
    """The same for a restore from a snapshot."""
    return _restores(type(client)) != _RESTORING


# The managed runtime has imported all of them before anybody can replace a name in one.
from awslambdaric import bootstrap as _bootstrap  # noqa: E402, F401
