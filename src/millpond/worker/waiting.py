"""How a worker waits for its next request: asleep, or awake for a moment where requests follow each other closely.

To wake a process costs more than a small call does: with one caller at a time it was half of the round trip. So a
worker whose last request came alone, and within `busy_poll` of the answer before it, looks for the next one that long
before it sleeps. A worker that is rarely asked, or always has work, never polls; a burst costs one poll in vain.
"""

from __future__ import annotations

import os
import socket
from time import monotonic
from typing import TYPE_CHECKING

from millpond.cores import cores

if TYPE_CHECKING:
    from millpond.wire.frames import Body, Fields
    from millpond.worker.channel import FrameChannel


class Waiting:
    """The wait of one worker that serves in its main thread; `busy_poll` in seconds, 0 to always sleep."""

    __slots__ = ("_busy_poll_s", "_channel", "_is_close")

    def __init__(self, channel: FrameChannel, busy_poll: float) -> None:
        self._channel = channel
        # On a single core the request can only come while this process does not run.
        self._busy_poll_s = busy_poll if cores() > 1 else 0.0
        self._is_close = False  # whether the last request came alone and soon

    def receive(self) -> list[tuple[Fields, Body]]:
        """The frames that come next, perhaps none that is complete."""
        since = monotonic()
        frames = self._poll(since + self._busy_poll_s) if self._is_close else []
        if not frames:
            frames = self._channel.receive()
        self._is_close = len(frames) == 1 and monotonic() - since < self._busy_poll_s
        return frames

    def _poll(self, until: float) -> list[tuple[Fields, Body]]:
        receive = self._channel.receive
        while monotonic() < until:
            frames = receive(socket.MSG_DONTWAIT)
            if frames:
                return frames
            os.sched_yield()  # whoever else has work on this core goes first
        return []
