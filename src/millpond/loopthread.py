"""An event loop in a thread of its own, for the faces that are not asyncio.

Work is handed over in batches: however many threads post, the loop is woken once until it has looked. Started and
stopped by `SyncPool` and `Executor`; decides nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """A daemon thread that runs one asyncio loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._posted: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._is_woken = False
        self._is_holding = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.get_ident() == self._thread.ident

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and wait for its result; an interrupt of the waiting thread cancels it."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def start_task(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine on the loop without waiting for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def post(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function on the loop's thread, in the order of posting."""
        self._posted.append((function, args))
        if not self._is_woken and not self._is_holding:
            # Two threads may both come here: one wake-up too many does no harm. None is lost, because the loop clears
            # the flag before it looks.
            self._is_woken = True
            if self.is_current:  # a done-callback, say: the loop is awake
                self._loop.call_soon(self._work_off)
            else:
                self._loop.call_soon_threadsafe(self._work_off)

    def hold(self) -> None:
        """Keep what is posted until `release`."""
        self._is_holding = True

    def release(self) -> None:
        """Work off what was kept, and go on as usual; on the loop's thread."""
        self._is_holding = False
        self._work_off()

    def stop(self) -> None:
        """End the loop and its thread; not from that thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def end_soon(self) -> None:
        """End the loop when this turn is over; on the loop's thread."""
        self._loop.call_soon(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _work_off(self) -> None:
        self._is_woken = False
        posted = self._posted
        while posted and not self._is_holding:
            function, args = posted.popleft()
            function(*args)
