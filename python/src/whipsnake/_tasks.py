"""Async handlers of which several go on at once: threads wait for Lambda, and all that is the function's runs on one event loop."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any

from whipsnake._event_loop import EventLoop

type Outcome = tuple[Any, SystemExit | None]
"""What was returned, or how the function wanted to leave. As an exception of a task that would end the loop."""


def on_loop(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Awaitable[object]]:
    """A handler that is called on the loop, and cancelled when its time is up: Lambda has told the caller, and only asks for another
    invocation when this one has ended."""

    async def call(event: Any, context: Any) -> object:
        deadline = context._epoch_deadline_time_in_ms
        seconds = context.get_remaining_time_in_millis() / 1000 if deadline else None
        try:
            async with asyncio.timeout(seconds) as limit:
                result = handler(event, context)
                return await result if hasattr(type(result), "__await__") else result
        except TimeoutError:
            if limit.expired():
                raise TimeoutError("the invocation was cancelled at its deadline") from None
            raise

    return call


class LoopElsewhere:
    """The main thread's event loop, for other threads that wait for what it does."""

    def __init__(self, event_loop: EventLoop) -> None:
        self._loop = event_loop.open()
        self._lock = threading.Lock()
        self._withdrawn = False

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
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise RuntimeError("the process ends, and its event loop with it")

    def tell(self, future: "asyncio.Future[bool]", value: bool) -> None:
        """Gives a future of the loop its result, unless it has been cancelled."""

        def settle() -> None:
            if not future.done():
                future.set_result(value)

        self._loop.call_soon_threadsafe(settle)

    def withdraw(self) -> None:
        """Nothing is submitted any more, and what was has become a task: the loop can be closed, and nobody waits in vain."""
        with self._lock:
            self._withdrawn = True
        if not self._loop.is_closed():
            self._loop.run_until_complete(asyncio.sleep(0))

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
        elif self._walk.done():
            raise StopIteration
        else:
            self._elsewhere.tell(self._wanted, True)
        arrived = self._arrived.get()
        if arrived is None:
            _, left = self._walk.result()
            raise left or StopIteration
        return arrived[0]

    def close(self) -> None:
        """Closes the iterator, unless it has ended or was never begun."""
        if self._walk is not None and not self._walk.done():
            self._elsewhere.tell(self._wanted, False)
            self._walk.result()

    async def _deliver(self) -> Outcome:
        try:
            async for item in self._items:
                self._wanted = asyncio.get_running_loop().create_future()
                self._arrived.put((item,))
                if not await self._wanted:
                    close = getattr(self._items, "aclose", None)
                    if close is not None:
                        await close()
                    break
        except SystemExit as error:
            return None, error
        finally:
            self._arrived.put(None)
        return None, None


async def _await(awaitable: Awaitable[object]) -> Outcome:
    try:
        return await awaitable, None
    except SystemExit as error:
        return None, error
