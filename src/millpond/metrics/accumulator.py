"""A histogram that grows: what falls into a window is added, what leaves it is taken out again.

Holds the buckets between the lowest and the highest ever seen, in whole octaves; becomes a `Histogram` when asked.
Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from millpond.metrics.distribution import describe
from millpond.metrics.histogram import PER_OCTAVE, ZERO, Buckets, Histogram, Values
from millpond.metrics.snapshot import Distribution

FEW = 8  # samples up to which a loop beats numpy


class Batch(NamedTuple):
    """Samples by their buckets, at least one, how often each counts, the lowest and highest bucket, and their sum."""

    buckets: Buckets
    times: Values
    low: int
    high: int
    total: float


class Accumulator:
    """Counts a bucket, a sum, and what was too small for a bucket."""

    __slots__ = ("_counts", "_low", "total", "zeros")

    def __init__(self) -> None:
        self._low = 0
        self._counts = np.zeros(0, np.int64)
        self.zeros = 0
        self.total = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of its counts."""
        return self._counts.nbytes

    def take(self, batch: Batch) -> None:
        """Add samples by their buckets."""
        buckets, times, low, high, total = batch
        self.total += total
        if low == ZERO:
            inside = buckets != ZERO
            self.zeros += int(times[~inside].sum())
            buckets, times = buckets[inside], times[inside]
            if not len(buckets):
                return
            low = int(buckets.min())
        self._reach(low, high)
        if len(buckets) <= FEW:
            for bucket, n in zip(buckets.tolist(), times.tolist(), strict=True):
                self._counts[bucket - self._low] += int(n)
        else:
            self._counts[low - self._low : high + 1 - self._low] += np.bincount(buckets - low, times).astype(np.int64)

    def add(self, part: Histogram) -> None:
        """Add what a histogram holds."""
        if len(part.counts):
            self._reach(part.low, part.low + len(part.counts) - 1)
            self._counts[part.low - self._low : part.low - self._low + len(part.counts)] += part.counts
        self.zeros += part.zeros
        self.total += part.total

    def subtract(self, part: Histogram) -> None:
        """Take out a histogram that was added before."""
        if len(part.counts):
            self._counts[part.low - self._low : part.low - self._low + len(part.counts)] -= part.counts
        self.zeros -= part.zeros
        self.total -= part.total
        if not self.zeros and not self._counts.any():
            self.total = 0.0  # what rounding left of the sums goes with the last sample

    def freeze(self) -> Histogram:
        """What is in it now."""
        return Histogram(self._low, self._counts, self.zeros, self.total)

    def describe(self) -> Distribution:
        """The figures of what is in it."""
        return describe(self._low, self._counts, self.zeros, self.total)

    def clear(self) -> None:
        """Forget everything but the reach."""
        self._counts[:] = 0
        self.zeros = 0
        self.total = 0.0

    def _reach(self, low: int, high: int) -> None:
        """Have room for buckets from `low` to `high`."""
        end = self._low + len(self._counts)
        if self._low <= low and high < end:
            return
        first = low // PER_OCTAVE * PER_OCTAVE
        after = (high // PER_OCTAVE + 1) * PER_OCTAVE
        if len(self._counts):
            first, after = min(first, self._low), max(after, end)
        counts = np.zeros(after - first, np.int64)
        counts[self._low - first : end - first] = self._counts if len(self._counts) else 0
        self._low, self._counts = first, counts
