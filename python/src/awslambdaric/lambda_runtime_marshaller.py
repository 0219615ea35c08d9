"""How events become objects and results become bytes, for functions that want it otherwise."""

import sys

import whipsnake
from awslambdaric.lambda_runtime_exception import FaultException

# A function may put something else into `sys.modules`, or empty `sys`.
_modules = sys.modules


class Encoder:
    """Writes JSON as the managed runtime does. A subclass with a `default` of its own says what to write for other objects."""

    def default(self, obj):
        """What stands for an object that JSON has no form for. A Decimal stands for itself: a number, written as it prints."""
        decimal = _modules.get("decimal")
        if decimal is not None and isinstance(obj, decimal.Decimal):
            return obj
        raise TypeError(f"Object of type {type(obj).__name__} is not JSON serializable")

    def encode(self, obj):
        """JSON text."""
        default = None if _has_default_of_ours(self) else self.default
        return whipsnake.running().encode(obj, default).decode("utf-8")


class LambdaMarshaller:
    def __init__(self):
        self.jsonEncoder = Encoder()

    def unmarshal_request(self, request, content_type="application/json"):
        """The event that a payload stands for; the payload itself where it is no JSON."""
        if content_type != "application/json":
            return request
        try:
            return whipsnake.running().decode(request.encode("utf-8") if isinstance(request, str) else request)
        except Exception as error:
            raise FaultException(FaultException.UNMARSHAL_ERROR, f"Unable to unmarshal input: {error}") from error

    def marshal_response(self, response):
        """The body and the content type of an answer.

        What streams is opened here: until its first bytes are there, it can fail as any response can. The body is then an
        object that the client's `post_invocation_result` takes. An encoder with a `default` of its own decides what iterators
        are.
        """
        if isinstance(response, bytes):
            return response, "application/unknown"
        if _has_default_of_ours(self.jsonEncoder) or _says_that_it_streams(response):
            stream = whipsnake.running().open_stream(response)
            if stream is not None:
                return stream, stream.content_type
        try:
            return self.jsonEncoder.encode(response), "application/json"
        except Exception as error:
            raise FaultException(FaultException.MARSHAL_ERROR, f"Unable to marshal response: {error}") from error


def _has_default_of_ours(encoder):
    return getattr(type(encoder), "default", None) is Encoder.default


def _says_that_it_streams(response):
    http = _modules.get("whipsnake.http")
    return http is not None and isinstance(response, http.StreamingResponse)


def to_json(obj):
    """JSON text, as the managed runtime writes it."""
    return Encoder().encode(obj)
