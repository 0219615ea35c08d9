"""Which invocation a piece of code serves, where several go on in one process. Imported there, and not before."""

import functools
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

#: Request id, tenant id and trace id. Nothing where no invocation is served, and in threads that do not carry context over.
current: ContextVar[tuple[str, str | None, str | None] | None] = ContextVar("whipsnake.invocation", default=None)


class _TraceId:
    """An invocation's `_X_AMZN_TRACE_ID`, the same one in all of the invocation's tasks and threads."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | None) -> None:
        self.value = value


_TRACE_ID = b"_X_AMZN_TRACE_ID"
_trace_id: ContextVar[_TraceId | None] = ContextVar("whipsnake.trace_id", default=None)


def begin(request_id: str, tenant_id: str | None, trace_id: str | None) -> None:
    """Makes an invocation the current one in this context."""
    current.set((request_id, tenant_id, trace_id))
    _trace_id.set(_TraceId(None if trace_id is None else os.fsencode(trace_id)))


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


def _with_trace_ids(base: type) -> type:
    """The class of `os.environ` and `os.environb`, with the trace id of the invocation that asks: that is where X-Ray's and
    AWS's SDKs look. What an invocation sets or deletes, no other one notices."""

    class _Environ(base):  # type: ignore[misc]
        def __getitem__(self, name: Any) -> Any:
            trace_id = self._trace_id(name)
            if trace_id is None:
                return super().__getitem__(name)
            if trace_id.value is None:
                raise KeyError(name)
            return self.decodevalue(trace_id.value)

        def __setitem__(self, name: Any, value: Any) -> None:
            trace_id = self._trace_id(name)
            if trace_id is None:
                super().__setitem__(name, value)
                return
            encoded = self.encodevalue(value)
            if b"\0" in encoded:
                raise ValueError("embedded null byte")
            trace_id.value = encoded

        def __delitem__(self, name: Any) -> None:
            trace_id = self._trace_id(name)
            if trace_id is None:
                super().__delitem__(name)
            elif trace_id.value is None:
                raise KeyError(name)
            else:
                trace_id.value = None

        def __iter__(self) -> Iterator[Any]:
            trace_id = _trace_id.get()
            if trace_id is None:
                yield from super().__iter__()
                return
            for name in list(self._data):
                if name != _TRACE_ID:
                    yield self.decodekey(name)
            if trace_id.value is not None:
                yield self.decodekey(_TRACE_ID)

        def __len__(self) -> int:
            return sum(1 for _ in self)

        def __repr__(self) -> str:
            return f"environ({{{', '.join(f'{name!r}: {value!r}' for name, value in self.items())}}})"

        def _trace_id(self, name: Any) -> _TraceId | None:
            """None where `name` is not the trace id's, and where no invocation is served."""
            trace_id = _trace_id.get()
            return trace_id if trace_id is not None and self.encodekey(name) == _TRACE_ID else None

    return _Environ


for _environ in (os.environ, getattr(os, "environb", None)):
    # A function may have put something else in their place.
    if isinstance(_environ, os._Environ):
        _environ.__class__ = _with_trace_ids(type(_environ))
