"""The logbook: a page of memory where a worker claims and ends its calls, and the parent withdraws or interrupts them.

The worker stores its claim, fences, then reads the request; the parent stores the request, fences, then reads the
claim: so a call withdrawn with the claim still clear did not run and never will. Says nothing about sockets or calls
beyond a position, which the engine hands out.
"""

from __future__ import annotations

import struct
import threading

from millpond.wire.shared_memory import PAGE_BYTES, SharedMemory, create_memory

POSITIONS = 256

NOT_CLAIMED, CLAIMED, ENDED = 0, 1, 2
NO_REQUEST, WITHDRAWN, INTERRUPT = 0, 1, 2

_REQUESTS = 256  # offset of the request bytes; the claim bytes start at 0
# Native, so that a number of eight bytes at an offset of whole eights is copied at once: the standard form ("=d") goes
# byte by byte, and the other process could read half of the old number and half of the new one.
_HEARTBEAT = struct.Struct("d")
_HEARTBEAT_AT = 512


class Logbook(SharedMemory):
    """One worker's page, in the memory behind `fd`, which it owns from now on.

    The worker's methods: `claim`, `request`, `end`, `beat`; the others are the parent's.
    """

    __slots__ = ("_acquire", "_page", "_release")

    def __init__(self, fd: int) -> None:
        super().__init__(fd, PAGE_BYTES)
        self._page = self.mapped
        fence = threading.Lock()  # taken for its memory barrier only, and never held
        self._acquire, self._release = fence.acquire, fence.release

    @classmethod
    def create(cls) -> Logbook:
        """A new page of zeros."""
        return cls(create_memory("logbook", PAGE_BYTES))

    def claim(self, position: int) -> int:
        """Say that the call may run from here on; what the parent had asked before (`WITHDRAWN`: do not run it)."""
        page = self._page
        # The worker writes its claim and then reads the request, the parent the other way round. Without a barrier
        # between the two steps each processor may do its read first: both would find nothing, the parent would call the
        # call proven not to have run, and the worker would run it. With it at least one sees what the other wrote. What
        # remains: both see it. Then the call is not run, and the parent learns that from its answer.
        page[position] = CLAIMED
        self._acquire()
        self._release()
        return page[_REQUESTS + position]

    def request(self, position: int) -> int:
        """What the parent asks of this call now."""
        return self._page[_REQUESTS + position]

    def end(self, position: int) -> None:
        """Say that the call's operation is over."""
        self._page[position] = ENDED

    def beat(self, now: float) -> None:
        """Say that the interpreter runs (`now`: monotonic seconds)."""
        _HEARTBEAT.pack_into(self._page, _HEARTBEAT_AT, now)

    def reset(self, position: int) -> None:
        """Clear a position for its next call: before the call is sent, after the last one was answered."""
        page = self._page
        page[position] = NOT_CLAIMED
        page[_REQUESTS + position] = NO_REQUEST

    def withdraw(self, position: int) -> bool:
        """Take a call back. True: proven that it did not start and will not; False: it may have."""
        page = self._page
        page[_REQUESTS + position] = WITHDRAWN
        self._acquire()  # see `claim`
        self._release()
        return page[position] == NOT_CLAIMED

    def request_interrupt(self, position: int) -> None:
        """Ask the running operation to stop; a signal has to follow."""
        self._page[_REQUESTS + position] = INTERRUPT

    def is_claimed(self, position: int) -> bool:
        """Whether the call may have run."""
        return self._page[position] != NOT_CLAIMED

    def heartbeat(self) -> float:
        """When the worker's interpreter last gave a sign (monotonic seconds; 0.0 for never)."""
        beat: float = _HEARTBEAT.unpack_from(self._page, _HEARTBEAT_AT)[0]
        return beat
