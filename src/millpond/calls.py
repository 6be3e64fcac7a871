"""The verbs of calling, as a pool, its options and its sessions share them: call, stream, map, run.

Each has the call factory make a call, and waits for its ticket; nothing is decided here. A cancelled caller withdraws
its call at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

from millpond.call_factory import Options
from millpond.errors import PoolError
from millpond.streaming import Inflow, Stream

if TYPE_CHECKING:
    from millpond.core import Call
    from millpond.pool import Pool


class Calls:
    """A pool's operations under certain options."""

    __slots__ = ("_options", "_pool")

    def __init__(self, pool: Pool, options: Options) -> None:
        self._pool = pool
        self._options = options

    async def call(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run one operation and return its result.

        Raises what the operation raised, or a `PoolError`. Cancelling interrupts the operation (or, with
        `on_cancel="abandon"`, drops its answer) and raises `CancelledError` at once.
        """
        factory, loop = self._pool.factory_on_loop()
        future = loop.create_future()
        try:
            call = factory.operation_call(operation, args, kwargs, self._options, future)
        except PoolError as error:
            factory.refuse(error)
            raise
        factory.submit(call)
        try:
            return await future
        except asyncio.CancelledError:
            factory.driver.cancel(call)
            raise

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a plain function in a worker and return its result; raises and cancels as `call`.

        Functions that can be imported travel by name, others (lambdas, those of a notebook) by value.
        """
        factory, loop = self._pool.factory_on_loop()
        future = loop.create_future()
        try:
            call = factory.function_call(function, args, kwargs, self._options, future)
        except PoolError as error:
            factory.refuse(error)
            raise
        factory.submit(call)
        try:
            return await future
        except asyncio.CancelledError:
            factory.driver.cancel(call)
            raise

    def stream(self, operation: str, /, *args: Any, **kwargs: Any) -> Stream:
        """Run a generator operation; its items come as an async iterator. One deadline covers the whole."""

        def make(ticket: Inflow) -> Call:
            factory, _ = self._pool.factory_on_loop()
            try:
                return factory.operation_call(operation, args, kwargs, self._options, ticket, stream=True)
            except PoolError as error:
                factory.refuse(error)
                raise

        return Stream(self._pool.call_factory, make, self._pool.settings.stream_window)

    async def map(self, operation: str, items: Iterable[Any] | AsyncIterable[Any], /) -> AsyncIterator[Any]:
        """Run one operation over many arguments; results in the order of the arguments, a bounded number ahead.

        The first failure is raised at its place; what was sent ahead is cancelled, as it is when the iterator is
        closed.
        """
        ahead: deque[asyncio.Task[Any]] = deque()
        try:
            async for item in _each(items):
                ahead.append(asyncio.ensure_future(self.call(operation, item)))
                if len(ahead) >= self._pool.map_window:
                    yield await _first(ahead)
            while ahead:
                yield await _first(ahead)
        finally:
            for task in reversed(ahead):  # those that wait first, so that none begins where another stops
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def options(self, **changes: Any) -> Calls:
        """The same operations under other options: deadline, session, idempotent, priority, on_cancel."""
        return Calls(self._pool, self._options.changed(changes))


async def _first(ahead: deque[asyncio.Task[Any]]) -> Any:
    """The first result, or what it raises. A caller who leaves does not cancel it here: all go together."""
    result = await asyncio.shield(ahead[0])
    ahead.popleft()
    return result


async def _each(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
