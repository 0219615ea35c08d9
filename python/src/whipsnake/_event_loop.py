"""The event loop of async handlers. Imported when a handler has returned something to await, and not before."""

import asyncio
import os
import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

# What is to be awaited before the loop closes, with everything else still going on in it.
before_close: list[Callable[[], Awaitable[object]]] = []


class EventLoop:
    """One loop for as long as the process lives, so that clients, pools and background tasks outlive an invocation."""

    def __init__(self, wakeup_fd: int, leave_forked_process: Callable[[], object]) -> None:
        self._wakeup_fd = wakeup_fd
        self._leave_forked_process = leave_forked_process
        self._runner: asyncio.Runner | None = None
        # The thread in which the loop idles.
        self._idles_in: int | None = None
        self._of_the_parent: list[object] = []
        os.register_at_fork(after_in_child=self._leave_in_child)

    def run(self, awaitable: Awaitable[object]) -> asyncio.Future[object]:
        """Awaits, and returns the future of it, which is done. Not its result: this is no part of the handler's stack."""
        loop = self.open()
        future = asyncio.ensure_future(awaitable, loop=loop)
        future.add_done_callback(_stop)
        loop.run_forever()
        if not future.done():
            future.remove_done_callback(_stop)
            future.cancel()
            raise RuntimeError("Event loop stopped before Future completed.")
        return future

    def steps(self, items: AsyncIterator[object]) -> "Steps":
        """What an async iterator yields, as a plain iterator."""
        return Steps(self.open(), items)

    def idle(self) -> None:
        """Runs what the function has going on, until there is something to read at the wake-up descriptor."""
        loop = self.open()
        loop.add_reader(self._wakeup_fd, self._wake, loop)
        self._idles_in = threading.get_ident()
        try:
            loop.run_forever()
        finally:
            self._idles_in = None
            if not loop.is_closed():
                loop.remove_reader(self._wakeup_fd)

    def close(self) -> None:
        """Cancels what is going on, closes async generators and ends the loop."""
        runner, self._runner = self._runner, None
        if runner is not None and not runner.get_loop().is_closed():
            with runner:
                for last_wish in before_close:
                    runner.get_loop().run_until_complete(last_wish())

    def open(self) -> asyncio.AbstractEventLoop:
        """The loop, made when it is needed for the first time."""
        if self._runner is None or self._runner.get_loop().is_closed():
            self._runner = asyncio.Runner(loop_factory=_loop_of_the_function)
        return self._runner.get_loop()

    def _leave_in_child(self) -> None:
        """Ends a child that was forked on the idling loop, when it comes back there: selector and wake-up descriptor are its
        parent's, and so are the other tasks that are ready to run."""
        if self._runner is None or self._idles_in != threading.get_ident():
            return
        loop = self._runner.get_loop()
        ready = getattr(loop, "_ready", None)
        if isinstance(ready, deque):
            # Kept: a coroutine that is dropped runs its `finally`.
            self._of_the_parent = list(ready)
            ready.clear()
        # asyncio has made sure that the loop does not count as running here. The task that forked fails with that when it
        # suspends, which is nobody's error.
        loop.set_exception_handler(lambda *_: None)
        loop.call_soon(self._leave_forked_process)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        os.read(self._wakeup_fd, 4096)
        loop.stop()


class Steps:
    """Runs the loop from one item of an async iterator to the next.

    All of them are asked for in one task, which is also the one that closes the iterator: time-outs, task groups and context
    variables of a generator live across its `yield`s.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, items: AsyncIterator[object]) -> None:
        self._loop = loop
        self._items = items
        self._task: asyncio.Task[None] | None = None
        self._arrived: list[object] = []
        # What the task waits for with an item delivered: whether another one is wanted.
        self._wanted: asyncio.Future[bool]

    def __iter__(self) -> "Steps":
        return self

    def __next__(self) -> object:
        if self._task is None:
            self._task = self._loop.create_task(self._walk())
            self._task.add_done_callback(_stop)
        elif self._task.done():
            raise StopIteration
        else:
            self._wanted.set_result(True)
        self._run(self._task)
        if self._arrived:
            return self._arrived.pop()
        raise StopIteration

    def close(self) -> None:
        """Closes the iterator, unless it has ended or was never begun."""
        if self._task is not None and not self._task.done():
            self._wanted.set_result(False)
            self._run(self._task)

    def _run(self, task: asyncio.Task[None]) -> None:
        self._loop.run_forever()
        if task.done():
            task.result()
        elif not self._arrived:
            self._task = None
            task.remove_done_callback(_stop)
            task.cancel()
            raise RuntimeError("Event loop stopped before the next item came.")

    async def _walk(self) -> None:
        async for item in self._items:
            self._arrived.append(item)
            self._wanted = self._loop.create_future()
            self._loop.stop()
            if not await self._wanted:
                close = getattr(self._items, "aclose", None)
                if close is not None:
                    await close()
                return


def _stop(future: asyncio.Future[Any]) -> None:
    # These two have left the loop already: a stop would be taken for the next one who runs it.
    if future.cancelled() or not isinstance(future.exception(), SystemExit | KeyboardInterrupt):
        future.get_loop().stop()


def _loop_of_the_function() -> asyncio.AbstractEventLoop:
    """The loop that the function has set, or a new one of the kind that it asked for."""
    with warnings.catch_warnings():
        # Before 3.14 the question itself makes a loop, and warns about that.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            pass
        else:
            if not loop.is_closed():
                return loop
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
