"""One connection to a server: HTTP/1.1 by h11 on an asyncio transport.

It knows whether the request began to leave, which decides what a failure means, and whether the server had ended an
idle connection before that. Connections are made and kept by `round_trip`.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterable
from typing import cast

try:
    import h11
except ImportError as error:
    raise ImportError('millpond.Client needs h11, which is not installed: pip install "millpond[client]"') from error

Header = tuple[bytes, bytes]

LONGEST_HEAD_BYTES = 64 * 1024
UNREAD_BYTES = 256 * 1024  # of an answer, before the server has to wait for its reader
SMALL_BYTES = 64 * 1024  # a body that is copied behind its head, to leave in one piece


class Stale(Exception):
    """The server had ended the connection before anything of the request left."""


class Broken(Exception):
    """The connection ended, or what came was no HTTP, before the answer was there."""


class HttpConnection(asyncio.Protocol):
    """One request at a time; its answer's head, then its body, whole or in pieces."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD_BYTES)
        self._transport: asyncio.Transport
        self._poll = select.poll()
        self._reader: asyncio.Future[None] | None = None
        self._unread = 0
        self._is_paused = False
        self._is_idle = True
        self._is_new = True  # what TLS says after its handshake may wait to be read, and means nothing
        self._has_ended = False  # nothing comes any more
        self._is_cut = False  # and that is not how the server ends an answer
        self.idle_since = 0.0

    # What the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`. What comes without being asked for spoils the connection."""
        if self._is_idle:
            self.abort()
            return
        self._http.receive_data(data)
        self._unread += len(data)
        if self._unread > UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`. What had come before is still read."""
        self._is_cut = self._is_cut or error is not None
        self._end()
        if not self.gone.done():
            self.gone.set_result(None)

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            if not self._is_idle and not self._is_cut:
                self._http.receive_data(b"")  # which ends an answer of no announced length
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # What the client does

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent: not if the server ended it, also where the loop has not heard of it."""
        if self._has_ended or self._transport.is_closing():
            return False
        return self._is_new or not self._poll.poll(0)

    def send(self, method: bytes, target: bytes, headers: Iterable[Header], body: bytes) -> None:
        """Begin to send a request; the transport sends the rest. Raises `Stale` if the connection had ended."""
        head = self._http.send(h11.Request(method=method, target=target, headers=list(headers)))
        assert head is not None
        self._http.send(h11.Data(data=body))
        self._http.send(h11.EndOfMessage())
        if not self.is_usable:
            raise Stale
        self._is_idle = self._is_new = False
        if len(body) <= SMALL_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def head(self) -> tuple[int, dict[bytes, bytes]]:
        """Status and headers of the answer. Raises `Broken`."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event.status_code, dict(event.headers)

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end. Raises `Broken`."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                if event.data:
                    return bytes(event.data)
            else:
                return b""

    async def body(self) -> bytes:
        """The whole body. Raises `Broken`."""
        first = await self.piece()
        pieces = [first]
        while pieces[-1]:
            pieces.append(await self.piece())
        return first if len(pieces) <= 2 else b"".join(pieces)

    def finish(self, now: float) -> bool:
        """End the round trip; whether the connection can serve another. It is closed if not.

        What came behind the answer is nobody's, and would be taken for the next one.
        """
        http = self._http
        is_whole = http.our_state is h11.DONE and http.their_state is h11.DONE and not http.trailing_data[0]
        if not is_whole or self._has_ended or self._transport.get_write_buffer_size():
            self.abort()
            return False
        http.start_next_cycle()
        self._is_idle, self.idle_since = True, now
        return True

    def abort(self) -> None:
        """Close at once: to the server, its client left. Whoever reads gets `Broken`."""
        self._is_cut = True
        self._transport.abort()

    def fileno(self) -> int:
        """The descriptor of its socket; -1 if it is closed."""
        found: int = self._transport.get_extra_info("socket").fileno()
        return found

    async def _next_event(self) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                ended = self._has_ended and not self._http.trailing_data[0]
                raise Broken("the server closed the connection" if ended else f"no HTTP came: {error}") from None
            if isinstance(event, h11.ConnectionClosed):
                raise Broken("the server closed the connection")
            if event is not h11.NEED_DATA:
                return cast("h11.Event", event)
            if self._has_ended:
                raise Broken("the connection was cut")
            await self._more()

    async def _more(self) -> None:
        self._unread = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None
