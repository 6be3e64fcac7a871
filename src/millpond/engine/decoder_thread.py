"""A thread that decodes the results which would hold the loop up: those whose classes the program has not imported.

It begins with the first and ends when nothing is left. Whose results they are, and what comes of them, is the business
of `answers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from millpond.wire.codec import CodecError

Thaw = Callable[[], Any]
Told = Callable[[Any, CodecError | None], None]


class DecoderThread:
    """Decodes one after another."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Thaw, Told, asyncio.AbstractEventLoop]] = deque()
        self._lock = threading.Lock()  # held for the above and the thread, never while decoding
        self._thread: threading.Thread | None = None

    def read(self, thaw: Thaw, told: Told) -> None:
        """Decode, then tell the value or the error on this loop. Raises `RuntimeError` if no thread can be had."""
        with self._lock:
            self._waiting.append((thaw, told, asyncio.get_running_loop()))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="millpond-results", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._waiting.pop()
                    raise
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                thaw, told, loop = self._waiting.popleft()
            value, failure = None, None
            try:
                value = thaw()
            except CodecError as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(told, value, failure)
            del thaw, told, value, failure
