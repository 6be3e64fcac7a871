"""A window that moves: the sum of the parts that lie in it, kept up to date as parts come and go.

Parts are kept packed, by whoever else keeps them too; what leaves is unpacked and subtracted, so that a window costs
the same however long it is. Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from millpond.facts import Distribution
from millpond.metrics.columns import Row
from millpond.metrics.histogram import EMPTY, Histogram, merged
from millpond.metrics.history import PackedInterval, unpack_all

SLACK = 1e-6  # seconds: folds come a moment early or late
MOST = 2  # parts a second of window at most, however often somebody folds


class RollingWindow:
    """The last `seconds`: what `columns` counters and these `kinds` of histograms gained in them."""

    __slots__ = ("_kinds", "counters", "covered_s", "histograms", "parts", "seconds")

    def __init__(self, seconds: float, kinds: Sequence[str], columns: int) -> None:
        self.seconds = seconds
        self.covered_s = 0.0
        self.parts: deque[PackedInterval] = deque()  # the oldest first
        self.counters: Row = np.zeros(columns)
        self.histograms = dict.fromkeys(kinds, EMPTY)
        self._kinds = kinds

    @property
    def nbytes(self) -> int:
        """Bytes of the sums; the parts are somebody else's."""
        return sum(one.counts.nbytes for one in self.histograms.values())

    def push(self, part: PackedInterval, histograms: Mapping[str, Histogram]) -> None:
        """Add a part that ends now; `histograms` is what it holds packed."""
        self.parts.append(part)
        self.covered_s += part.seconds
        self.counters += part.counters
        self._move(part.at, histograms)

    def leave(self, now: float) -> None:
        """Drop what ended a window ago, or is too much."""
        self._move(now, {})

    def describe(self) -> dict[str, Distribution]:
        """The figures of its histograms."""
        return {kind: one.describe() for kind, one in self.histograms.items()}

    def _move(self, now: float, added: Mapping[str, Histogram]) -> None:
        gone = []
        while self.parts and (self.parts[0].at <= now - self.seconds + SLACK or len(self.parts) > MOST * self.seconds):
            part = self.parts.popleft()
            self.covered_s = self.covered_s - part.seconds if self.parts else 0.0
            self.counters -= part.counters
            if part.packed:
                gone.append(unpack_all(part.packed, self._kinds))
        for kind, one in self.histograms.items():
            self.histograms[kind] = merged((one, added.get(kind, EMPTY)), (each[kind] for each in gone))
