"""SIGINT and SIGTERM close the pool, where that was asked for.

The first signal closes with the pool's drain and then ends the program: Ctrl-C by its own means, SIGTERM in the same
way, so that every `finally` runs, and at last by the signal. The second ends it at once. Installed after opening, taken
off after closing.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ClosingOnSignals:
    """The handlers of one pool."""

    def __init__(self, close: Callable[..., Awaitable[None]]) -> None:
        self._close = close
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opener: asyncio.Task[Any] | None = None  # the task that opened the pool: often the main one
        self._main: asyncio.Task[Any] | None = None  # the one that Ctrl-C would cancel, under `asyncio.run`
        self._task: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Take the signals over; in the main thread of the main interpreter only, as Python demands."""
        self._loop = asyncio.get_running_loop()
        for signo in SIGNALS:
            self._before[signo] = signal.signal(signo, self._signalled)
        # `asyncio.Runner` hands its main task to nobody but its own handler.
        before = self._before[signal.SIGINT]
        self._main = before.keywords.get("main_task") if isinstance(before, partial) else None

    def remove(self) -> None:
        """Give the signals back."""
        while self._before:
            signo, before = self._before.popitem()
            signal.signal(signo, before)

    def _signalled(self, signo: int, _frame: FrameType | None) -> None:
        # This runs between any two steps of the main thread, perhaps in the middle of the loop's own code: it changes
        # nothing and only wakes the loop. Two signals before the loop gets there begin one closing, not two.
        if self._task is None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin, signo)
            return
        self.remove()
        os.kill(os.getpid(), signo)

    def _begin(self, signo: int) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._shut_down(signo))

    async def _shut_down(self, signo: int) -> None:
        kills = self._before.get(signo) == signal.SIG_DFL
        try:
            await self._close()
        finally:
            self.remove()
            if kills:
                self._unwind(signo)
            else:
                os.kill(os.getpid(), signo)

    def _unwind(self, signo: int) -> None:
        """Cancel the main task, as Ctrl-C does; the loop and the program end after it."""
        assert self._loop is not None
        _end_by(signo)
        main = self._main or self.opener
        if main is None or main.done():
            self._loop.call_soon(_leave, signo)
            return

        def leave(task: asyncio.Task[Any]) -> None:
            if task.cancelled() or task.exception() is None:
                _leave(signo)  # else `asyncio.run` would end with a CancelledError, and a traceback of it

        main.add_done_callback(leave)
        main.cancel()


def _leave(signo: int) -> None:
    raise SystemExit(128 + signo)


def _end_by(signo: int) -> None:
    """Let the program's exit be a death by the signal, after all that is to be done at exit."""
    pid = os.getpid()

    def die() -> None:
        if os.getpid() != pid:  # a forked child has an end of its own
            return
        atexit.unregister(die)
        atexit._run_exitfuncs()  # registered earlier, so it would come after this, which is the end
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        signal.signal(signo, signal.SIG_DFL)
        os.kill(pid, signo)

    atexit.register(die)
