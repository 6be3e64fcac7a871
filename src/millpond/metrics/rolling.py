"""A window that moves: the sum of the parts that lie in it, kept up to date as parts come and go.

Parts are kept packed, by whoever else keeps them too; what leaves is unpacked and subtracted, so that a window costs
the same however long it is. Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from millpond.metrics.accumulator import Accumulator
from millpond.metrics.columns import Row
from millpond.metrics.histogram import Histogram
from millpond.metrics.slot import unpack_all
from millpond.metrics.snapshot import Distribution

SLACK = 1e-6  # seconds: folds come a moment early or late
MOST = 2  # parts a second of window at most, however often somebody folds


class Part(Protocol):
    """What a window is made of; a `Slot` is one."""

    @property
    def at(self) -> float:
        """Its end, in monotonic seconds."""
        ...

    @property
    def seconds(self) -> float:
        """How long it is."""
        ...

    @property
    def counters(self) -> Row:
        """What was counted in it."""
        ...

    @property
    def packed(self) -> bytes:
        """Its histograms."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SmallPart:
    """A part that is nothing else."""

    at: float
    seconds: float
    counters: Row
    packed: bytes = b""


class Rolling:
    """The last `seconds`."""

    __slots__ = ("_kinds", "_parts", "_sums", "covered_s", "seconds", "totals")

    def __init__(self, seconds: float, kinds: Sequence[str], columns: int) -> None:
        self.seconds = seconds
        self._kinds = kinds
        self._parts: deque[Part] = deque()
        self._sums = {kind: Accumulator() for kind in kinds}
        self.totals: Row = np.zeros(columns)  # the counters' growth within the window
        self.covered_s = 0.0

    @property
    def parts(self) -> Sequence[Part]:
        """What is in the window, the oldest first."""
        return self._parts

    @property
    def nbytes(self) -> int:
        """Bytes of the sums; the parts are somebody else's."""
        return sum(one.nbytes for one in self._sums.values())

    def push(self, part: Part, histograms: Mapping[str, Histogram]) -> None:
        """Add a part that ends now; `histograms` is what it holds packed."""
        self._parts.append(part)
        self.covered_s += part.seconds
        self.totals += part.counters
        for kind, one in histograms.items():
            self._sums[kind].add(one)
        self.leave(part.at)

    def leave(self, now: float) -> None:
        """Drop what ended a window ago, or is too much."""
        while self._parts and (
            self._parts[0].at <= now - self.seconds + SLACK or len(self._parts) > MOST * self.seconds
        ):
            self._drop(self._parts.popleft())

    def histogram(self, kind: str) -> Histogram:
        """The window's histogram of one kind."""
        return self._sums[kind].freeze()

    def describe(self, kind: str) -> Distribution:
        """The figures of the window's histogram."""
        return self._sums[kind].describe()

    def _drop(self, part: Part) -> None:
        self.covered_s = self.covered_s - part.seconds if self._parts else 0.0
        self.totals -= part.counters
        if part.packed:
            for kind, one in unpack_all(part.packed, self._kinds).items():
                self._sums[kind].subtract(one)
