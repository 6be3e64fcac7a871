"""How a server stops: not ready at once, then its connections, its pools, and what is open still; each step bounded.

1. Not ready. Sockets that others keep open are not accepted from any more: connections wait in them for the next
   program. At those of the server's own, health is still answered.
2. Each connection gets one more answer, which says that it is the last; a client that keeps its connection busy never
   finds it closed under a request, nor a pool that closes before its request is whole. Those that ask nothing for
   `LAST_ANSWER_S` are closed.
3. The pools close: what runs has the drain, then it ends with a problem.
4. Answers that are open still (events) are broken off.

A second request to stop goes to the end at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from millpond.http.server.server import Server

LAST_ANSWER_S = 1.0  # for a client to ask once more and be told that the connection closes
LOOK_S = 0.02
LAST_WORDS_S = 0.3  # for answers about calls that ended with their pool, and for events
AT_ONCE_S = 0.5  # for the pools to end their processes, where nobody waits any more


class Stop:
    """The end of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.asked = asyncio.Event()
        self._urgent = asyncio.Event()

    def ask(self) -> None:
        """Stop; asked again, at once."""
        if self.asked.is_set():
            self._urgent.set()
        self.asked.set()

    @property
    def is_urgent(self) -> bool:
        """Whether it was asked for twice."""
        return self._urgent.is_set()

    async def carry_out(self) -> None:
        """All steps, or the last one alone as soon as it is urgent."""
        server = self._server
        server.application.is_draining = server.state.is_draining = True
        for listener, accepting in zip(server.listeners, server.accepting, strict=False):
            if listener.is_kept:
                accepting.close()
        await self._unless_urgent(self._quietly())
        if self.is_urgent:
            await self._close_pools(0.0, AT_ONCE_S)
        for accepting in server.accepting:
            accepting.close()
        await self._break_off()

    async def _quietly(self) -> None:
        state = self._server.state
        if self.asked.is_set():  # else a pool could not open: there is nothing to wait for
            await self._until(lambda: not any(one.is_asking for one in state.connections), LAST_ANSWER_S)
            await asyncio.sleep(LOOK_S)  # the last of them get to their pools
        for connection in tuple(state.connections):
            connection.shutdown()
        await self._close_pools(None)
        await self._until(lambda: not any(one.cycle for one in state.connections), LAST_WORDS_S)

    async def _close_pools(self, drain_s: float | None, limit_s: float | None = None) -> None:
        closing = [asyncio.ensure_future(pool.close(drain_s)) for pool in self._server.pools.values()]
        if closing:
            await asyncio.wait(closing, timeout=limit_s)

    async def _break_off(self) -> None:
        """End what is open still; what was written before has a moment to leave."""
        state = self._server.state
        for task in tuple(state.tasks):
            task.cancel()
        for connection in tuple(state.connections):
            connection.transport.close()
        if not self.is_urgent:
            await self._until(lambda: not state.connections, LAST_WORDS_S)
        for connection in tuple(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _until(self, holds: Any, limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() + limit_s
        while not holds() and loop.time() < last:  # noqa: ASYNC110  # by a stop alone, and no connection tells it more
            await asyncio.sleep(LOOK_S)

    async def _unless_urgent(self, steps: Coroutine[Any, Any, None]) -> None:
        work = asyncio.ensure_future(steps)
        urgent = asyncio.ensure_future(self._urgent.wait())
        await asyncio.wait({work, urgent}, return_when=asyncio.FIRST_COMPLETED)
        for one in (work, urgent):
            one.cancel()
        await asyncio.wait({work, urgent})
