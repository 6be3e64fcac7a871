"""Calls and streams in a route of one's own: they end when the client of that request leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.exceptions import HTTPException

from millpond.http.asking import ClientLeft
from millpond.http.disconnect import answered_or_left

if TYPE_CHECKING:
    from millpond.streaming import Stream

T = TypeVar("T")
CLIENT_LEFT = 499


class RequestLike(Protocol):
    """What a request of Starlette, FastAPI or Litestar has."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""

    @property
    def receive(self) -> Any:
        """The ASGI receive channel."""


async def cancel_on_disconnect(request: RequestLike, work: Awaitable[T]) -> T:
    """What comes of the work, `pool.call(...)` for instance; if the client leaves before, the work is cancelled.

    Then raises `HTTPException` with status 499, which nobody reads. Read the request's body before: what of it is left
    is thrown away. Cancelling cancels the work too.
    """
    try:
        return await answered_or_left(request.scope, request.receive, _awaited(work))
    except ClientLeft:
        raise HTTPException(CLIENT_LEFT, "The client left.") from None


async def begun(stream: Stream) -> AsyncGenerator[Any, None]:
    """The items of a pool's stream, of which the first is there already, or the stream has ended.

    Raises what a stream raises that fails before its first item: so it is answered with a status of its own, where a
    response that has begun could only break off. Closing the iterator ends the stream; cancelling does too.
    """
    try:
        first = [await anext(stream)]
    except StopAsyncIteration:
        first = []
    return _with(first, stream)


async def _with(first: list[Any], stream: Stream) -> AsyncGenerator[Any, None]:
    async with stream:
        for item in first:
            yield item
        async for item in stream:
            yield item


async def _awaited(work: Awaitable[T]) -> T:
    try:
        return await work
    finally:
        if isinstance(work, asyncio.Future):  # one that others wait for does not go on without this client either
            work.cancel()
