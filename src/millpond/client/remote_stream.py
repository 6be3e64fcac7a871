"""A stream at a client: items come in frames, and a reader who is slow makes the server wait.

A frame is the length of its body (uint32, big-endian), its kind (one byte), and its body in msgpack.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from millpond.client import values
from millpond.client.http1 import Broken
from millpond.client.remote_errors import error_of, error_of_problem
from millpond.client.round_trip import NotConnected, RoundTrip
from millpond.client.served_pool import STREAM, Request, ServedPool, late
from millpond.errors import DeadlineExceeded, InternalError

ITEM, END, PROBLEM = 0, 1, 2
HEAD_BYTES = 5


class RemoteStream:
    """The items of one call, as an async iterator and context manager.

    Nothing is sent before the first item is wanted, or `async with` entered; a refusal is raised at the first item.
    Leaving early needs `async with` or `aclose()`: after a bare `break` the worker's slot stays taken as long as
    somebody names the stream. Cancelling the reader ends the stream; one reader at a time.
    """

    def __init__(self, served: ServedPool, make: Callable[[], Request]) -> None:
        self._served = served
        self._make = make
        self._request: Request
        self._trip: RoundTrip | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends_at = 0.0
        self._buffer = bytearray()
        self._items: deque[Any] = deque()
        self._error: BaseException | None = None
        self._is_over = False
        self._is_read = False

    def __aiter__(self) -> RemoteStream:
        return self

    async def __anext__(self) -> Any:
        if self._is_read:
            raise RuntimeError("this stream has a reader already; one task at a time may read it")
        self._is_read = True
        try:
            self._check_deadline()
            while not self._items:
                if self._is_over:
                    self._raise_end()
                await self._more()
        except asyncio.CancelledError:
            self._give_up()
            raise
        finally:
            self._is_read = False
        return self._items.popleft()

    async def aclose(self) -> None:
        """End the stream: its generator is closed in the worker. Idempotent."""
        self._give_up()

    async def __aenter__(self) -> RemoteStream:
        if self._trip is None and not self._is_over:
            await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_up()

    def __del__(self) -> None:
        trip, loop = self._trip, self._loop
        if trip is not None and not self._is_over and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(trip.close)

    def _check_deadline(self) -> None:
        """Raise `DeadlineExceeded` if it passed before the end came: what was sent ahead is as late as its reader."""
        until = late(self._ends_at) if self._loop is not None and not self._is_over else None
        if until is not None and self._loop is not None and self._loop.time() > until:
            self._give_up()
            raise DeadlineExceeded("the deadline passed before the stream ended", outcome="unknown")

    async def _more(self) -> None:
        """Read on, until there is an item or the end."""
        if self._trip is None:
            await self._begin()
        await self._in_time(self._read())

    async def _begin(self) -> None:
        served = self._served
        connections, self._request = served.check_loop(), self._make()
        self._loop, self._ends_at = served.loop, served.ends_at(self._request.options)
        self._trip = RoundTrip(connections)
        await self._in_time(served.send(self._trip, self._request, self._ends_at))

    async def _in_time(self, step: Coroutine[Any, Any, None]) -> None:
        """Do a step of the round trip. What it fails for ends the stream."""
        assert self._trip is not None
        try:
            async with asyncio.timeout_at(late(self._ends_at)):
                await step
        except (TimeoutError, NotConnected, Broken) as error:
            self._give_up()
            self._served.fail(self._trip, error)
        except BaseException:
            self._give_up()
            raise

    async def _read(self) -> None:
        trip = self._trip
        assert trip is not None
        if not trip.headers:
            await self._read_head(trip)
        piece = await trip.piece()
        if not piece:
            raise Broken("the stream has no end")
        self._buffer += piece
        if self._take_frames():
            while await trip.piece():  # to the end of the answer, so that its connection can serve others
                pass
            self._finish()

    async def _read_head(self, trip: RoundTrip) -> None:
        await trip.head()
        if trip.status != 200:
            raise self._served.refused(self._request, error_of(trip.status, trip.headers, await trip.body()))
        kind = trip.headers.get(b"content-type", b"")
        if not kind.startswith(STREAM):
            raise InternalError(f"the server answered {kind.decode('latin-1')!r}, which is no stream")

    def _take_frames(self) -> bool:
        """Take in what is whole of what came; whether the last frame is among it."""
        buffer, start, is_last = self._buffer, 0, False
        while len(buffer) - start >= HEAD_BYTES and not is_last:
            end = start + HEAD_BYTES + int.from_bytes(buffer[start : start + 4], "big")
            if len(buffer) < end:
                break
            is_last = self._take(buffer[start + 4], bytes(buffer[start + HEAD_BYTES : end]))
            start = end
        del buffer[:start]
        return is_last

    def _take(self, kind: int, body: bytes) -> bool:
        """Take in a frame; whether it is the last one."""
        if kind == ITEM:
            self._items.append(values.decode_result(values.TYPE, body))
        elif kind == PROBLEM:
            self._error = self._served.refused(self._request, error_of_problem(values.decode_result(values.TYPE, body)))
        elif kind != END:
            raise InternalError(f"the server sent a frame of the unknown kind {kind}")
        return kind != ITEM

    def _finish(self) -> None:
        self._is_over = True
        if self._trip is not None:
            self._trip.close()

    def _give_up(self) -> None:
        if not self._is_over:
            self._items.clear()
            self._finish()

    def _raise_end(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopAsyncIteration
