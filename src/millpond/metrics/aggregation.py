"""What a pool's readings add up to: totals, windows, operations, history and health.

A reading's samples become histograms (which touches nothing shared, so that a large reading can be sorted on another
thread), these go into a slot of history, and windows are sums of slots. Not thread-safe and without a clock: the
collector holds its lock around every call and passes the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from math import inf
from types import MappingProxyType

import numpy as np

from millpond.metrics import health
from millpond.metrics.columns import COUNTERS, counters_of, family, gauges_of
from millpond.metrics.derived import Interval, counted, derive
from millpond.metrics.histogram import EMPTY, Histogram, histograms_of, merged
from millpond.metrics.history import History, Slot, pack_all
from millpond.metrics.operations import Histograms, Operations, added
from millpond.metrics.resources import Seen
from millpond.metrics.snapshot import (
    KINDS,
    OPERATION_KINDS,
    WINDOWS,
    Alerting,
    Health,
    ProcessFigures,
    Resources,
    Snapshot,
    Watch,
    Window,
    WorkerFigures,
)
from millpond.metrics.source import Reading, WorkerReading, no_samples
from millpond.metrics.trend import NO_TREND
from millpond.metrics.window import SLACK, RollingWindow

NOW_S = 10  # what the states of health look at
MINUTE_S, FIVE_S, QUARTER_S = WINDOWS
NOTHING_YET = Health(100.0, health.HEALTHY, "", ())
UNSEEN = ProcessFigures(0)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a reading was taken (monotonic and Unix time), and what the collector saw beside it."""

    at: float
    wall: float
    resources: Resources
    notes: tuple[str, ...]


def sort_samples(reading: Reading) -> list[Histograms]:
    """The histograms of each of a reading's operations."""
    kinds = len(OPERATION_KINDS)
    found = histograms_of([(samples, one.stands_for) for one in reading.operations for samples in one.samples])
    return [dict(zip(OPERATION_KINDS, found[at : at + kinds], strict=True)) for at in range(0, len(found), kinds)]


class Aggregation:
    """Of one pool in its run `boot`, opened at `at` (monotonic seconds), which is `wall` in Unix time."""

    def __init__(self, boot: str, at: float, wall: float = 0.0) -> None:
        self.boot = boot
        self.opened_at = self.at = at
        self.wall = wall
        self.reading = Reading(at)
        self.history = History()
        self.operations = Operations()
        self.health = NOTHING_YET
        self._totals: Histograms = dict.fromkeys(KINDS, EMPTY)
        self._windows = {seconds: RollingWindow(seconds, KINDS, len(COUNTERS)) for seconds in WINDOWS}
        self._counters = counters_of(self.reading)
        self._dropped: dict[str, int] = {}  # operation -> samples dropped, as of its last reading

    @property
    def dropped(self) -> int:
        """Samples that found no room with the pool."""
        return sum(self._dropped.values())

    @property
    def nbytes(self) -> int:
        """About how much memory all of it takes."""
        sums = sum(one.counts.nbytes for one in self._totals.values())
        parts = list(self._windows[QUARTER_S].parts)
        beyond = parts[: max(0, len(parts) - len(self.history.read(-inf, 1)))]  # that the window alone still has
        windows = sum(one.nbytes for one in self._windows.values()) + sum(part.nbytes for part in beyond)
        return self.history.nbytes + self.operations.nbytes + sums + windows

    def fold(self, reading: Reading, samples: Sequence[Histograms], moment: Moment) -> list[tuple[int, Slot]]:
        """Take in what happened since the last reading, its samples sorted.

        Gives back the longer slots that ended, with their steps.
        """
        before, self.at, self.wall = self.at, moment.at, moment.wall
        self.reading = replace(reading, operations=(), start_seconds=no_samples())
        for one, new in zip(reading.operations, samples, strict=True):
            self.operations.note(one, new)
            if one.dropped:
                self._dropped[one.name] = one.dropped
        self.operations.end_steps(before, self.at)
        histograms = {kind: merged(one[kind] for one in samples) for kind in OPERATION_KINDS}
        histograms["start"] = Histogram.of(reading.start_seconds)
        slot = self._slot(histograms, moment, max(0.0, self.at - before))
        self._totals = added(self._totals, histograms)
        for window in self._windows.values():
            window.push(slot, histograms)
        ended = self.history.push(slot, self.operations.pack_minute)
        self.health = health.judge(self._evidence(moment.notes))
        return ended

    def snapshot(self, pool: str, seen: Seen, watch: Watch, alerting: Alerting | None) -> Snapshot:
        """All of it, frozen."""
        return Snapshot(
            pool=pool,
            boot=self.boot,
            at=self.at,
            wall=self.wall,
            uptime_s=self.at - self.opened_at,
            reading=self.reading,
            totals=self._totals,
            windows=MappingProxyType({seconds: _frozen(window) for seconds, window in self._windows.items()}),
            operations=self.operations.figures(),
            other=self.operations.rest(self.reading.endings, self.reading.codes),
            workers=tuple(_worker(one, seen) for one in sorted(self.reading.workers, key=lambda one: one.id)),
            resources=seen.resources,
            health=self.health,
            watch=watch,
            alerting=alerting,
        )

    def _slot(self, histograms: Histograms, moment: Moment, seconds: float) -> Slot:
        counters = counters_of(self.reading)
        grown = np.maximum(counters - self._counters, 0.0)
        self._counters = counters
        seen, waits = moment.resources, histograms["wait"]
        own = (self.health.score, seen.parent.cpu, seen.parent.rss, seen.workers_cpu, seen.workers_rss)
        gauges = gauges_of(self.reading, own)
        packed = pack_all(histograms, KINDS)
        counted = np.append(grown, (waits.count, waits.total))
        return Slot(moment.at, seconds, counted, packed, gauges, gauges, self.boot, moment.wall)

    def _evidence(self, notes: tuple[str, ...]) -> health.Evidence:
        minute, five, quarter = (self._windows[seconds] for seconds in WINDOWS)
        return health.Evidence(
            reading=self.reading,
            now=counted(self.history.read(self.at - NOW_S + SLACK, 1)),
            minute=_interval(minute, "latency"),
            five=_interval(five),
            quarter=_interval(quarter, "latency"),
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


def _interval(window: RollingWindow, *kinds: str) -> Interval:
    """A window with its distributions of some kinds."""
    totals = np.round(window.counters, 6)  # seconds that were added and subtracted leave rounding errors behind
    return Interval(window.covered_s, totals, {kind: window.histograms[kind].describe() for kind in kinds})


def _frozen(window: RollingWindow) -> Window:
    span = _interval(window, *KINDS)
    return Window(
        int(window.seconds),
        window.covered_s,
        family(span.counters, "endings"),
        family(span.counters, "codes"),
        family(span.counters, "deaths"),
        MappingProxyType(span.distributions),
        derive(span),
    )


def _worker(worker: WorkerReading, seen: Seen) -> WorkerFigures:
    """A worker as the pool and the system see it."""
    process, trend = seen.processes.get(worker.id, UNSEEN), seen.trends.get(worker.id, NO_TREND)
    return WorkerFigures(*astuple(worker), process=process, trend=trend)
