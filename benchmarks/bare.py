"""What the machine itself allows: a socketpair and a shared page between two processes, with no pool around them.

Nothing here queues, checks or survives anything. It is the limit the pools are held against.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.driving import ask_each

MESSAGE_BYTES = 64  # a header and a tiny pickle
AREA_BYTES = 32 * 1024 * 1024


class Bare:
    """A forked child that answers each message of a socketpair; blocking at both ends."""

    name: str
    child: int
    socket: socket.socket

    def serve(self, theirs: socket.socket) -> None:
        """The child's loop, until the parent hangs up."""
        while message := theirs.recv(MESSAGE_BYTES):
            theirs.send(message)

    def ask(self, value: Any) -> Any:
        self.socket.send(b"x" * MESSAGE_BYTES)
        self.socket.recv(MESSAGE_BYTES)
        return value

    async def open(self, workers: int) -> None:
        self.socket, theirs = socket.socketpair()
        self.child = os.fork()
        if not self.child:
            self.socket.close()
            serve_and_exit(self.serve, theirs)
        theirs.close()

    async def close(self) -> None:
        self.socket.close()
        os.waitpid(self.child, 0)

    async def round_trips(self, values: Iterable[Any]) -> list[float]:
        return ask_each(self.ask, values)

    async def in_flight(self, calls: int, depth: int) -> float:
        raise NotImplementedError("nothing here keeps calls")

    async def batches(self, calls: int, size: int) -> float:
        raise NotImplementedError("nothing here keeps calls")


def serve_and_exit(serve: Callable[[socket.socket], None], theirs: socket.socket) -> None:
    """Run the child's loop and leave without the parent's exit hooks."""
    try:
        serve(theirs)
    finally:
        os._exit(0)


class PingPong(Bare):
    name = "bare socketpair"


class Apart(Bare):
    """Each process on a core of its own, where a pool's workers are: the scheduler may not choose."""

    async def open(self, workers: int) -> None:
        self.cores = os.sched_getaffinity(0)
        await super().open(workers)
        os.sched_setaffinity(0, {min(self.cores)})
        os.sched_setaffinity(self.child, {max(self.cores)})

    async def close(self) -> None:
        await super().close()
        os.sched_setaffinity(0, self.cores)


class PingPongApart(Apart, PingPong):
    name = "bare socketpair, on two cores"


class SharedCopies(Bare):
    """An array each way through shared memory; each side takes a private copy and puts its own in: four copies."""

    name = "bare shared memory, copied out"

    async def open(self, workers: int) -> None:
        self.there, self.back = mmap.mmap(-1, AREA_BYTES), mmap.mmap(-1, AREA_BYTES)
        await super().open(workers)

    def serve(self, theirs: socket.socket) -> None:
        there, back = np.frombuffer(self.there), np.frombuffer(self.back)
        while message := theirs.recv(8):
            size = int.from_bytes(message)
            received = self.receive(there[:size])
            back[:size] = received
            theirs.send(message)

    def ask(self, value: Any) -> Any:
        size = len(value)
        np.frombuffer(self.there)[:size] = value
        self.socket.send(size.to_bytes(8))
        self.socket.recv(8)
        return self.receive(np.frombuffer(self.back)[:size])

    def receive(self, array: Any) -> Any:
        return array.copy()


class SharedCopiesApart(Apart, SharedCopies):
    name = "bare shared memory, copied out, on two cores"


class SharedInPlace(SharedCopies):
    """The same, but what arrives is used where it lies (and gone with the next call): two copies."""

    name = "bare shared memory, in place"

    def receive(self, array: Any) -> Any:
        return array
