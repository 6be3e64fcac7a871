"""Figures that alert rules compare, and their evaluation on samples: what holds now, and for which labels.

Each figure is one that PromQL has too, so that a rule means the same here and in a Prometheus (`promql` writes it out).
Asks its samples for series, never for the time. Comes after `samples`, before the states of alerts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from millpond.alerts.samples import SampleStore, Times, Values
from millpond.metrics.readers import Labels

Figures = dict[Labels, float]  # by the labels that are kept
How = Literal["last", "mean", "growth", "rate", "change", "predicted", "quantile"]

LOOKBACK_MS = 5 * 60 * 1000  # how old the value of "some time ago" may be; Prometheus's own


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of one metric, of the `over_s` seconds until `ago_s` seconds ago, summed over the labels left out.

    `name` is that of the series, `labels` all that the metric has but `pool`, `where` the values asked for. `how`:

    - `last` and `mean` of a gauge, its `change` since `over_s` ago, and where a line through it will be in `ahead_s`;
    - `growth` of a counter and its `rate`, which is growth a second;
    - `quantile` number `q` of the observations that a histogram's buckets gained.
    """

    name: str
    labels: tuple[str, ...]
    how: How
    where: Mapping[str, tuple[str, ...]]
    over_s: float = 0.0
    ago_s: float = 0.0
    ahead_s: float = 0.0
    q: float = 0.0

    def left_out(self, by: Collection[str]) -> list[str]:
        """The labels that are added up when these are kept."""
        return [label for label in self.labels if label not in by]

    def figures(self, source: SampleStore, ms: int, by: Collection[str]) -> Figures:
        """The figure at a moment, for each value of the labels in `by`."""
        left_out = self.left_out(by)
        buckets: defaultdict[Labels, list[tuple[float, float]]] = defaultdict(list)
        sums: Figures = {}
        for labels, row in source.series(self.name):
            known = dict(labels)
            if not all(known.get(label, "") in wanted for label, wanted in self.where.items()):
                continue
            value = self._value(source, row, ms)
            if value is None:
                continue
            bound = known.pop("le", "") if self.how == "quantile" else ""
            key = tuple(sorted((label, text) for label, text in known.items() if label not in left_out))
            if bound:
                buckets[key].append((float(bound), value))
            else:
                sums[key] = sums.get(key, 0.0) + value
        return sums | {key: quantile(self.q, sorted(found)) for key, found in buckets.items()}

    def _value(self, source: SampleStore, row: int, ms: int) -> float | None:
        """The figure of one series, or nothing if it has no samples then."""
        end = ms - round(self.ago_s * 1000)
        start = end - round(self.over_s * 1000)
        if self.how in ("last", "change"):
            now = _newest(source, row, end, LOOKBACK_MS if self.ago_s else 0)
            before = 0.0 if self.how == "last" else _newest(source, row, start, LOOKBACK_MS)
            return None if now is None or before is None else now - before
        times, values = source.window(row, start, end)
        if not len(values):
            return None
        match self.how:
            case "mean":
                return float(values.mean())
            case "rate":
                return float(values[-1] - values[0]) / self.over_s
            case "predicted":
                return _predicted(times, values, ms + self.ahead_s * 1000)
            case _:
                return float(values[-1] - values[0])


def _newest(source: SampleStore, row: int, ms: int, lookback_ms: int) -> float | None:
    values = source.window(row, ms - lookback_ms, ms)[1]
    return float(values[-1]) if len(values) else None


def _predicted(times: Times, values: Values, at_ms: float) -> float | None:
    """Where the least-squares line through the samples will be; nothing for fewer than two."""
    if len(values) < 2:
        return None
    x, y = times - times.mean(), values - values.mean()
    slope = float((x * y).sum() / (x * x).sum())
    return float(values.mean() + slope * (at_ms - times.mean()))


def quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """The quantile by linear interpolation within its bucket, as `histogram_quantile` of Prometheus has it.

    `buckets` are upper bounds in rising order, with the observations up to each. A quantile beyond the last finite
    bound is that bound; NaN if there are no observations.
    """
    rank = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank > 0:
            return lower if bound == math.inf else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return math.nan


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left / per` against `factor * right / right_per`, at least `floor`, or against `factor` where there is no right.

    Holds for the labels for which it is true; NaN is neither above nor below anything.
    """

    left: Measure
    op: Literal[">", "<", "absent"]
    factor: float = 1.0
    right: Measure | None = None
    per: Measure | None = None
    right_per: Measure | None = None
    floor: float | None = None

    @property
    def measures(self) -> list[Measure]:
        """All that it reads."""
        return [one for one in (self.left, self.per, self.right, self.right_per) if one is not None]

    def holding(self, source: SampleStore, ms: int, by: Collection[str]) -> Figures:
        """For which labels it holds, and what its left side is there."""
        found = _ratio(self.left, self.per, source, ms, by)
        if self.op == "absent":
            return {} if found else {tuple((k, v[0]) for k, v in self.left.where.items() if len(v) == 1): 1.0}
        bounds = None if self.right is None else _ratio(self.right, self.right_per, source, ms, by)
        return {key: value for key, value in found.items() if self._holds(value, self._bound(key, bounds))}

    def _bound(self, key: Labels, bounds: Figures | None) -> float:
        bound = self.factor if bounds is None else self.factor * bounds.get(key, math.nan)
        return bound if self.floor is None or bound > self.floor or math.isnan(bound) else self.floor

    def _holds(self, value: float, bound: float) -> bool:
        return value > bound if self.op == ">" else value < bound


def _ratio(one: Measure, other: Measure | None, source: SampleStore, ms: int, by: Collection[str]) -> Figures:
    found = one.figures(source, ms, by)
    if other is None:
        return found
    divisors = other.figures(source, ms, by)
    return {key: value / (divisors.get(key) or math.nan) for key, value in found.items()}
