"""The verbs of calling at a client: call, stream, map, options, with the signatures and meanings of `Calls`.

Each makes out a request and waits for its answer; what a failure means is decided in `served_pool`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any

from millpond.client import values
from millpond.client.remote_stream import RemoteStream
from millpond.client.served_pool import STREAM, KnownSession, Request, ServedPool
from millpond.client.trace_headers import trace_headers
from millpond.errors import BadArgument
from millpond.mapping import in_order
from millpond.options import Options, check_operation

NO_FUNCTIONS = (
    "functions do not travel over HTTP, and a server would not run them: make it an operation of the served handler "
    "and name it, client.call('operation', ...)"
)


class RemoteCalls:
    """A served pool's operations under certain options."""

    __slots__ = ("_options", "_served")

    def __init__(self, served: ServedPool, options: Options) -> None:
        self._served = served
        self._options = options

    async def call(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run one operation and return its result.

        Raises the `PoolError` that the pool raised, `HandlerError` for what the operation raised, `Unreachable` if the
        connection failed, and `AccessDenied`. With `idempotent`, what is passing is waited out within the deadline.
        Cancelling leaves the server, which interrupts the operation (or, with `on_cancel="abandon"`, drops its answer).
        """
        return await self.answer_to(self.request_for(operation, args, kwargs))

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Raises `BadArgument`: functions do not travel over HTTP."""
        raise BadArgument(NO_FUNCTIONS)

    def stream(self, operation: str, /, *args: Any, **kwargs: Any) -> RemoteStream:
        """Run a generator operation; its items come as an async iterator. One deadline covers the whole."""
        return RemoteStream(self._served, lambda: self.request_for(operation, args, kwargs, stream=True))

    def map(self, operation: str, items: Iterable[Any] | AsyncIterable[Any], /) -> AsyncIterator[Any]:
        """Run one operation over many arguments; results in the order of the arguments, a bounded number ahead.

        The first failure is raised at its place; what was sent ahead is cancelled, as it is when the iterator is
        closed.
        """
        return in_order(lambda item: self.call(operation, item), items, self.map_window)

    @property
    def map_window(self) -> int:
        """How many calls `map` keeps in flight: as many as there are connections."""
        return self._served.most_connections

    def options(self, **changes: Any) -> RemoteCalls:
        """The same operations under other options: deadline, session, idempotent, priority, on_cancel."""
        return RemoteCalls(self._served, self._options.changed(changes))

    async def answer_to(self, request: Request) -> Any:
        """The result of a request that was made out. Raises as `call`."""
        return await self._served.call(request)

    def request_for(
        self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], stream: bool = False
    ) -> Request:
        """A call's request, as it is to be sent. Raises `BadArgument` for what cannot be."""
        name = check_operation(operation)
        if isinstance(self._options.session, KnownSession):
            self._options.session.check()
        return Request(
            self._served.target("stream" if stream else "call", name),
            values.encode_arguments(name, args, kwargs),
            self._options,
            STREAM if stream else values.TYPE,
            trace=trace_headers(),
        )
