"""What a test leaves behind in its process: descriptors and threads that were not there when it began.

They are told apart one by one and not counted: tests that ran before in this process may still be letting go of
theirs. What another thread or process has to let go of is waited for, with an upper bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable

WAIT_S = 60.0  # upper bound of every wait
_PAUSE_S = 0.005


def wait_until(holds: Callable[[], object], what: object = "") -> None:
    """Wait for something that another thread or process does; `what` is told if it does not."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(_PAUSE_S)


def descriptors() -> set[tuple[str, str]]:
    """Open file descriptors of this process, and what they are of: a number is used again, a pipe is not."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            target = os.readlink(f"/proc/self/fd/{number}")
            if not target.startswith("/proc/"):  # a look at a process, which is over in a moment
                found.add((number, target))
    return found


class Leftovers:
    """Descriptors and threads that came since this was made; threads called as in `besides` are others'."""

    def __init__(self, besides: tuple[str, ...] = ()) -> None:
        gc.collect()
        self._besides = besides
        self._descriptors, self._threads = descriptors(), set(threading.enumerate())

    def __repr__(self) -> str:
        return f"<left: {sorted(descriptors() - self._descriptors)}, {self.threads()}>"

    def threads(self) -> list[str]:
        """Names of the threads that came and are still there."""
        fresh = set(threading.enumerate()) - self._threads
        return sorted(thread.name for thread in fresh if thread.name not in self._besides)

    def wait_gone(self) -> None:
        """Wait until nothing is left."""
        gc.collect()
        wait_until(self._are_gone, self)

    async def gone(self) -> None:
        """The same on a loop, which may have to let go of some."""
        gc.collect()
        end = time.monotonic() + WAIT_S
        while not self._are_gone():
            assert time.monotonic() < end, self
            await asyncio.sleep(_PAUSE_S)

    def _are_gone(self) -> bool:
        return not self.threads() and descriptors() <= self._descriptors
