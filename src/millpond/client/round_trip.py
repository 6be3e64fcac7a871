"""Requests and their answers on kept connections: a bounded number at a time, those beyond it wait their turn.

A round trip holds its connection until it is closed, whatever the answer is. Nothing here knows what a request means;
comes after `served_pool`, before `http1`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import weakref
from collections.abc import Callable

from millpond.client.address import Address
from millpond.client.http1 import Broken, Header, HttpConnection, Stale

KEEP_IDLE_S = 4.0  # a connection idle for longer is not used again: servers commonly end it after 5 s
GONE_S = 1.0  # for the loop to be done with connections that were closed
# A server that vanished with its machine is noticed after half a minute, where no deadline ends the wait before.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))

_PEER = struct.Struct("3i")  # process, user, group


class NotConnected(Exception):
    """No connection could be made."""


class KeptConnections:
    """The connections of one client on one loop."""

    def __init__(
        self, address: Address, context: ssl.SSLContext | None, most: int, *, own_user_only: bool = False
    ) -> None:
        self._address = address
        self._own_user_only = own_user_only  # as far as the kernel says whose server it is: at Unix sockets
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(most)
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._all: weakref.WeakSet[HttpConnection] = weakref.WeakSet()
        self._drained: asyncio.Future[None] | None = None
        self.is_closed = False

    async def take(self) -> HttpConnection:
        """An idle connection that can be used, or a new one. Raises `NotConnected`."""
        await self._room.acquire()
        try:
            self._check_open()
            connection = self._kept() or await self._connect()
            if self.is_closed:
                connection.abort()
            self._check_open()
        except BaseException:
            self._room.release()
            raise
        self._busy.add(connection)
        return connection

    def give_back(self, connection: HttpConnection) -> None:
        """End the connection's round trip; it is kept if it can serve another."""
        if connection.finish(self._loop.time()):
            self._idle.append(connection)
        self._busy.discard(connection)
        self._room.release()
        if self._drained is not None and not self._busy and not self._drained.done():
            self._drained.set_result(None)

    async def close(self, drain: float) -> None:
        """Close all; those at work have `drain` seconds to end. No other is made from now on."""
        self.is_closed = True
        try:
            if self._busy and drain > 0:
                self._drained = self._loop.create_future()
                await asyncio.wait([self._drained], timeout=drain)
        finally:
            there = [*self._busy, *self._idle]
            self._idle.clear()
            for connection in there:
                connection.abort()
        if there:
            await asyncio.wait([connection.gone for connection in there], timeout=GONE_S)

    def disown(self) -> None:
        """In a forked child: the connections are the parent's, and the server would not see them end while they are
        open here too.
        """
        nothing = os.open(os.devnull, os.O_RDWR)
        for connection in list(self._all):
            if (descriptor := connection.fileno()) >= 0:
                os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)

    def _check_open(self) -> None:
        if self.is_closed:
            raise NotConnected("the client is closed")

    def _kept(self) -> HttpConnection | None:
        oldest = self._loop.time() - KEEP_IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest and connection.is_usable:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> HttpConnection:
        address = self._address
        try:
            if address.socket is not None:
                transport, made = await self._loop.create_unix_connection(HttpConnection, address.socket)
                if self._own_user_only:
                    _check_user(transport)
            else:
                # One address after the other: where asyncio tries several at once, cancelling may lose an open socket.
                transport, made = await self._loop.create_connection(
                    HttpConnection, address.host, address.port, ssl=self._context
                )
                _keep_alive(transport.get_extra_info("socket"))
        except (OSError, ValueError) as error:  # ValueError: a socket's path that is too long
            raise NotConnected(str(error) or type(error).__name__) from error
        self._all.add(made)
        return made


def _check_user(transport: asyncio.Transport) -> None:
    """Close and raise `NotConnected` if the server is of a user that is neither this one nor root."""
    peer = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(peer)
    if user not in (0, os.geteuid()):
        transport.abort()
        raise NotConnected(f"the socket is of user {user}, who is not given this user's own token; pass token=")


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class RoundTrip:
    """One request and its answer; `close` ends it, early or not."""

    __slots__ = ("_connection", "_connections", "has_sent", "headers", "status")

    def __init__(self, connections: KeptConnections) -> None:
        self._connections = connections
        self._connection: HttpConnection | None = None
        self.has_sent = False  # whether a byte of the request may have reached the server
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    async def send(self, method: bytes, target: bytes, headers: Callable[[], list[Header]], body: bytes) -> None:
        """Send the request, on a connection to be waited for; `headers` are asked for when there is one.

        Raises `NotConnected`, and what `headers` raises.
        """
        while not self.has_sent:
            self._connection = await self._connections.take()
            try:
                self._connection.send(method, target, headers(), body)
                self.has_sent = True
            except Stale:
                self.close()

    async def head(self) -> None:
        """Wait for the answer's status and headers. Raises `Broken`."""
        self.status, self.headers = await self._there().head()

    async def body(self) -> bytes:
        """The whole body of the answer. Raises `Broken`."""
        return await self._there().body()

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end. Raises `Broken`."""
        return await self._there().piece()

    def close(self) -> None:
        """Let go of the connection: to a server that still answers, its client left. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connections.give_back(connection)

    def _there(self) -> HttpConnection:
        if self._connection is None:
            raise Broken("the round trip is over")
        return self._connection
