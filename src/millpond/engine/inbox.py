"""Reading from workers: frames from their sockets, output from their pipes, on the loop's readiness and at a death.

One read a turn and worker, so that a large answer of one delays nobody else. Hands on frames and bytes; understands
neither.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from dataclasses import dataclass

from millpond.engine import kernel
from millpond.engine.link import Link
from millpond.wire.frames import Body, Fields, ProtocolError

# A read of more than 128 KiB makes malloc map and unmap memory (15 us against 2): only after one that came back full.
READ_BYTES = 64 * 1024
_MORE_BYTES = 256 * 1024
_MOST_READS = 512  # of one worker, when all is read that came in
_REST_MS = 50  # for the next part of a frame, then
_STILL_LOOKS = 4
_LAST_OUTPUT_BYTES = 1024 * 1024  # of a dead worker's pipe, into which somebody else may still be writing


@dataclass(slots=True, eq=False, repr=False)
class Inbox:
    """Watches the descriptors of links.

    `handle` is given frames, `ended` a link whose socket is at its end, `distrust` one that broke the protocol.
    """

    _loop: asyncio.AbstractEventLoop
    _handle: Callable[[Link, list[tuple[Fields, Body]]], None]
    _ended: Callable[[Link], None]
    _distrust: Callable[[Link, ProtocolError], None]

    def watch(self, link: Link) -> None:
        """Read whatever comes from now on."""
        self._loop.add_reader(link.endpoints.socket.fileno(), self._read_socket, link)
        for index, pipe in enumerate(link.endpoints.outputs):
            self._loop.add_reader(pipe, self._read_pipe, link, index)

    def unwatch(self, link: Link) -> None:
        """Read nothing more."""
        self._loop.remove_reader(link.endpoints.socket.fileno())
        for pipe in link.endpoints.outputs:
            self._loop.remove_reader(pipe)

    def catch_up(self, link: Link) -> None:
        """Read what a worker has sent until now; one that never stops sending is left to the loop after a while.

        Of a large answer only a part was taken while nobody read: its worker waits to send the rest, and is waited for
        as long as that comes.
        """
        for _ in range(_MOST_READS):
            if link.is_distrusted or link.is_at_end:
                return
            if not self._read_socket(link) and (link.reader.is_between_frames() or not _has_more(link)):
                return

    def look_at(self, link: Link) -> None:
        """Distrust a worker of whose frame a part came, and in four looks nothing to speak of behind it."""
        link.still = link.still + 1 if link.reader.stands_still() else 0
        if link.still < _STILL_LOOKS or link.is_distrusted or link.is_at_end:
            return
        if kernel.is_stopped(link.pid):
            link.still = 0  # it sends the rest when it goes on
        else:
            self._stop_reading(link, ProtocolError("the beginning of a frame came, and the rest of it did not"))

    def drain(self, link: Link) -> None:
        """Read all that a dead worker left."""
        while not link.is_distrusted and self._read_socket(link):
            pass
        for index in range(len(link.endpoints.outputs)):
            rest = _LAST_OUTPUT_BYTES
            while rest > 0 and (size := self._read_pipe(link, index)):
                rest -= size

    def _read_socket(self, link: Link) -> bool:
        """Whether there may be more."""
        room = link.room
        try:
            data = link.endpoints.socket.recv(room)
        except BlockingIOError:
            return False
        except OSError:  # reset: unread requests lay at the other end when it closed
            data = b""
        if not data:
            # The end stays readable for ever: nobody looks again. All that was sent before it has been read, since one
            # socket keeps its order.
            self._loop.remove_reader(link.endpoints.socket.fileno())
            self._ended(link)
            return False
        link.room = _MORE_BYTES if len(data) == room else READ_BYTES
        broken = self._take(link, data)
        if broken is not None:
            self._stop_reading(link, broken)
        return broken is None

    def _stop_reading(self, link: Link, broken: ProtocolError) -> None:
        self._loop.remove_reader(link.endpoints.socket.fileno())
        self._distrust(link, broken)

    def _take(self, link: Link, data: bytes) -> ProtocolError | None:
        """Hand on the frames that are complete, those before a breach of the protocol too."""
        broken = None
        try:
            frames = link.reader.feed(data)
        except ProtocolError as error:
            frames, broken = error.frames, error
        try:
            self._handle(link, frames)
        except ProtocolError as error:
            broken = error
        return broken

    def _read_pipe(self, link: Link, index: int) -> int:
        """How much was read."""
        pipe = link.endpoints.outputs[index]
        try:
            output = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            output = b""
        if not output:
            self._loop.remove_reader(pipe)
            return 0
        link.ring.write(output)
        if index == 1:
            link.stderr.write(output)
        return len(output)


def _has_more(link: Link) -> bool:
    """Wait a moment for the next part of a frame; whether it came."""
    poll = select.poll()
    poll.register(link.endpoints.socket, select.POLLIN)
    return bool(poll.poll(_REST_MS))
