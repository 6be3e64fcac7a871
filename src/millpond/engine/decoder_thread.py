"""A thread that decodes the results which would hold the loop up: those whose classes the program has not imported.

It begins with the first and ends when nothing is left. Whose results they are, and what comes of them, is the business
of `frame_handlers`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from millpond.queue_thread import QueueThread
from millpond.wire.codec import CodecError

Decode = Callable[[], Any]
Told = Callable[[Any, CodecError | None], None]


class DecoderThread(QueueThread[tuple[Decode, Told, asyncio.AbstractEventLoop]]):
    """Decodes one after another."""

    def __init__(self) -> None:
        super().__init__("millpond-results", self._decode, idle_s=0.0)

    def read(self, decode: Decode, told: Told) -> None:
        """Decode, then tell the value or the error on this loop. Raises `RuntimeError` if no thread can be had."""
        try:
            self.put((decode, told, asyncio.get_running_loop()))
        except RuntimeError:
            self.clear()  # nothing but this one: without a thread each is taken back at once
            raise

    def _decode(self, batch: list[tuple[Decode, Told, asyncio.AbstractEventLoop]]) -> None:
        for decode, told, loop in batch:
            value, failure = None, None
            try:
                value = decode()
            except CodecError as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(told, value, failure)
