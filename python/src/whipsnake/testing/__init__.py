"""Runs functions under the real bootstrap, for tests. pytest finds the fixtures by itself: see docs/guides/testing.md."""

from whipsnake.testing.logs import LogRecord, Logs
from whipsnake.testing.result import Fault, FunctionError, Report, Result, StreamedResponse
from whipsnake.testing.runtime import InitError, Runtime, RuntimeFactory, Stream

__all__ = [
    "Fault",
    "FunctionError",
    "InitError",
    "LogRecord",
    "Logs",
    "Report",
    "Result",
    "Runtime",
    "RuntimeFactory",
    "Stream",
    "StreamedResponse",
]
