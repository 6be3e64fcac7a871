"""What an optimizer remembers of the load: one row an observation, and coarser ones of the days before.

Plain numbers of a fixed size: 2 hours of looks 15 s apart, and 14 days in steps of 5 minutes. The analysis reads them
as arrays, which are made when it asks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millpond.optimizer.observation import Observation
from millpond.slo import Slo

FINE, COARSE = 480, 4_032  # rows kept of each
COARSE_S = 300.0
REFUSED = ("overloaded", "queue_full")


class Row(NamedTuple):
    """What one observation added; sums are over the time since the one before."""

    at: float
    elapsed_s: float
    arrivals: float
    ended: float
    failed: float
    in_system_s: float  # calls at work or waiting, times seconds
    busy: float
    waiting: float
    ready: float
    starting: float
    service_sum_s: float  # of those that ended
    started: float  # calls whose wait is known, and those that were refused because others wait: they count as missed
    met: float  # those of them that waited no longer than the objective allows
    wait_sum_s: float
    worker_bytes: float
    worker_age_s: float
    start_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Rows as arrays of one length (n,), by the names of `Row`; the oldest first."""

    table: NDArray[np.float64]  # (n, fields)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        column: NDArray[np.float64] = self.table[:, Row._fields.index(name)]
        return column

    def rate(self, name: str) -> NDArray[np.float64]:
        """A sum per second; of `in_system_s` the mean number of calls."""
        return self[name] / np.maximum(self["elapsed_s"], 1e-9)

    def since(self, at: float) -> Columns:
        """The rows whose time began then or later."""
        return Columns(self.table[self["at"] - self["elapsed_s"] >= at - 1e-9])


class LoadHistory:
    """The rows of one pool. `last` is the newest observation."""

    def __init__(self, slo: Slo) -> None:
        self._slo = slo
        self._fine: deque[Row] = deque(maxlen=FINE)
        self._coarse: deque[Row] = deque(maxlen=COARSE)
        self._gathering: list[Row] = []
        self._columns: Columns | None = None  # of the fine rows, until there is another
        self.last: Observation | None = None
        self.most_workers = 0.0  # that calls kept at work or waited for at once, of late: it decays within hours
        self.waits: dict[str, tuple[float, float]] = {}  # operation -> calls, and their mean wait, of late

    def note(self, seen: Observation) -> None:
        """One more observation."""
        elapsed_s = max(seen.now - self.last.now, 0.0) if self.last is not None else 0.0
        self.last = seen
        if elapsed_s <= 0.0:
            return
        row = self._row(seen, elapsed_s)
        self._fine.append(row)
        self._columns = None
        self._gathering.append(row)
        if sum(one.elapsed_s for one in self._gathering) >= COARSE_S:
            self._coarse.append(merged(self._gathering))
            self._gathering.clear()
        self.most_workers = max(self.most_workers * 0.5 ** (elapsed_s / 14_400.0), row.in_system_s / elapsed_s)

    def _row(self, seen: Observation, elapsed_s: float) -> Row:
        started = met = wait_sum_s = 0.0
        if seen.waits:
            allowed_s = self._slo.wait_s(seen.service_s) + 1e-9
            for operation, waits in seen.waits.items():
                started += len(waits)
                met += int(np.count_nonzero(waits <= allowed_s))
                wait_sum_s += float(waits.sum())
                self._note_waits(operation, waits)
        if seen.errors:
            started += sum(seen.errors.get(code, 0) for code in REFUSED)
        return Row(
            seen.now,
            elapsed_s,
            len(seen.arrivals),
            len(seen.ended),
            sum(seen.errors.values()) if seen.errors else 0,
            seen.in_system_s,
            seen.busy,
            seen.waiting,
            seen.ready,
            seen.starting,
            float(seen.ended[:, 1].sum()) if len(seen.ended) else 0.0,
            started,
            met,
            wait_sum_s,
            seen.worker_bytes,
            seen.worker_age_s,
            seen.start_s,
        )

    def _note_waits(self, operation: str, waits: NDArray[np.float64]) -> None:
        """The mean of the last thousand calls or so, old ones fading."""
        if not len(waits):
            return
        calls, mean_s = self.waits.get(operation, (0.0, 0.0))
        calls = min(calls, 1000.0)
        total = calls + len(waits)
        self.waits[operation] = total, (calls * mean_s + float(waits.sum())) / total

    def fine(self) -> Columns:
        """Each look of the last two hours or so."""
        if self._columns is None:
            self._columns = _columns(self._fine)
        return self._columns

    def coarse(self) -> Columns:
        """The last two weeks in steps of five minutes."""
        return _columns(self._coarse)

    def since(self, at: float) -> list[Row]:
        """The rows of looks after `at`, the newest first: few are read for a short span."""
        found: list[Row] = []
        for row in reversed(self._fine):
            if row.at - row.elapsed_s < at - 1e-9:
                break
            found.append(row)
        return found


def _columns(rows: deque[Row]) -> Columns:
    return Columns(np.array(rows, dtype=np.float64).reshape(len(rows), len(Row._fields)))


def merged(rows: list[Row]) -> Row:
    """Several rows as one: sums of what is summed, means over time of the rest."""
    table = np.array(rows, dtype=np.float64)
    means = np.average(table, axis=0, weights=table[:, 1])
    sums = table.sum(axis=0)
    values = [sums[i] if name in SUMMED else means[i] for i, name in enumerate(Row._fields)]
    return Row(rows[-1].at, *map(float, values[1:]))


SUMMED = frozenset(
    {"elapsed_s", "arrivals", "ended", "failed", "in_system_s", "service_sum_s", "started", "met", "wait_sum_s"}
)
