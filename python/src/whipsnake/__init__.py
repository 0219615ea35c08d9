"""Whipsnake, a custom AWS Lambda runtime for Python."""

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from whipsnake.http import HttpResponse as HttpResponse
    from whipsnake.http import StreamingResponse as StreamingResponse

__version__ = "0.1.0"


def running() -> "Any":
    """The runtime that serves the function in this process. The bootstrap puts itself here."""
    raise RuntimeError("no function is served in this process: only the one that Lambda started does that")


def _nothing() -> None:
    """Runs Python: what waits for that in this thread, such as an injected exception, is raised here."""


if not TYPE_CHECKING:

    def __getattr__(name):
        # Functions that do not stream do not load what others stream with.
        if name in ("HttpResponse", "StreamingResponse"):
            from whipsnake import http

            return getattr(http, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
