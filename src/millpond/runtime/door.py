"""A pool's door: opened once and closed once, however many ask for it, together or in each other's way.

The sequences themselves are in `shutdown`. They run as tasks of their own, so that a caller who is cancelled leaves
no half of one behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from millpond.core import refusals, states
from millpond.runtime import shutdown

if TYPE_CHECKING:
    from millpond.runtime.driver import Driver
    from millpond.seams import EngineSpec


class Door:
    """`opened` is called when the pool serves, `ended` when nothing of it is left (perhaps more than once)."""

    def __init__(self, driver: Driver, spec: EngineSpec, opened: Callable[[], None], ended: Callable[[], None]) -> None:
        self._driver = driver
        self._view = driver.view
        self._spec = spec
        self._opened = opened
        self._ended = ended
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether nobody opened or closed it yet."""
        return self._opening is None and self._view.state == states.NEW

    async def open(self) -> None:
        """Open, or wait with whoever does. Cancelling the first who asked ends everything; see `Pool.open`."""
        if self._opening is not None:
            await self._join(self._opening)
            return
        if self._view.state != states.NEW:
            raise refusals.closed(self._view.state)
        # At once, and not with the task's first step: whoever calls in this very turn waits for the opening.
        self._driver.attach(asyncio.get_running_loop())
        self._driver.machine.open_pool(self._driver.now())
        self._opening = asyncio.create_task(self._open())
        try:
            await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            await self.close(0.0)  # also if the pool became ready this very moment: nobody else would close it
            task = asyncio.current_task()
            if task is not None and not task.cancelling():  # not this caller left: somebody closed the pool
                raise refusals.closed(self._view.state) from None
            raise

    async def entered(self) -> None:
        """Wait until the opening, if one is on its way, is over. Raises what it does, or `PoolClosed`."""
        if self._view.state == states.OPENING and self._opening is not None:
            await self._join(self._opening)

    async def close(self, drain_s: float) -> None:
        """Close, or wait with whoever does; the first says how long running calls have."""
        if self._opening is None:
            self.close_unopened()
        if self._view.state == states.CLOSED:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(drain_s))
        await asyncio.shield(self._closing)

    def close_unopened(self) -> None:
        """What `close` does to a pool that was never opened."""
        if self._view.state == states.NEW:
            if self._driver.carriers.warmer is not None:
                self._driver.carriers.warmer.close()
            self._driver.machine.close_pool(self._driver.now(), 0.0)
            self._driver.carry_out()

    async def _join(self, opening: asyncio.Task[None]) -> None:
        """Cancelling this waiter is no reason to end the opening."""
        if not opening.done():
            await asyncio.wait([opening])
        if not opening.cancelled():
            opening.result()
        if opening.cancelled() or self._view.state in (states.CLOSING, states.CLOSED):
            raise refusals.closed(self._view.state)

    async def _open(self) -> None:
        try:
            await shutdown.bring_up(self._driver, self._spec)
        except BaseException:
            self._ended()
            raise
        self._opened()

    async def _close(self, drain_s: float) -> None:
        # The two sequences never run side by side: an opening on its way is cancelled, ends what it started, and is
        # waited for. It may also have ended the pool by itself; then there is nothing left to do.
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._view.state != states.CLOSED:
            await shutdown.bring_down(self._driver, drain_s)
        self._ended()
