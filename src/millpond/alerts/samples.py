"""The samples that rules look at: every few seconds for an hour, once a minute for a day.

Keeps only metrics that some rule reads, and at most so many series; what finds no room is counted. Knows samples and
times, no rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from millpond.metrics.catalogue import Family
from millpond.metrics.readers import Labels

Times = NDArray[np.int64]
Values = NDArray[np.float64]

NEAR_S = 70 * 60  # an hour, and the lookback twice
FAR_S = 26 * 3600  # a day, an hour before it, and more than the lookback
FAR_STEP_MS = 60_000
MOST_SERIES = 1000
ROWS = 32  # made at a time


class Ring:
    """The last moments, `slots` of them at least; a row a series. NaN stands where a series has no sample."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        size = slots + slots // 4
        self._times: Times = np.zeros(size, dtype=np.int64)
        self._values: Values = np.full((ROWS, size), np.nan)
        self._end = 0
        self._has_forgotten = False
        self._slices: dict[tuple[int, int], slice] = {}  # windows asked for since the last moment: rules share most

    @property
    def nbytes(self) -> int:
        """The arrays' size."""
        return self._values.nbytes + self._times.nbytes

    def reaches(self, ms: int) -> bool:
        """Whether all samples since then are here."""
        return not self._has_forgotten or ms >= self._times[0]

    def write(self, at_ms: int, rows: Sequence[int], values: Sequence[float]) -> None:
        """Add one moment; the rows not named have no sample then."""
        self._slices.clear()
        if self._end == len(self._times):  # full: the newest go to the front, where windows are slices again
            self._times[: self._slots] = self._times[-self._slots :].copy()
            self._values[:, : self._slots] = self._values[:, -self._slots :].copy()
            self._end, self._has_forgotten = self._slots, True
        while max(rows, default=0) >= len(self._values):
            self._values = np.concatenate([self._values, np.full((ROWS, len(self._times)), np.nan)])
        self._times[self._end] = at_ms
        self._values[:, self._end] = np.nan
        self._values[rows, self._end] = values
        self._end += 1

    def window(self, row: int, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        """The samples of a row from start to end, both included."""
        moments = self._slices.get((start_ms, end_ms))
        if moments is None:
            low, high = np.searchsorted(self._times[: self._end], (start_ms, end_ms + 1)).tolist()
            moments = self._slices[start_ms, end_ms] = slice(low, high)
        values = self._values[row, moments]
        known = ~np.isnan(values)
        return self._times[moments][known], values[known]


class SampleStore:
    """Samples of one pool's metrics. Times are integer milliseconds that never go back."""

    def __init__(self, step_s: float, most: int = MOST_SERIES) -> None:
        self.most = most
        self.dropped = 0  # samples that found no room
        self._near = Ring(math.ceil(NEAR_S / step_s))
        self._far = Ring(math.ceil(FAR_S * 1000 / FAR_STEP_MS))
        self._far_ms = -FAR_STEP_MS  # the moment the minutes' ring has last
        self._rows: dict[str, dict[Labels, int]] = {}  # name of a series -> labels -> row
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory of the samples."""
        return self._near.nbytes + self._far.nbytes

    def want(self, names: Iterable[str]) -> None:
        """Keep the series of these names too, from the next sample on."""
        for name in names:
            self._rows.setdefault(name, {})

    def take(self, families: Iterable[Family], at_ms: int) -> None:
        """Keep one sample of every series there is now."""
        rows, values = [], []
        for family in families:
            for suffix, labels, value in family.samples:
                known = self._rows.get(family.name + suffix)
                row = None if known is None else self._row(known, labels)
                if row is not None:
                    rows.append(row)
                    values.append(value)
        self._near.write(at_ms, rows, values)
        if at_ms // FAR_STEP_MS != self._far_ms // FAR_STEP_MS:
            self._far.write(at_ms, rows, values)
            self._far_ms = at_ms

    def series(self, name: str) -> Iterable[tuple[Labels, int]]:
        """The series of this name: labels, and the row of its samples."""
        return self._rows.get(name, {}).items()

    def window(self, row: int, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        """The samples of a row from start to end, both included; one a minute if it begins more than an hour ago."""
        return (self._near if self._near.reaches(start_ms) else self._far).window(row, start_ms, end_ms)

    def _row(self, known: dict[Labels, int], labels: Labels) -> int | None:
        row = known.get(labels)
        if row is None and self._count < self.most:
            row = known[labels] = self._count
            self._count += 1
        self.dropped += row is None
        return row
