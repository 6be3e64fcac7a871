"""Functions over the samples of one series in a range of time: growth, slope, and what `*_over_time` sums up.

A counter that went down began anew at zero. Times are integer milliseconds; the range includes both its ends, as in
Prometheus 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]
NEAR_AN_END = 1.1  # of the mean distance between samples: a gap up to that is no gap, and growth reaches to the end


@dataclass(frozen=True, slots=True)
class Span:
    """The samples of one series from `start_ms` to `end_ms` (at least one), seen at `now_ms`."""

    times: Times
    values: Values
    start_ms: int
    end_ms: int
    now_ms: int

    @property
    def length(self) -> int:
        return len(self.values)


def extrapolated(span: Span, is_counter: bool, per_second: bool) -> float | None:
    """The change over the span, stretched to its ends where the first and last samples are near enough to them.

    Otherwise by half the mean distance between samples; a counter is never stretched below zero. Source: the
    definition of `rate` and `delta` in Prometheus 2.
    """
    if span.length < 2:
        return None
    first, change = float(span.values[0]), _change(span.values, is_counter)
    sampled = float(span.times[-1] - span.times[0]) / 1000
    step = sampled / (span.length - 1)
    before = float(span.times[0] - span.start_ms) / 1000
    after = float(span.end_ms - span.times[-1]) / 1000
    if is_counter and change > 0 and first >= 0:
        before = min(before, sampled * (first / change))  # where a line through the samples would have been zero
    reached = sampled + sum(gap if gap < step * NEAR_AN_END else step / 2 for gap in (before, after))
    whole = change * (reached / sampled)
    return whole / ((span.end_ms - span.start_ms) / 1000) if per_second else whole


def _change(values: Values, is_counter: bool) -> float:
    change = float(values[-1] - values[0])
    if is_counter:
        change += float(values[:-1][values[1:] < values[:-1]].sum())
    return change


def line(span: Span, origin_ms: int) -> tuple[float, float] | None:
    """Slope per second and height at `origin_ms` of the least-squares line; `None` for fewer than two samples."""
    if span.length < 2:
        return None
    values = span.values
    if (values == values[0]).all():
        return (np.nan, np.nan) if np.isinf(values[0]) else (0.0, float(values[0]))
    seconds = (span.times - origin_ms) / 1000.0
    x, y = seconds - seconds.mean(), values - values.mean()
    slope = float((x * y).sum() / (x * x).sum())
    return slope, float(values.mean() - slope * seconds.mean())


def deriv(span: Span) -> float | None:
    found = line(span, int(span.times[0]))
    return None if found is None else found[0]


def predict_linear(span: Span, seconds: float) -> float | None:
    found = line(span, span.now_ms)
    return None if found is None else found[0] * seconds + found[1]


def quantile(q: float, values: Values) -> float:
    """The quantile by linear interpolation between ranks; below 0 and above 1 it is infinite. NaN ranks lowest."""
    if len(values) == 0 or np.isnan(q):
        return float("nan")
    if q < 0 or q > 1:
        return float("-inf") if q < 0 else float("inf")
    ranked = np.sort(values)
    ranked = np.roll(ranked, int(np.isnan(ranked).sum()))
    rank = q * (len(ranked) - 1)
    low = int(rank)
    weight = rank - low
    return float(ranked[low] * (1 - weight) + ranked[min(low + 1, len(ranked) - 1)] * weight)


def deviation(values: Values) -> float:
    """Population standard deviation; exactly 0 for equal values."""
    return 0.0 if (values == values[0]).all() and np.isfinite(values[0]) else float(values.std())


def changes(span: Span) -> float:
    before, after = span.values[:-1], span.values[1:]
    return float(((before != after) & ~(np.isnan(before) & np.isnan(after))).sum())


SPAN_FUNCTIONS: dict[str, Callable[..., Any]] = {  # (span, *scalars) -> value, or None for no result
    "rate": lambda span: extrapolated(span, is_counter=True, per_second=True),
    "increase": lambda span: extrapolated(span, is_counter=True, per_second=False),
    "delta": lambda span: extrapolated(span, is_counter=False, per_second=False),
    "deriv": deriv,
    "predict_linear": predict_linear,
    "avg_over_time": lambda span: float(span.values.mean()),
    "min_over_time": lambda span: float(np.fmin.reduce(span.values)),
    "max_over_time": lambda span: float(np.fmax.reduce(span.values)),
    "sum_over_time": lambda span: float(span.values.sum()),
    "count_over_time": lambda span: float(span.length),
    "stddev_over_time": lambda span: deviation(span.values),
    "quantile_over_time": lambda span, q: quantile(q, span.values),
    "last_over_time": lambda span: float(span.values[-1]),
    "changes": changes,
    "resets": lambda span: float((span.values[1:] < span.values[:-1]).sum()),
}
