"""Which invocation a piece of code serves, where several go on in one process. Imported there, and not before."""

import functools
import os
from collections.abc import Iterator
from contextvars import ContextVar

_TRACE_ID = "_X_AMZN_TRACE_ID"

#: Request id, tenant id and trace id. Nothing where no invocation is served, and in threads that do not carry context over.
current: ContextVar[tuple[str, str | None, str | None] | None] = ContextVar("whipsnake.invocation", default=None)

# inspect.CO_COROUTINE, CO_ITERABLE_COROUTINE and CO_ASYNC_GENERATOR.
_ASYNC = 0x80 | 0x100 | 0x200


def is_async(handler: object) -> bool:
    """Whether a call of the handler gives something to await, or an async iterator: coroutine functions, methods and partials
    of one, objects with an async `__call__`, and what `inspect.markcoroutinefunction` has marked."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    handler = getattr(handler, "__func__", handler)
    if hasattr(handler, "_is_coroutine_marker"):
        return True
    called = handler if hasattr(handler, "__code__") else type(handler).__call__
    code = getattr(called, "__code__", None)
    return bool(code and code.co_flags & _ASYNC)


class _Environ(type(os.environ)):  # type: ignore[misc]
    """`os.environ` with the trace id of the invocation that asks: that is where X-Ray's and AWS's SDKs look."""

    def __getitem__(self, name: str) -> str:
        if name == _TRACE_ID and (trace_id := _trace_id()):
            return trace_id
        value: str = super().__getitem__(name)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        if _trace_id() and self.encodekey(_TRACE_ID) not in self._data:
            yield _TRACE_ID

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _trace_id() -> str | None:
    invocation = current.get()
    return invocation[2] if invocation else None


os.environ.__class__ = _Environ
