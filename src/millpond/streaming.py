"""A stream at the caller's end: items come in, the reader takes them, and what it took is credited to the worker.

The ticket of a stream's call: at most `stream_window` items are ahead of the reader, so a slow one slows its own
generator and nothing else. Made by `calls`, filled by the driver.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.call_factory import CallFactory
    from millpond.core import Call


class Inflow:
    """The ticket: what came and was not read yet, and who waits for it. The call names it; it names no reader."""

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.is_over = False
        self.error: BaseException | None = None
        self.reader: asyncio.Future[None] | None = None

    def item(self, value: Any) -> None:
        """One more item came."""
        if not self.is_over:
            self.items.append(value)
            self._wake()

    def set_result(self, _value: Any) -> None:
        """The generator came to its end."""
        if not self.is_over:
            self.is_over = True
            self._wake()

    def set_exception(self, error: BaseException) -> None:
        """The generator raised, or the call failed otherwise."""
        if not self.is_over:
            self.is_over, self.error = True, error
            self._wake()

    def _wake(self) -> None:
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)


class Stream:
    """The items of one call, as an async iterator and context manager.

    Nothing is asked of the pool before the first item is wanted, or `async with` entered. Leaving early needs
    `async with` or `aclose()`: after a bare `break` the worker's slot stays taken as long as somebody names the
    stream. Cancelling the reader ends the stream; one reader at a time.
    """

    def __init__(self, factory: CallFactory, make: Callable[[Inflow], Call], window: int) -> None:
        self._factory = factory
        self._make = make
        self._window = window
        self._call: Call | None = None
        self._inflow = Inflow()
        self._uncredited = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        self._begin()
        inflow = self._inflow
        while not inflow.items:
            if inflow.is_over:
                self._raise_end()
            await self._next_sign()
        self._credit()
        return inflow.items.popleft()

    async def aclose(self) -> None:
        """End the stream: its generator is closed in the worker. Idempotent."""
        self._give_up()

    async def __aenter__(self) -> Stream:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_up()

    def __del__(self) -> None:
        call, loop = self._call, self._loop
        if call is not None and not self._inflow.is_over and loop is not None and not loop.is_closed():
            self._inflow.is_over = True
            loop.call_soon_threadsafe(self._factory.driver.cancel, call)

    def _begin(self) -> None:
        if self._call is None and not self._inflow.is_over:
            self._loop = asyncio.get_running_loop()
            call = self._make(self._inflow)
            self._factory.submit(call)
            self._call = call

    async def _next_sign(self) -> None:
        if self._inflow.reader is not None:
            raise RuntimeError("this stream has a reader already; one task at a time may read it")
        assert self._loop is not None
        self._inflow.reader = self._loop.create_future()
        try:
            await self._inflow.reader
        except asyncio.CancelledError:
            self._give_up()
            raise
        finally:
            self._inflow.reader = None

    def _credit(self) -> None:
        """Tell the worker in halves of the window, not item by item."""
        self._uncredited += 1
        call = self._call
        is_due = self._uncredited * 2 >= self._window and not self._inflow.is_over
        if is_due and call is not None and call.worker is not None:
            self._factory.driver.engine.credit(call.worker, call.id, self._uncredited)
            self._uncredited = 0

    def _give_up(self) -> None:
        if not self._inflow.is_over:
            self._inflow.is_over = True
            self._inflow.items.clear()
            if self._call is not None:
                self._factory.driver.cancel(self._call)

    def _raise_end(self) -> None:
        error, self._inflow.error = self._inflow.error, None
        if error is not None:
            raise error
        raise StopAsyncIteration
