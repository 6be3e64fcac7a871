"""What is known of one pool: totals, windows, operations and history, and how a fold changes them.

Not thread-safe and without a clock: the collector holds its lock around every call and tells the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from types import MappingProxyType

import numpy as np

from millpond.metrics import health, slot
from millpond.metrics.accumulator import Accumulator
from millpond.metrics.columns import COUNTERS, Row, counters_of, family, gauges_of
from millpond.metrics.derived import Span, derive
from millpond.metrics.digest import Digest
from millpond.metrics.histogram import Histogram
from millpond.metrics.history import History
from millpond.metrics.operations import STEP_S, OperationBook
from millpond.metrics.rolling import Rolling
from millpond.metrics.slot import Slot
from millpond.metrics.snapshot import KINDS, WINDOWS, Distribution, Health, Window
from millpond.metrics.source import Reading

NOW_S = 10  # the window that the states of health look at
MINUTE_S, FIVE_S, QUARTER_S = WINDOWS
NOTHING_YET = Health(100.0, health.HEALTHY, "", ())


@dataclass(frozen=True, slots=True)
class Moment:
    """When a reading was taken (monotonic and Unix time), and what the collector saw beside it."""

    at: float
    wall: float
    cpu: float = 0.0
    rss: int = 0
    workers_cpu: float = 0.0
    workers_rss: int = 0
    notes: tuple[str, ...] = ()


class Ledger:
    """The books of one pool in its run `boot`, opened at `at` (monotonic seconds)."""

    def __init__(self, boot: str, at: float) -> None:
        self.boot = boot
        self.opened_at = self.at = at
        self.wall = 0.0
        self.reading = Reading(at)
        self.history = History()
        self.operations = OperationBook()
        self.health = NOTHING_YET
        self.dropped = 0  # samples that found no room with the pool
        self._totals = {kind: Accumulator() for kind in KINDS}
        self._windows = {seconds: Rolling(seconds, KINDS, len(COUNTERS)) for seconds in (NOW_S, *WINDOWS)}
        self._counters: Row = np.zeros(len(COUNTERS))  # as of the last fold
        self._dropped: dict[str, int] = {}  # operation -> samples dropped, as of its last reading

    @property
    def nbytes(self) -> int:
        """About how much memory the books take."""
        sums = sum(one.nbytes for one in self._totals.values()) + sum(one.nbytes for one in self._windows.values())
        beyond = sum(part.nbytes for part in self._beyond_history())
        return self.history.nbytes + self.operations.nbytes + sums + beyond

    def fold(self, new: Digest, moment: Moment) -> list[tuple[int, Slot]]:
        """Take in what happened since the last fold; gives back the longer slots that ended, with their steps."""
        before, self.at, self.wall, self.reading = self.at, moment.at, moment.wall, new.reading
        for reading, taken in new.operations:
            self.operations.note(reading, taken)
        self._count_dropped(new)
        if floor(self.at / STEP_S) != floor(before / STEP_S):
            self.operations.end_step(self.at)
        made = self._slot(new, moment, max(0.0, self.at - before))
        for kind, histogram in new.histograms.items():
            self._totals[kind].add(histogram)
        for window in self._windows.values():
            window.push(made, new.histograms)
        ended = self.history.push(made, self.operations.pack_since)
        self.health = health.judge(self._evidence(moment.notes))
        return ended

    def totals(self) -> Mapping[str, Histogram]:
        """The pool's histograms since it opened."""
        return MappingProxyType({kind: one.freeze() for kind, one in self._totals.items()})

    def windows(self) -> Mapping[int, Window]:
        """The windows people read."""
        return MappingProxyType({seconds: self._window(self._windows[seconds]) for seconds in WINDOWS})

    def _slot(self, new: Digest, moment: Moment, seconds: float) -> Slot:
        counters = counters_of(new.reading)
        grown = np.maximum(counters - self._counters, 0.0)
        self._counters = counters
        own = (self.health.score, moment.cpu, moment.rss, moment.workers_cpu, moment.workers_rss)
        gauges = gauges_of(new.reading, own)
        packed = slot.pack_all(new.histograms, KINDS)
        return Slot(self.boot, moment.at, moment.wall, seconds, grown, gauges, gauges, packed)

    def _count_dropped(self, new: Digest) -> None:
        for reading, _ in new.operations:
            if reading.dropped:
                self.dropped += reading.dropped - self._dropped.get(reading.name, 0)
                self._dropped[reading.name] = reading.dropped

    def _window(self, window: Rolling) -> Window:
        distributions = {kind: window.describe(kind) for kind in KINDS}
        totals = window.totals
        return Window(
            int(window.seconds),
            window.covered_s,
            family(totals, "endings"),
            family(totals, "codes"),
            family(totals, "deaths"),
            MappingProxyType(distributions),
            derive(_span(window, distributions)),
        )

    def _evidence(self, notes: tuple[str, ...]) -> health.Evidence:
        minute, five, quarter = (self._windows[seconds] for seconds in WINDOWS)
        return health.Evidence(
            reading=self.reading,
            now=_span(self._windows[NOW_S], {}),
            minute=_span(minute, {"latency": minute.describe("latency")}),
            five=_span(five, {}),
            quarter=_span(quarter, {"latency": quarter.describe("latency")}),
            queue_growth=self._queue_growth(),
            notes=notes,
        )

    def _queue_growth(self) -> float:
        """Calls the queue gained within a minute: its mean in the last third less that in the first."""
        slots = self.history.read(self.at - MINUTE_S, 1)
        third = len(slots) // 3
        if not third:
            return 0.0
        first, last = slots[:third], slots[-third:]
        return (sum(one.gauge("queued") for one in last) - sum(one.gauge("queued") for one in first)) / third

    def _beyond_history(self) -> list[Slot]:
        """Slots that only the longest window still has."""
        kept = self.history.eldest_at()
        parts = self._windows[QUARTER_S].parts
        return [part for part in parts if part.at < kept and isinstance(part, Slot)]


def _span(window: Rolling, distributions: Mapping[str, Distribution]) -> Span:
    totals = np.round(window.totals, 6)  # seconds that were added and subtracted leave rounding errors behind
    return Span(window.covered_s, totals, distributions)
