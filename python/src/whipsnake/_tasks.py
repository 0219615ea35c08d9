"""Async handlers of which several go on at once: threads wait for Lambda, what is the function's runs on one event loop."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from whipsnake._event_loop import EventLoop

type Outcome = tuple[Any, SystemExit | None]
"""What was returned, or how the function wanted to leave. As an exception of a task that would end the loop."""


# When time is up for what a thread has the loop do, by the clock that nobody sets; None: never.
_deadline: ContextVar[float | None] = ContextVar("whipsnake.deadline")


def on_loop(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Awaitable[object]]:
    """A handler that is called on the loop."""

    async def call(event: Any, context: Any) -> object:
        result = handler(event, context)
        return await result if hasattr(type(result), "__await__") else result

    def begin(event: Any, context: Any) -> Awaitable[object]:
        # A deadline that has passed before its invocation came says that a clock is wrong, and nothing about the invocation.
        remaining = context.get_remaining_time_in_millis()
        _deadline.set(time.monotonic() + remaining / 1000 if remaining else None)
        return call(event, context)

    return begin


class _UntilTheDeadline:
    """Cancels what is done meanwhile when time is up: the caller has been told by then, and there is no place for another
    invocation until this one ends."""

    async def __aenter__(self) -> None:
        deadline = _deadline.get()
        self._limit = asyncio.timeout(None if deadline is None else deadline - time.monotonic())
        await self._limit.__aenter__()

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._limit.__aexit__(*exception)
        except TimeoutError:
            raise TimeoutError("the invocation was cancelled at its deadline") from None


class LoopElsewhere:
    """The main thread's event loop, for other threads that wait for what it does."""

    def __init__(self, event_loop: EventLoop) -> None:
        self._loop = event_loop.open()
        self._lock = threading.Lock()
        self._withdrawn = False
        # What a thread may be waiting for.
        self._outstanding: set[Future[Outcome]] = set()

    def run(self, awaitable: Awaitable[object]) -> "Settled":
        """Awaits, and returns the outcome. The task has the context variables of the thread that calls."""
        return Settled(self.submit(_await(awaitable)))

    def steps(self, items: AsyncIterator[object]) -> "StepsElsewhere":
        """What an async iterator yields, as a plain iterator."""
        return StepsElsewhere(self, items)

    def submit(self, work: Coroutine[Any, Any, Outcome]) -> "Future[Outcome]":
        """Has the loop do some work."""
        with self._lock:
            if not self._withdrawn:
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
                self._outstanding.add(future)
                future.add_done_callback(self._outstanding.discard)
                return future
        work.close()
        raise RuntimeError("the process ends, and its event loop with it")

    def tell(self, future: "asyncio.Future[bool]", value: bool) -> None:
        """Gives a future of the loop its result, unless it has been cancelled."""

        def settle() -> None:
            if not future.done():
                future.set_result(value)

        self._loop.call_soon_threadsafe(settle)

    def withdraw(self) -> None:
        """Nothing is submitted any more, and what was has become a task: the loop can be closed."""
        with self._lock:
            self._withdrawn = True
        if not self._loop.is_closed():
            self._loop.run_until_complete(asyncio.sleep(0))

    def release(self) -> None:
        """Fails what the loop has not finished. The loop is closed by now, and a thread would wait for ever."""
        for future in list(self._outstanding):
            with suppress(InvalidStateError):
                future.set_exception(CancelledError())

    def close(self) -> None:
        """The loop is the main thread's to close."""


class Settled:
    """The outcome of an awaitable, with a future's methods."""

    def __init__(self, future: "Future[Outcome]") -> None:
        self._future = future

    def exception(self) -> BaseException | None:
        try:
            return self._future.exception() or self._future.result()[1]
        except CancelledError:
            # With none of the frames that this one has.
            raise asyncio.CancelledError from None

    def result(self) -> object:
        return self._future.result()[0]


class StepsElsewhere:
    """Asks for one item of an async iterator after the other, in one task."""

    def __init__(self, elsewhere: LoopElsewhere, items: AsyncIterator[object]) -> None:
        self._elsewhere = elsewhere
        self._items = items
        self._walk: Future[Outcome] | None = None
        # An item in a tuple; None at the end.
        self._arrived: queue.SimpleQueue[tuple[object] | None] = queue.SimpleQueue()
        # What the task waits for with an item delivered: whether another one is wanted.
        self._wanted: asyncio.Future[bool]

    def __iter__(self) -> "StepsElsewhere":
        return self

    def __next__(self) -> object:
        if self._walk is None:
            self._walk = self._elsewhere.submit(self._deliver())
            self._walk.add_done_callback(lambda _: self._arrived.put(None))
        elif self._walk.done():
            raise StopIteration
        else:
            self._elsewhere.tell(self._wanted, True)
        arrived = self._arrived.get()
        if arrived is None:
            raise Settled(self._walk).exception() or StopIteration
        return arrived[0]

    def close(self) -> None:
        """Closes the iterator, unless it has ended or was never begun."""
        if self._walk is not None and not self._walk.done():
            self._elsewhere.tell(self._wanted, False)
            self._walk.result()

    async def _deliver(self) -> Outcome:
        try:
            async with _UntilTheDeadline():
                await self._walk_to_the_end()
        except SystemExit as error:
            return None, error
        return None, None

    async def _walk_to_the_end(self) -> None:
        async for item in self._items:
            self._wanted = asyncio.get_running_loop().create_future()
            self._arrived.put((item,))
            if not await self._wanted:
                close = getattr(self._items, "aclose", None)
                if close is not None:
                    await close()
                return


async def _await(awaitable: Awaitable[object]) -> Outcome:
    try:
        async with _UntilTheDeadline():
            return await awaitable, None
    except SystemExit as error:
        return None, error
