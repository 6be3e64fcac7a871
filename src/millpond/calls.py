"""The verbs of calling, as a pool, its options and its sessions share them: call, stream, map, run.

Each has the call factory make a call, and waits for its ticket; nothing is decided here. A cancelled caller withdraws
its call at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from millpond.documents import Document
from millpond.errors import InternalError, PoolError
from millpond.mapping import in_order
from millpond.options import Options
from millpond.streaming import Inflow, Stream

if TYPE_CHECKING:
    from millpond.core import Call
    from millpond.documents import Format
    from millpond.pool import Pool


class Ticket(Protocol):
    """Who is told how a call ended."""

    def set_result(self, value: Any, /) -> None:
        """It was answered."""

    def set_exception(self, error: Any, /) -> None:
        """It failed."""


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

    async def call_document(
        self, operation: str, document: Document, *, answer: Format = "json", trace: str = ""
    ) -> Document:
        """Run one operation whose arguments are encoded already, and return its result encoded as `answer`.

        The worker decodes the arguments by the operation's type hints: `BadArgument.field` names what does not fit. The
        pool looks at neither. `trace` is the caller's W3C `traceparent`, with the `tracestate` after a newline. An
        `answer` in bytes that is no bytes comes as JSON. Calls of one turn of the loop are sent together when it ends.
        Raises and cancels as `call`, and `TypeError` or `ValueError` for what is no document.
        """
        future: asyncio.Future[Document] = asyncio.get_running_loop().create_future()
        cancel = self.begin_document(operation, document, future, answer=answer, trace=trace)
        try:
            return check_answer(await future)
        except asyncio.CancelledError:
            cancel()
            raise

    def begin_document(
        self, operation: str, document: Document, ticket: Ticket, *, answer: Format = "json", trace: str = ""
    ) -> Callable[[], None]:
        """Begin what `call_document` waits for, and return what cancels it.

        Either method of the ticket is called once, on the loop, when the call has ended: a future will do. After it
        was cancelled a ticket may still be told, and must not mind. Raises what refuses the call at once.
        """
        factory, _ = self._pool.factory_on_loop()
        try:
            call = factory.document_call(operation, document, answer, self._options, ticket, trace)
        except PoolError as error:
            factory.refuse(error)
            raise
        factory.submit_in_turn(call)
        return partial(factory.driver.cancel, call)

    def stream_documents(
        self, operation: str, document: Document, *, answer: Format = "json", trace: str = ""
    ) -> Stream:
        """Run a generator operation as `call_document` does; its items are `Document`s. Otherwise as `stream`."""

        def make(ticket: Inflow) -> Call:
            factory, _ = self._pool.factory_on_loop()
            try:
                return factory.document_call(operation, document, answer, self._options, ticket, trace, stream=True)
            except PoolError as error:
                factory.refuse(error)
                raise

        return Stream(self._pool.call_factory, make, self._pool.settings.stream_window)

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

    def map(self, operation: str, items: Iterable[Any] | AsyncIterable[Any], /) -> AsyncIterator[Any]:
        """Run one operation over many arguments; results in the order of the arguments, a bounded number ahead.

        The first failure is raised at its place; what was sent ahead is cancelled, as it is when the iterator is
        closed.
        """
        return in_order(lambda item: self.call(operation, item), items, self._pool.map_window)

    def options(self, **changes: Any) -> Calls:
        """The same operations under other options: deadline, session, idempotent, priority, on_cancel."""
        return Calls(self._pool, self._options.changed(changes))


def check_answer(answer: Any) -> Document:
    """A document, as the worker should have answered. Raises `InternalError` for anything else."""
    if type(answer) is not Document:
        raise InternalError("the worker answered a document with a value", outcome="completed")
    return answer
