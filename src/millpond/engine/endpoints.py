"""What joins parent and worker: data and side sockets, pipes for the output and what was kept of it, logbook, arenas.

Made in the parent before a start; the worker's descriptors travel to the warden and are closed here afterwards. All of
them are closed on exec, so that nothing a worker starts inherits its socket.
"""

from __future__ import annotations

import contextlib
import os
import socket

from millpond.wire import stacks
from millpond.wire.buffers import Arena
from millpond.wire.logbook import Logbook

STDERR_TAIL_BYTES = 8 * 1024  # what a death is reported with


class Endpoints:
    """The parent's ends as attributes, the worker's as descriptors; all or none: raises `OSError` when one is missing.

    `outputs` are pipes from stdout and stderr, none where the worker has the program's own; `side` carries internal
    calls to the worker's control thread, `stacks` is the file for the stacks of its threads, `inbound` the parent's
    buffers, `outbound` the worker's.
    """

    __slots__ = (
        "_closing",
        "_shared",
        "_theirs",
        "inbound",
        "logbook",
        "outbound",
        "outputs",
        "side",
        "socket",
        "stacks",
    )

    def __init__(self, buffer_bytes: int, inherits_output: bool) -> None:
        self._theirs: list[int] = []
        self._shared: list[Logbook | Arena] = []
        with contextlib.ExitStack() as made:
            made.callback(self.close_theirs)
            self.outputs: tuple[int, ...] = ()
            if inherits_output:
                self._theirs.append(_standard(1))
                self._theirs.append(_standard(2))
            else:
                self.outputs = (self._pipe(made), self._pipe(made))
            self.socket, self.side = self._socket(made), self._socket(made)
            self.stacks = self._file(made)
            self.logbook = Logbook.create()
            self._share(made, self.logbook)
            self.inbound = self._arena(made, buffer_bytes)
            self.outbound = self._arena(made, buffer_bytes)
            self._closing = made.pop_all()

    def theirs(self) -> list[int]:
        """The descriptors that an order to start carries, in the order that `spawner` names."""
        return [*self._theirs, *(shared.fd for shared in self._shared)]

    def close_theirs(self) -> None:
        """Close what the warden has by now; the memory stays mapped. Idempotent."""
        while self._theirs:
            os.close(self._theirs.pop())
        for shared in self._shared:
            shared.close_fd()

    def close(self) -> None:
        """Close everything. Idempotent."""
        self._closing.close()

    def _socket(self, made: contextlib.ExitStack) -> socket.socket:
        ours, theirs = socket.socketpair()
        made.callback(ours.close)
        self._theirs.append(theirs.detach())
        ours.setblocking(False)
        return ours

    def _pipe(self, made: contextlib.ExitStack) -> int:
        ours, theirs = os.pipe()
        made.callback(os.close, ours)
        self._theirs.append(theirs)
        os.set_blocking(ours, False)
        return ours

    def _file(self, made: contextlib.ExitStack) -> int:
        fd = stacks.create_file()
        made.callback(os.close, fd)
        self._theirs.append(os.dup(fd))
        return fd

    def _share(self, made: contextlib.ExitStack, memory: Logbook | Arena) -> None:
        made.callback(memory.close)
        self._shared.append(memory)

    def _arena(self, made: contextlib.ExitStack, nbytes: int) -> Arena | None:
        if not nbytes:
            return None
        arena = Arena.create(nbytes)
        self._share(made, arena)
        return arena


class OutputRing:
    """The last `limit` bytes that a process wrote, and a count of those that were dropped."""

    __slots__ = ("_kept", "_limit", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.dropped = 0  # bytes

    def write(self, output: bytes) -> None:
        """Keep this, and let go of the oldest beyond the limit."""
        self._kept += output
        excess = len(self._kept) - self._limit
        if excess > 0:
            del self._kept[:excess]
            self.dropped += excess

    def text(self) -> str:
        """What is kept, after a line saying how much is not."""
        kept = self._kept.decode("utf-8", "replace")
        return f"[{self.dropped} bytes dropped]\n{kept}" if self.dropped else kept

    def tail(self) -> str:
        """What is kept, without a word on the rest."""
        return self._kept.decode("utf-8", "replace")


def _standard(fd: int) -> int:
    """A descriptor of the program's standard output or error, or of `/dev/null` if it has none.

    A program that closed it may have another file under that number, its own or the pool's: as at every exec, only what
    is inheritable is for others.
    """
    with contextlib.suppress(OSError):
        if os.get_inheritable(fd):
            return os.dup(fd)
    return os.open(os.devnull, os.O_WRONLY)
