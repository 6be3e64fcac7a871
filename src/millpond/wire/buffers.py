"""Shared memory for large buffers: one arena each way and worker, written by one side and read by the other.

The first page holds a byte per slot (0 free, 1 in use), the rest is data. The writer alone decides where a slot lies
and sets its byte; the reader copies the buffer out and clears the byte. No locks, nothing named in a file system.
What does not fit goes through the socket instead, which `segments` sees to.
"""

from __future__ import annotations

import mmap
import threading
from bisect import insort
from typing import Any

from millpond.wire.frames import ProtocolError
from millpond.wire.shared_memory import PAGE_BYTES, SharedMemory, create_memory

SLOTS = 256
_FREE, _IN_USE = 0, 1
_ALIGN = 64  # a cache line: slots share none
UNUSED_S = 10.0  # memory is given back after once to twice as long
GIVEN_AT_ONCE_BYTES = 8 * 1024 * 1024  # takes some milliseconds: the system clears what it gives out next


class Arena(SharedMemory):
    """The memory of one direction, behind `fd`, which it owns from now on; `nbytes` as given to `create`."""

    __slots__ = ("data", "nbytes", "states")

    def __init__(self, fd: int, nbytes: int) -> None:
        super().__init__(fd, PAGE_BYTES + nbytes)
        self.nbytes = nbytes
        whole = memoryview(self.mapped)
        self.states = whole[:SLOTS]
        self.data = whole[PAGE_BYTES:]

    @classmethod
    def create(cls, nbytes: int) -> Arena:
        """A new arena with room for `nbytes`; memory is taken as it is first touched."""
        return cls(create_memory("arena", PAGE_BYTES + nbytes), nbytes)

    def give_back(self, begin: int, end: int) -> None:
        """Give the memory of whole pages between two offsets back; what is read there next is zeros."""
        self.mapped.madvise(mmap.MADV_REMOVE, PAGE_BYTES + begin, end - begin)

    def close(self) -> None:
        """Give up descriptor and memory. Idempotent."""
        self.states.release()
        self.data.release()
        super().close()


class SlotWriter:
    """The writing end of an arena. `overflows` counts the buffers that found no room."""

    __slots__ = ("_arena", "_live", "_lock", "_needed", "_since", "_touched", "_unused", "_used", "overflows")

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._lock = threading.Lock()  # several threads of a worker may answer at once
        self._live: list[tuple[int, int, int]] = []  # (offset, end, index) of the slots in use, by offset
        self._unused = list(range(SLOTS - 1, -1, -1))  # a stack: the index freed last is taken first
        self.overflows = 0
        # Slots are taken from the lowest offset, so that what is not needed lies at the end. All are offsets:
        self._touched = 0  # behind this nothing has memory
        self._used = 0  # no slot reached behind this in the present period,
        self._needed = 0  # nor behind this in the one before
        self._since = 0.0  # when the present period began

    def put(self, buffer: bytes | bytearray | memoryview) -> tuple[int, int, int] | None:
        """Copy `buffer` into a slot: its (index, offset, length), or `None` if there is no room."""
        length = len(buffer)
        with self._lock:
            self._reclaim()
            offset = self._find_gap(length)
            if offset is None or not self._unused:
                self.overflows += 1
                return None
            # The reader learns of a slot from the frame that is written after this, and never looks at one half filled.
            # Who dies before it read the frame leaves the byte set: such a slot is lost until the arena goes with the
            # worker.
            self._arena.data[offset : offset + length] = buffer
            index, end = self._unused.pop(), offset + length
            self._arena.states[index] = _IN_USE
            insort(self._live, (offset, end, index))
            if end > self._used:
                self._used = end
        return index, offset, length

    def give_back(self, now: float, most: int = GIVEN_AT_ONCE_BYTES) -> int:
        """Give memory back that no slot reached for a while, `most` bytes at a time; how many. To be asked often.

        No reader can be there: a slot it has not cleared is in use.
        """
        with self._lock:
            self._reclaim()
            self._touched = max(self._touched, self._used)
            if now - self._since >= UNUSED_S:
                self._since, self._needed = now, self._used
                self._used = self._live[-1][1] if self._live else 0
            return self._cut_to(max(self._used, self._needed, self._touched - most))

    def _cut_to(self, offset: int) -> int:
        begin, end = -(-offset // PAGE_BYTES) * PAGE_BYTES, self._touched
        if begin >= end or not hasattr(mmap, "MADV_REMOVE"):
            return 0
        try:
            self._arena.give_back(begin, end)
        except OSError:  # this system cannot make holes in memory
            return 0
        self._touched = begin
        return end - begin

    def _reclaim(self) -> None:
        """Take back the slots whose byte the reader cleared."""
        # A byte may be cleared while this looks: then the slot is taken back the next time.
        states = self._arena.states
        kept = []
        for slot in self._live:
            if states[slot[2]] == _FREE:
                self._unused.append(slot[2])
            else:
                kept.append(slot)
        self._live = kept

    def _find_gap(self, length: int) -> int | None:
        """The lowest offset with room, so that the pages touched last are used again."""
        start = 0
        for offset, end, _ in self._live:
            if offset - start >= length:
                return start
            start = -(-end // _ALIGN) * _ALIGN
        return start if self._arena.nbytes - start >= length else None


class SlotReader:
    """The reading end of an arena. Trusts nothing the other end says: what makes no sense is a `ProtocolError`."""

    __slots__ = ("_arena", "_fence", "nbytes")

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.nbytes = arena.nbytes  # what the slots of one body can come to at most
        self._fence = threading.Lock()

    def take(self, index: int, offset: int, length: int, kind: type[bytes | bytearray] = bytearray) -> Any:
        """A private copy of a slot's bytes, as the `kind` asked for; the slot is free afterwards."""
        copy = kind(self._view(index, offset, length))
        self._free(index)
        return copy

    def drop(self, index: int) -> None:
        """Free a slot unread."""
        self._check_index(index)
        self._free(index)

    def _view(self, index: int, offset: int, length: int) -> memoryview:
        self._check_index(index)
        if offset < 0 or length < 0 or offset + length > self._arena.nbytes:
            raise ProtocolError(f"a slot at {offset} of {length} bytes lies outside of {self._arena.nbytes} bytes")
        return self._arena.data[offset : offset + length]

    def _check_index(self, index: int) -> None:
        if not 0 <= index < SLOTS or self._arena.states[index] != _IN_USE:
            raise ProtocolError(f"slot {index} is not in use")

    def _free(self, index: int) -> None:
        # The copy must be complete before the writer can see the slot free.
        with self._fence:
            pass
        self._arena.states[index] = _FREE
