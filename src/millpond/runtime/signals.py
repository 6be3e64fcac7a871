"""SIGINT and SIGTERM close the pool, where that was asked for.

The first signal closes with the pool's drain and then does to the program what the signal does by itself; the second
ends at once. Installed after opening, taken off after closing.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ClosingOnSignals:
    """The handlers of one pool."""

    def __init__(self, close: Callable[..., Awaitable[None]]) -> None:
        self._close = close
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Take the signals over; in the main thread of the main interpreter only, as Python demands."""
        self._loop = asyncio.get_running_loop()
        for signo in SIGNALS:
            self._before[signo] = signal.signal(signo, self._signalled)

    def remove(self) -> None:
        """Give the signals back."""
        while self._before:
            signo, before = self._before.popitem()
            signal.signal(signo, before)

    def _signalled(self, signo: int, _frame: FrameType | None) -> None:
        if self._task is None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin, signo)
            return
        self.remove()
        os.kill(os.getpid(), signo)

    def _begin(self, signo: int) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._shut_down(signo))

    async def _shut_down(self, signo: int) -> None:
        try:
            await self._close()
        finally:
            self.remove()
            os.kill(os.getpid(), signo)
