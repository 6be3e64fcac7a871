"""What the connections of one server share: limits, the time, the line with the date, and how many there are.

The sweep looks at every connection twice a second. Time in which the loop stood still does not count.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from millpond.http.server.connection import Connection
    from millpond.http.server.limits import Limits

SWEEP_S = 0.5
MOST_REFUSED = 64  # connections above the limit that are told so; those beyond are closed without a word
EVICTED = 16  # idle connections that make room at a time


class State(ServerState):
    """What the connections of one server share."""

    connections: set[Connection]  # type: ignore[assignment]

    def __init__(self, limits: Limits, most_connections: int, *, access_log: bool = False) -> None:
        super().__init__()
        self.limits = limits
        self.most_connections = most_connections
        self.access_log = access_log
        self.now = 0.0  # seconds in which the loop was at work
        self.date_line = b""
        self.is_draining = False
        self._looked_at = time.monotonic()
        self._may_have_idle = True
        self._set_date()

    def _set_date(self) -> None:
        self.date_line = b"date: %b\r\n" % formatdate(usegmt=True).encode()

    async def sweep(self) -> None:
        """Look at all connections, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.look()

    def look(self) -> None:
        """Look at all connections once."""
        now = time.monotonic()
        elapsed_s = min(now - self._looked_at, 2 * SWEEP_S)
        self._looked_at = now
        self.now += elapsed_s
        self._set_date()
        self._may_have_idle = True
        for connection in tuple(self.connections):
            connection.look(self.now, elapsed_s)

    def came(self, connection: Connection) -> None:
        """A connection is there: one too many makes those go that wait longest, or is sent away itself."""
        over = len(self.connections) - self.most_connections
        if over <= 0 or self._make_room(connection):
            return
        if over <= MOST_REFUSED:
            connection.turn_away()
        else:
            connection.transport.abort()

    def _make_room(self, new: Connection) -> bool:
        """Let the longest idle ones go; where there are none, do not look for them again before the next sweep."""
        if self._may_have_idle:
            idle = sorted((one for one in self.connections if one.is_idle and one is not new), key=_since)
            self._may_have_idle = bool(idle)
            for one in idle[:EVICTED]:
                one.leave()
        return self._may_have_idle


def _since(connection: Connection) -> float:
    return connection.since
