"""How events become objects and results become bytes, for functions that want it otherwise."""

import decimal
import json
import math
import os as os
import sys as _sys

import whipsnake as _whipsnake
from awslambdaric.lambda_runtime_exception import FaultException

# A function may put something else into `sys.modules`, or empty `sys`.
_modules = _sys.modules


class Encoder(json.JSONEncoder):
    """Writes JSON as the managed runtime does. A `default` of the function's says what to write for other objects."""

    def __init__(self):
        super().__init__(ensure_ascii=False, allow_nan=True)

    def default(self, obj):
        """What stands for an object that JSON has no form for. A Decimal stands for itself: a number, written as it prints."""
        if isinstance(obj, decimal.Decimal):
            return math.nan if obj.is_nan() else obj
        raise TypeError(f"Object of type {type(obj).__name__} is not JSON serializable")

    def encode(self, obj):
        """JSON text."""
        return _whipsnake.running().encode(obj, self.default if _has_own_default(self) else None).decode("utf-8")


class LambdaMarshaller:
    def __init__(self):
        self.jsonEncoder = Encoder()

    def unmarshal_request(self, request, content_type="application/json"):
        """The event that a payload stands for; the payload itself where it is no JSON."""
        if content_type != "application/json":
            return request
        try:
            return _whipsnake.running().decode(request.encode("utf-8") if isinstance(request, str) else request)
        except Exception as error:
            message = f"Unable to unmarshal input: {error}"
            raise FaultException(FaultException.UNMARSHAL_ERROR, message, None) from error

    def marshal_response(self, response):
        """The body and the content type of a response.

        What streams is opened here: until its first bytes are there, it can fail as any response can. The body is then an
        object that the client's `post_invocation_result` takes. An encoder with a `default` of its own decides what iterators
        are.
        """
        if isinstance(response, bytes):
            return response, "application/unknown"
        if not _has_own_default(self.jsonEncoder) or _says_that_it_streams(response):
            stream = _whipsnake.running().open_stream(response)
            if stream is not None:
                return stream, stream.content_type
        try:
            return self.jsonEncoder.encode(response), "application/json"
        except Exception as error:
            message = f"Unable to marshal response: {error}"
            raise FaultException(FaultException.MARSHAL_ERROR, message, None) from error


_DEFAULT = Encoder.default


def _has_own_default(encoder):
    """Whether the function has its own `default`: on the instance, in a subclass, or in place of this one."""
    return getattr(getattr(encoder, "default", None), "__func__", None) is not _DEFAULT


def _says_that_it_streams(response):
    http = _modules.get("whipsnake.http")
    return http is not None and isinstance(response, http.StreamingResponse)


def to_json(obj):
    """JSON text, as the managed runtime writes it."""
    return Encoder().encode(obj)


_TO_JSON = (Encoder, Encoder.encode)


def _is_to_json_replaced():
    return (Encoder, Encoder.encode) != _TO_JSON


# The managed runtime has imported all of them before anybody can replace a name in one.
from awslambdaric import lambda_runtime_client as _lambda_runtime_client  # noqa: E402, F401
