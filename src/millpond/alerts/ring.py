"""Samples of many series in a ring: all taken at the same moments, in arrays that only grow with the series.

A place without a sample holds a mark of its own, so that a sample may be any number, NaN included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millpond.alerts.expr.windows import Times, Values

_NO_SAMPLE = 0x7FF8_0000_4D69_6C6C  # the bits of a NaN that no arithmetic makes
_FIRST_ROWS = 64


class Ring:
    """The last `slots` moments; a row a series."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.taken = 0  # moments so far
        self._times: Times = np.zeros(slots, dtype=np.int64)
        self._bits = np.full((_FIRST_ROWS, slots), _NO_SAMPLE, dtype=np.int64)
        self._values: Values = self._bits.view(np.float64)
        self._ordered: Times = self._times[:0]  # the moments kept, the oldest first

    @property
    def is_full(self) -> bool:
        """Whether older moments were overwritten."""
        return self.taken > self.slots

    @property
    def oldest_ms(self) -> int:
        """The oldest moment kept; the ring must not be empty."""
        return int(self._ordered[0])

    @property
    def nbytes(self) -> int:
        """The arrays' size."""
        return self._bits.nbytes + self._times.nbytes + self._ordered.nbytes

    def make_room(self, rows: int) -> None:
        """Let there be as many rows."""
        have = len(self._bits)
        if rows > have:
            more = np.full((max(rows, 2 * have) - have, self.slots), _NO_SAMPLE, dtype=np.int64)
            self._bits = np.concatenate([self._bits, more])
            self._values = self._bits.view(np.float64)

    def forget(self, row: int) -> None:
        """Empty a row for another series."""
        self._bits[row] = _NO_SAMPLE

    def write(self, at_ms: int, rows: Sequence[int], values: Sequence[float]) -> None:
        """One moment; the rows not named have no sample then."""
        slot = self.taken % self.slots
        self.taken += 1
        self._times[slot] = at_ms
        self._bits[:, slot] = _NO_SAMPLE
        self._values[rows, slot] = values
        first = self._first
        kept = min(self.taken, self.slots)
        self._ordered = np.concatenate([self._times[first:], self._times[:first]]) if first else self._times[:kept]

    def at(self, row: int, ms: int, lookback_ms: int) -> float | None:
        """The sample of the newest moment up to `ms`, unless that is too long ago or has none."""
        index = int(np.searchsorted(self._ordered, ms, side="right")) - 1
        if index < 0 or self._ordered[index] < ms - lookback_ms:
            return None
        slot = (self._first + index) % self.slots
        return None if self._bits[row, slot] == _NO_SAMPLE else float(self._values[row, slot])

    def between(self, row: int, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        """The samples of a row from start to end, both included."""
        low, high = np.searchsorted(self._ordered, (start_ms, end_ms + 1)).tolist()
        begin, end = low + self._first, high + self._first
        if begin < self.slots < end:
            bits = np.concatenate([self._bits[row, begin:], self._bits[row, : end - self.slots]])
        else:
            begin, end = (begin - self.slots, end - self.slots) if begin >= self.slots else (begin, end)
            bits = self._bits[row, begin:end]
        known = bits != _NO_SAMPLE
        return self._ordered[low:high][known], bits[known].view(np.float64)

    @property
    def _first(self) -> int:
        """The slot of the oldest moment."""
        return self.taken % self.slots if self.taken > self.slots else 0
