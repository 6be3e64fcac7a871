"""What a served pool says, at a client: its events as they come, as server-sent events."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any
from urllib.parse import quote

import msgspec

from millpond.client.http1 import Broken
from millpond.client.remote_errors import error_of
from millpond.client.round_trip import NotConnected, RoundTrip
from millpond.client.served_pool import Request, ServedPool, late
from millpond.errors import InternalError
from millpond.options import Options

_EVENTS = b"text/event-stream"
SILENT_S = 60.0  # the server gives a sign of life far more often


class RemoteEvents:
    """Events as an async iterator of their data, a dictionary each; `last` is the number of the newest that came.

    Ends when the server stops; cancelling ends it, too. Raises `Unreachable` when the connection breaks, and what the
    server refuses it for.
    """

    def __init__(self, served: ServedPool, names: tuple[str, ...], last: int | None = None) -> None:
        self.last = last
        self._served = served
        self._names = names
        self._trip: RoundTrip | None = None
        self._buffer = b""
        self._events: deque[dict[str, Any]] = deque()
        self._is_over = False

    def __aiter__(self) -> RemoteEvents:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            return await self._next()
        except (asyncio.CancelledError, InternalError):
            await self.aclose()
            raise

    async def _next(self) -> dict[str, Any]:
        if self._trip is None and not self._is_over:
            await self._begin()
        while not self._events:
            if self._is_over:
                raise StopAsyncIteration
            try:
                async with asyncio.timeout(SILENT_S):
                    piece = await self._there().piece()
            except (TimeoutError, Broken) as error:
                trip = self._there()
                await self.aclose()
                self._served.fail(trip, Broken(str(error) or "the server is silent"))
            if piece:
                self._take(piece)
            else:
                await self.aclose()
        return self._events.popleft()

    async def aclose(self) -> None:
        """Follow no more. Idempotent."""
        self._is_over = True
        if self._trip is not None:
            self._trip.close()

    def _there(self) -> RoundTrip:
        assert self._trip is not None
        return self._trip

    async def _begin(self) -> None:
        served = self._served
        trip = self._trip = RoundTrip(served.check_loop())
        query = "&".join(f"name={quote(name, safe='')}" for name in self._names)
        target = served.target("events") + (f"?{query}".encode() if query else b"")
        after = () if self.last is None else ((b"Last-Event-ID", b"%d" % self.last),)
        request = Request(target, b"", Options(), _EVENTS, b"GET", trace=after)
        ends_at = served.ends_at(request.options)
        try:
            async with asyncio.timeout_at(late(ends_at)):
                await served.send(trip, request, ends_at)
                await trip.head()
                if trip.status != 200:
                    raise error_of(trip.status, trip.headers, await trip.body())
            if not trip.headers.get(b"content-type", b"").startswith(_EVENTS):
                raise InternalError("the server answered no stream of events")
        except (TimeoutError, NotConnected, Broken) as error:
            await self.aclose()
            served.fail(trip, error)
        except BaseException:
            await self.aclose()
            raise

    def _take(self, piece: bytes) -> None:
        *whole, self._buffer = (self._buffer + piece).split(b"\n\n")
        try:
            for block in whole:
                self._take_block(dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line))
        except (ValueError, AttributeError) as error:  # `msgspec.DecodeError` is one
            raise InternalError(f"the server's events cannot be read: {error}") from error

    def _take_block(self, said: dict[bytes, bytes]) -> None:
        if b"id" in said:
            self.last = int(said[b"id"])
        if b"data" in said:
            event: dict[str, Any] = msgspec.json.decode(said[b"data"])
            event.setdefault("event", said.get(b"event", b"message").decode())
            self._events.append(event)
