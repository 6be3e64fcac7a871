"""The worker's end of the data socket: frames out of it, frames into it, from whatever thread.

Whole frames only: one lock is held for one frame. Log records never wait for it, because a signal handler of the
user's may log while its own thread holds it. When the parent is gone every method says `Disconnected`.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from millpond.wire.frames import FrameReader

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from millpond.wire.frames import Body, Fields

# A read of 256 KiB costs 15 us even if little comes: malloc maps that much anew each time. So small ones, until one
# comes back full.
_ROOM_BYTES = 64 * 1024
_MORE_ROOM_BYTES = 256 * 1024
_JOIN_BYTES = 64 * 1024  # below this one copy is cheaper than a write with many parts
_PARTS = 512  # of one write; Linux takes 1024


class Disconnected(Exception):
    """The parent closed the socket, or this process is a forked child that has no business on it."""


class FrameChannel:
    """The socket (blocking) with its frame reader. `disown` is for forked children."""

    __slots__ = ("_lock", "_postponed", "_reader", "_room", "is_disowned", "socket")

    def __init__(self, connection: socket.socket, limit: int, incarnation: int) -> None:
        self.socket = connection
        self.is_disowned = False
        self._reader = FrameReader(limit, incarnation)
        self._room = _ROOM_BYTES
        self._lock = threading.Lock()
        self._postponed: deque[bytes] = deque()  # log frames that found the lock taken

    def receive(self, flags: int = 0) -> list[tuple[Fields, Body]]:
        """Read once and return the frames that are complete now, perhaps none. `flags` are those of `recv`."""
        try:
            data = self.socket.recv(self._room, flags)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        self._room = _MORE_ROOM_BYTES if len(data) == self._room else _ROOM_BYTES
        return self._reader.feed(data)

    def send(self, frame: bytes) -> None:
        """Write one whole frame; returns when the kernel has all of it."""
        # A parent that reads nothing blocks this thread here, with the lock held; the other threads wait behind it, and
        # log records queue up. That ends when the parent reads, or closes the socket.
        try:
            with self._lock:
                self.socket.sendall(frame)
        except OSError as error:
            raise Disconnected from error
        if self._postponed:
            self._flush()

    def send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Write one frame that lies in several places, large ones without copying."""
        if sum(map(len, parts)) <= _JOIN_BYTES:
            self.send(b"".join(parts))
            return
        try:
            with self._lock:
                _send_all(self.socket, parts)
        except OSError as error:
            raise Disconnected from error
        if self._postponed:
            self._flush()

    def post(self, frame: bytes) -> None:
        """Write a frame now, or have it written by whoever is writing; never waits and never raises."""
        self._postponed.append(frame)
        self._flush()

    def disown(self) -> None:
        """In a forked child: close its copy of the socket, so that whatever it tries ends as `Disconnected`."""
        self.is_disowned = True
        self.socket.close()

    def _flush(self) -> None:
        # A record may be logged by a signal handler, in the middle of a write of its own thread, which has the lock: to
        # wait for it would be for ever. Who holds the lock looks at the queue after giving it back, who queues looks at
        # the lock after queueing: one of the two sees the other, so that nothing stays behind. Records of two threads
        # may be written in another order than they were queued in; each is whole.
        while self._postponed and self._lock.acquire(blocking=False):
            try:
                self.socket.sendall(self._postponed.popleft())
            except (OSError, IndexError):
                return
            finally:
                self._lock.release()


def _send_all(connection: socket.socket, parts: Sequence[bytes | memoryview]) -> None:
    """`sendmsg` until everything is out: a write may stop in the middle of any part."""
    left = deque(memoryview(part) for part in parts if len(part))
    while left:
        sent = connection.sendmsg([left[i] for i in range(min(len(left), _PARTS))])
        while left and sent >= len(left[0]):
            sent -= len(left.popleft())
        if sent:
            left[0] = left[0][sent:]
