"""What workers wrote, bounded: a ring of the last bytes with a count of what it dropped.

One ring a worker for `pool.logs()`, and a small one for the end of stderr that a death is reported with.
"""

from __future__ import annotations

STDERR_TAIL_BYTES = 8 * 1024


class Ring:
    """The last `limit` bytes written."""

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
