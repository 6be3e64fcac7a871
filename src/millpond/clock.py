"""The clock of real pools."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable


class MonotonicClock:
    """CLOCK_MONOTONIC, which all processes of a machine share; wall-clock changes do not reach it."""

    now = staticmethod(time.monotonic)

    def call_at(self, loop: AbstractEventLoop, at: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back on the loop when the time has come."""
        return loop.call_later(max(0.0, at - time.monotonic()), callback)
