"""From counts in buckets to the figures people read: one way, used for every window, total and slot."""

from __future__ import annotations

from millpond.metrics.histogram import Buckets, Histogram, percentiles
from millpond.metrics.snapshot import Distribution

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)  # as Distribution's fields have them
NOTHING = Distribution()


def describe(low: int, counts: Buckets, zeros: int, total: float) -> Distribution:
    """The figures of counts that begin with bucket `low`."""
    count = int(counts.sum()) + zeros
    if not count:
        return NOTHING
    p50, p90, p95, p99, p999, highest = percentiles(low, counts, zeros, SHARES)
    return Distribution(count, total, total / count, p50, p90, p95, p99, p999, highest)


def of(histogram: Histogram) -> Distribution:
    """The figures of a histogram."""
    return describe(histogram.low, histogram.counts, histogram.zeros, histogram.total)
