"""What waits to be written to one worker: collected during a turn of the loop and sent with one system call.

A worker with nothing in flight is written to at once, so that a lone call does not wait for the turn to end. What the
socket does not take stays here in order, and a large transfer yields to the loop between pieces.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterable

LARGE_BYTES = 64 * 1024  # parts above this are written from where they lie instead of being joined
_TURN_BYTES = 1024 * 1024  # at most, before other workers get their turn
# A program that gave SIGPIPE its default action must not die of a worker's death.
MSG_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)

Part = bytes | bytearray | memoryview


class Outbox:
    """The writing half of a worker's socket. `parts` is open to the sender of calls, which then calls `schedule`."""

    __slots__ = ("_backlog", "_is_closed", "_is_scheduled", "_loop", "_socket", "parts")

    def __init__(self, loop: asyncio.AbstractEventLoop, to: socket.socket) -> None:
        self._loop = loop
        self._socket = to
        self.parts: list[bytes | memoryview] = []
        self._backlog: deque[memoryview] = deque()  # what the socket did not take; a writer waits while it is not empty
        self._is_scheduled = False
        self._is_closed = False

    def schedule(self) -> None:
        """Write what was collected when this turn of the loop ends."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._end_of_turn)

    def write(self, part: bytes) -> None:
        """Collect one small frame."""
        self.parts.append(part)
        self.schedule()

    def write_large(self, parts: Iterable[Part]) -> None:
        """Write parts after all that was collected; what is not `bytes` is copied, as it may change later."""
        views = [memoryview(part if type(part) is bytes else bytes(part)) for part in parts]
        self.flush()
        was_waiting = bool(self._backlog)
        self._backlog.extend(views)
        if not was_waiting:
            self._write_backlog(is_waiting=False)

    def flush(self) -> None:
        """Write what was collected, now."""
        parts = self.parts
        if not parts:
            return
        frames = b"".join(parts)
        parts.clear()
        # Nothing overtakes what the socket did not take: the worker would read a frame in the middle of another.
        if self._backlog:
            self._backlog.append(memoryview(frames))
            return
        try:
            sent = self._socket.send(frames, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:  # the worker is gone or closed its end: the reading half notices
            return
        if sent < len(frames):
            self._backlog.append(memoryview(frames)[sent:])
            self._loop.add_writer(self._socket.fileno(), self._write_backlog)

    def close(self) -> None:
        """Write nothing more; what was not written is dropped."""
        self._is_closed = True
        if self._backlog:
            self._drop_backlog(is_waiting=True)
        self.parts.clear()

    def _end_of_turn(self) -> None:
        self._is_scheduled = False
        if not self._is_closed:
            self.flush()

    def _write_backlog(self, is_waiting: bool = True) -> None:
        """Write on; `is_waiting`: the loop watches the socket for room."""
        room = _TURN_BYTES
        backlog = self._backlog
        try:
            while backlog and room > 0:
                sent = self._socket.send(backlog[0][:room], MSG_NOSIGNAL)
                room -= sent
                if sent == len(backlog[0]):
                    backlog.popleft()
                else:
                    backlog[0] = backlog[0][sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._drop_backlog(is_waiting)
            return
        if backlog and not is_waiting:
            self._loop.add_writer(self._socket.fileno(), self._write_backlog)
        elif is_waiting and not backlog:
            self._loop.remove_writer(self._socket.fileno())

    def _drop_backlog(self, is_waiting: bool) -> None:
        self._backlog.clear()
        if is_waiting:
            self._loop.remove_writer(self._socket.fileno())
