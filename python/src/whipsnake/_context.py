"""The context as type checkers see it; `whipsnake.types` has it for everybody. Not part of the bootstrap.

Protocols: the context of another package's tests is one, too.
"""

from typing import Any, Protocol

__all__ = ["Client", "ClientContext", "CognitoIdentity", "Context"]


class Client(Protocol):
    """The application that calls by one of the mobile SDKs. Each is None unless the caller said it."""

    @property
    def installation_id(self) -> str | None: ...
    @property
    def app_title(self) -> str | None: ...
    @property
    def app_version_name(self) -> str | None: ...
    @property
    def app_version_code(self) -> str | None: ...
    @property
    def app_package_name(self) -> str | None: ...


class ClientContext(Protocol):
    """What a caller sends beside the event."""

    @property
    def client(self) -> Client | None: ...
    @property
    def custom(self) -> dict[str, Any] | None: ...
    @property
    def env(self) -> dict[str, Any] | None: ...


class CognitoIdentity(Protocol):
    """Whom Amazon Cognito knows the caller as. Both are None for other callers."""

    @property
    def cognito_identity_id(self) -> str | None: ...
    @property
    def cognito_identity_pool_id(self) -> str | None: ...


class Context(Protocol):
    """The second argument of a handler."""

    @property
    def aws_request_id(self) -> str: ...
    @property
    def function_name(self) -> str: ...
    @property
    def function_version(self) -> str: ...
    @property
    def invoked_function_arn(self) -> str: ...
    @property
    def memory_limit_in_mb(self) -> str: ...
    @property
    def log_group_name(self) -> str: ...
    @property
    def log_stream_name(self) -> str: ...
    @property
    def identity(self) -> CognitoIdentity: ...
    @property
    def client_context(self) -> ClientContext | None: ...
    @property
    def tenant_id(self) -> str | None: ...

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...

    def log(self, msg: object) -> None:
        """Writes to the log, without a line end."""
        ...

    def w3c(self) -> dict[str, str]:
        """The W3C trace context that came with the invocation."""
        ...
