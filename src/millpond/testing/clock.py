"""A clock that stands still until a test moves it, and then lets everything that was due happen in its order.

Given to a pool as `clock=`, together with a `FakeEngine`: the workers of a local engine have the machine's time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable

# Turns of the loop given to what a timer set off. The longest chain there is (a deadline, a kill, a death, a start,
# readiness, a waiting call, its answer, its caller) takes about a dozen.
TURNS = 30


class ManualTimer:
    """A timer of a manual clock."""

    __slots__ = ("_callback", "_loop", "is_cancelled")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        """Let it not happen."""
        self.is_cancelled = True

    def ring_soon(self) -> None:
        """Call back in the loop's next turn; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if not self.is_cancelled:
            self._callback()


class ManualClock:
    """Monotonic seconds, moved by hand: `await clock.advance(5.0)`, or `clock.jump(5.0)` from wherever."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = float(start)
        self._alarms: list[tuple[float, int, ManualTimer]] = []  # a heap
        self._order = itertools.count()
        self._lock = threading.Lock()  # held while time or the heap changes: a jump may come from another thread

    def now(self) -> float:
        """The time, in seconds."""
        return self._now

    def call_at(self, loop: asyncio.AbstractEventLoop, at: float, callback: Callable[[], None]) -> ManualTimer:
        """Call back on the loop when the clock was moved to `at` or beyond."""
        alarm = ManualTimer(loop, callback)
        with self._lock:
            if at > self._now:
                heapq.heappush(self._alarms, (at, next(self._order), alarm))
                return alarm
        alarm.ring_soon()
        return alarm

    def jump(self, seconds: float) -> None:
        """Move the time at once: what was due meanwhile happens late, as after a machine slept or a loop was blocked.

        Raises `ValueError` for a negative number.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        for alarm in self._move_to(self._now + seconds):
            alarm.ring_soon()

    async def advance(self, seconds: float) -> None:
        """Move the time step by step: each timer is called at its own time, and what it sets off happens before the
        next.

        To be awaited on the pool's loop. Raises `ValueError` for a negative number; cancelling leaves the time where
        it is.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        until = self._now + seconds
        await self.settle()
        while (at := self._next_at()) is not None and at <= until:
            self.jump(max(0.0, at - self._now))
            await self.settle()
        self.jump(until - self._now)
        await self.settle()

    async def settle(self) -> None:
        """Let what is under way on the loop come to rest, without moving the time."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _move_to(self, at: float) -> list[ManualTimer]:
        """Set the time and take out what is due, in order."""
        due = []
        with self._lock:
            self._now = at
            while self._alarms and self._alarms[0][0] <= at:
                due.append(heapq.heappop(self._alarms)[2])
        return due

    def _next_at(self) -> float | None:
        with self._lock:
            while self._alarms and self._alarms[0][2].is_cancelled:
                heapq.heappop(self._alarms)
            return self._alarms[0][0] if self._alarms else None
