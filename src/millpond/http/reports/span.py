"""What is known of a pool in a span of time: its steps of history as columns, decisions, alerts, workers that went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from millpond.metrics.columns import COUNTER_AT, GAUGE_AT
from millpond.metrics.derived import Interval, counted
from millpond.metrics.histogram import Histogram, merged
from millpond.metrics.history import RESOLUTIONS, Slot, resolution_for
from millpond.report import Series

if TYPE_CHECKING:
    from millpond.facts import GoneWorkerFacts
    from millpond.metrics.collector import MetricsCollector
    from millpond.pool import Pool

Floats = NDArray[np.float64]

REACH_S = 86_400.0  # how long ago a span may end
MOST_DECISIONS = 1000
MOST_ALERTS = 1000
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """A pool from `start` to `end` (Unix time), told `now` (the same clock). `slots` are of `resolution` seconds.

    `decisions` of the optimizer and `changes` of alerts are the oldest first, workers that are `gone` the newest.
    """

    pool: str
    start: float
    end: float
    now: float
    decisions: tuple[Any, ...] = ()
    changes: tuple[Any, ...] = ()
    gone: tuple[GoneWorkerFacts, ...] = ()
    slots: tuple[Slot, ...] = ()
    resolution: int = RESOLUTIONS[0]

    def holds(self, wall: float) -> bool:
        """Whether something happened in it."""
        return self.start < wall <= self.end

    def told(self, wall: float) -> str:
        """A moment of it in UTC, with the date where it has several."""
        at = datetime.fromtimestamp(wall, UTC)
        is_one_day = self.start // 86_400 == self.end // 86_400
        return f"{at:%H:%M:%S}" if is_one_day else f"{at:%b %d %H:%M:%S}"


def look(pool: Pool, name: str, seconds: float, end: float, now: float) -> Span:
    """What the pool, served by that name, remembers beside its history; on its loop."""
    span = Span(name, end - seconds, end, now)
    settings = pool.settings
    decisions = pool.optimizer.journal(MOST_DECISIONS) if settings.metrics and settings.optimizer else ()
    changes = pool.alerts.history(MOST_ALERTS) if settings.metrics and settings.alerts else ()
    return replace(
        span,
        decisions=tuple(one for one in decisions if span.holds(one.wall)),
        changes=tuple(one for one in reversed(changes) if span.holds(changed_at(one))),
        gone=tuple(one for one in pool.gone_workers() if span.holds(one.wall)),
    )


def with_history(span: Span, metrics: MetricsCollector) -> Span:
    """The span with its steps, which may be in a file: not on a busy loop."""
    reach = span.now - span.start
    if span.now - span.end > REACH_S:
        return span
    steps = {one: _inside(span, metrics.history(reach, one)) for one in RESOLUTIONS if one >= resolution_for(reach)}
    chosen = min(steps)
    for longer, slots in steps.items():
        # They are taken where they go further back: the shortest of an earlier run of the pool are not kept.
        if _begin(slots) < _begin(steps[chosen]) - longer:
            chosen = longer
    slots = steps[chosen]
    for shorter in reversed([one for one in RESOLUTIONS if one < chosen]):  # of what is not a longer step yet
        last = slots[-1].wall if slots else span.start
        slots += [one for one in _inside(span, metrics.history(span.now - last, shorter)) if one.wall > last + 0.5]
    return replace(span, slots=tuple(slots), resolution=chosen)


def _inside(span: Span, slots: Iterable[Slot]) -> list[Slot]:
    """The steps most of which lie in the span."""
    return [one for one in slots if span.holds(one.wall - one.seconds / 2)]


def _begin(slots: Sequence[Slot]) -> float:
    return slots[0].wall - slots[0].seconds if slots else float("inf")


def changed_at(alert: Any) -> float:
    """When an alert began to fire, or was resolved."""
    return float(alert.resolved_at if alert.state == "resolved" else alert.fired_at)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of a span, or the longer step that it is part of, from the Unix time `wall` on."""

    wall: float
    counted: Interval
    wait: Histogram
    latency: Histogram
    most_queued: float


class Steps:
    """The steps of a span as columns, in seconds since its start."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.slots = span.slots
        self.histograms = [slot.histograms for slot in span.slots]
        self.seconds = np.array([slot.seconds for slot in span.slots])
        self._ends = np.array([slot.wall for slot in span.slots]) - span.start
        self._starts = self._ends - self.seconds
        self._counters = np.reshape([slot.counters for slot in span.slots], (-1, len(COUNTER_AT)))
        self._gauges = np.reshape([slot.gauges for slot in span.slots], (-1, len(GAUGE_AT)))
        self._peaks = np.reshape([slot.peaks for slot in span.slots], (-1, len(GAUGE_AT)))
        # Where the pool was not there, or nobody counted: the next step begins late, or is of another run.
        self._gaps = np.flatnonzero(self._starts[1:] - self._ends[:-1] > 0.5 * span.resolution + 1.0) + 1

    def counter(self, name: str) -> Floats:
        """How much a counter grew in each step."""
        found: Floats = self._counters[:, COUNTER_AT[name]]
        return found

    def gauge(self, name: str) -> Floats:
        """A gauge's mean in each."""
        found: Floats = self._gauges[:, GAUGE_AT[name]]
        return found

    def peak(self, name: str) -> Floats:
        """A gauge's highest value in each."""
        found: Floats = self._peaks[:, GAUGE_AT[name]]
        return found

    def percentiles(self, kind: str, shares: Sequence[float]) -> list[Floats]:
        """Of a kind of histogram, for each share its values; NaN where nothing was measured."""
        rows = np.reshape([one[kind].percentiles(shares) for one in self.histograms], (-1, len(shares)))
        return list(rows.T)

    def series(self, name: str, values: Floats, shape: Literal["line", "step"] = "line") -> Series:
        """Values of the steps over time, with gaps where there are no steps."""
        times = self._starts if shape == "step" else (self._starts + self._ends) / 2
        times = np.insert(times, self._gaps, self._ends[self._gaps - 1])
        return Series(name=name, times=times, values=np.insert(values, self._gaps, np.nan), shape=shape)

    def total(self) -> Interval:
        """All that was counted."""
        return counted(self.slots)

    def overall(self, kind: str) -> Histogram:
        """All that was measured of a kind."""
        return merged(one[kind] for one in self.histograms)

    def mean(self, values: Floats) -> float:
        """The mean of a gauge's values, by how long each step was."""
        return float(np.average(values, weights=self.seconds)) if self.seconds.sum() > 0 else float("nan")

    def seconds_in(self, holds: NDArray[np.bool_]) -> float:
        """How long something held."""
        return float(self.seconds[holds].sum())

    def minutes(self) -> list[Minute]:
        """The span minute by minute; those without a step are left out."""
        places: dict[int, list[int]] = defaultdict(list)
        for at, slot in enumerate(self.slots):
            places[int((slot.wall - slot.seconds / 2) // MINUTE_S)].append(at)
        return [self._minute(minute * MINUTE_S, steps) for minute, steps in places.items()]

    def _minute(self, wall: float, steps: Iterable[int]) -> Minute:
        at = list(steps)
        found = [self.histograms[one] for one in at]
        wait, latency = (merged(one[kind] for one in found) for kind in ("wait", "latency"))
        return Minute(
            wall, counted([self.slots[one] for one in at]), wait, latency, float(self.peak("queued")[at].max())
        )
