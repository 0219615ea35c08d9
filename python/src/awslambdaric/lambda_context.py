"""The context object of an invocation, with the managed runtime's classes, attributes and texts."""

import posix as _posix
import sys
import time

#: The fields of a W3C trace context that `LambdaContext.w3c` gives out.
W3C_ALLOWED_FIELDS = ("traceparent", "tracestate", "baggage")

# A function may put something else into `sys.modules`, or empty `sys`.
_modules = sys.modules

# Where `LambdaContext.log` writes while the function has not imported `logging`. Set by the bootstrap.
_log_sink = None


def __getattr__(name):
    # Where functions have not imported these, neither do we.
    if name in ("logging", "os"):
        return __import__(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "logging", "os"})


def _create_lambda_context(
    client_context_json,
    cognito_identity_json,
    epoch_deadline_time_in_ms,
    invoke_id,
    invoked_function_arn,
    tenant_id,
):
    """The context of one invocation, from its headers; two of them are JSON."""
    return _LambdaContext(
        invoke_id,
        _parsed(client_context_json, "Client Context") if client_context_json else None,
        _parsed(cognito_identity_json, "Cognito Identity") if cognito_identity_json else None,
        epoch_deadline_time_in_ms,
        invoked_function_arn,
        tenant_id,
    )


def _parsed(header, name):
    """By the standard library's rules and in its words, unlike events."""
    import json

    try:
        return json.loads(header)
    except Exception as error:
        from awslambdaric.lambda_runtime_exception import FaultException

        message = f"Unable to parse {name} JSON: {error}"
        raise FaultException(FaultException.LAMBDA_CONTEXT_UNMARSHAL_ERROR, message, None) from None


class LambdaContext:
    def __init__(
        self,
        invoke_id,
        client_context,
        cognito_identity,
        epoch_deadline_time_in_ms,
        invoked_function_arn=None,
        tenant_id=None,
    ):
        self.aws_request_id = invoke_id
        (
            self.log_group_name,
            self.log_stream_name,
            self.function_name,
            self.memory_limit_in_mb,
            self.function_version,
        ) = _variables()
        self.invoked_function_arn = invoked_function_arn
        self.tenant_id = tenant_id
        self._w3c_fields = self._extract_and_strip_w3c(client_context)
        self.client_context = make_obj_from_dict(ClientContext, client_context)
        if self.client_context is not None:
            self.client_context.client = make_obj_from_dict(Client, self.client_context.client)
        self.identity = identity = make_obj_from_dict(CognitoIdentity, {})
        if cognito_identity is not None:
            identity.cognito_identity_id = cognito_identity.get("cognitoIdentityId")
            identity.cognito_identity_pool_id = cognito_identity.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = epoch_deadline_time_in_ms

    def get_remaining_time_in_millis(self):
        """Milliseconds until Lambda ends the invocation; 0 when it is over or no deadline is known."""
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def w3c(self):
        """The W3C trace context that came with the invocation."""
        return dict(self._w3c_fields)

    @staticmethod
    def _extract_and_strip_w3c(client_context):
        """Takes the trace context out of the client context: functions do not see it there."""
        if not isinstance(client_context, dict):
            return {}
        fields = client_context.pop("w3c", None)
        if not isinstance(fields, dict):
            return {}
        return {name: fields[name] for name in W3C_ALLOWED_FIELDS if isinstance(fields.get(name), str)}

    def log(self, msg):
        """Writes `msg` to the function's log as it is, without a line end."""
        logging = _modules.get("logging")
        if logging is None:
            sink = _log_sink
        else:
            handlers = logging.getLogger().handlers
            sink = next((handler.log_sink for handler in handlers if hasattr(handler, "log_sink")), None)
        if sink is None:
            sys.stdout.write(str(msg))
        else:
            sink.log(str(msg))

    def __repr__(self):
        return (
            f"{self.__class__.__name__}(["
            f"aws_request_id={self.aws_request_id},"
            f"log_group_name={self.log_group_name},"
            f"log_stream_name={self.log_stream_name},"
            f"function_name={self.function_name},"
            f"memory_limit_in_mb={self.memory_limit_in_mb},"
            f"function_version={self.function_version},"
            f"invoked_function_arn={self.invoked_function_arn},"
            f"client_context={self.client_context},"
            f"identity={self.identity},"
            f"tenant_id={self.tenant_id}"
            "])"
        )


# The original's loop has the class under a name of its own.
_LambdaContext = LambdaContext

_VARIABLES = [
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
]
_ENCODED_VARIABLES = [name.encode() for name in _VARIABLES]
_ENCODING, _ENCODING_ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

# What the variables were when they were looked at last: nearly always what they are.
_known = ([], [])  # type: tuple[list[bytes | None], list[str | None]]


def _variables():
    """Asks the function's `os.environ`, whatever it has made of it, as long as it can be asked."""
    global _known
    # The import of `os` would be the larger part of a small function's start: this is what `os.environ` will be made from.
    data, get = _posix.environ, None
    # Not by `get`: of CPython 3.13 without the GIL that locks a dictionary twice, and a thread waits for itself. And not by
    # `getattr` or `type`: a function may have replaced them.
    if "os" in _modules:
        os = _modules["os"]
        try:
            environ = os.environ
            get = environ.get
            if environ.__class__ is os._Environ:
                # Asked itself it would encode each name and decode each value, every time.
                data, get = environ._data, None
        except AttributeError:
            pass
    if get is not None:
        return [get(name) for name in _VARIABLES]
    encoded = [data.get(name) for name in _ENCODED_VARIABLES]
    known, texts = _known
    if encoded == known:
        return texts
    decoded = [None if value is None else value.decode(_ENCODING, _ENCODING_ERRORS) for value in encoded]
    _known = (encoded, decoded)
    return decoded


class _Slotted:
    """A class whose text lists its slots."""

    __slots__ = ()  # type: tuple[str, ...] | list[str]

    def __repr__(self):
        slots = ",".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"{self.__class__.__name__}([{slots}])"


class CognitoIdentity(_Slotted):
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]


class Client(_Slotted):
    __slots__ = [
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    ]


class ClientContext(_Slotted):
    __slots__ = ["custom", "env", "client"]


def make_obj_from_dict(_class, _dict, fields=None):  # noqa: ARG001
    """An instance with the values of its slots, where there are any."""
    if _dict is None:
        return None
    obj = _class()
    set_obj_from_dict(obj, _dict)
    return obj


def set_obj_from_dict(obj, _dict, fields=None):
    """Sets attributes to what a dict has for them, or to None."""
    for field in obj.__class__.__slots__ if fields is None else fields:
        setattr(obj, field, _dict.get(field))
