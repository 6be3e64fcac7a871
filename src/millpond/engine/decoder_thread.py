"""A thread that decodes the results which would block the loop: those whose classes the program has not imported.

It starts with the first such result and ends when none is left. Whose results they are, and what comes of them, is the
business of `frame_handlers`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from millpond.queue_thread import QueueThread
from millpond.wire.codec import CodecError

Decode = Callable[[], Any]
Notify = Callable[[Any, CodecError | None], None]


class DecoderThread(QueueThread[tuple[Decode, Notify, asyncio.AbstractEventLoop]]):
    """Decodes one after another."""

    def __init__(self) -> None:
        super().__init__("millpond-results", self._decode, idle_s=0.0)

    def submit(self, decode: Decode, notify: Notify) -> None:
        """Decode, then call `notify` on this loop with the value or the error.

        Raises `RuntimeError` if no thread can be had.
        """
        try:
            self.put((decode, notify, asyncio.get_running_loop()))
        except RuntimeError:
            self.clear()  # nothing but this one: without a thread each is taken back at once
            raise

    def _decode(self, batch: list[tuple[Decode, Notify, asyncio.AbstractEventLoop]]) -> None:
        for decode, notify, loop in batch:
            value, failure = None, None
            try:
                value = decode()
            except CodecError as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(notify, value, failure)
