"""Quantiles from the cumulative buckets of a histogram, as `histogram_quantile` estimates them."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise

from millpond.alerts.expr.labels import Labels, Sample, Vector, without

Bucket = tuple[float, float]  # upper bound, observations up to it


def histogram_quantile(q: float, buckets: Vector) -> Vector:
    """One sample for each histogram; series without a readable `le` are left out."""
    groups: defaultdict[Labels, dict[float, float]] = defaultdict(dict)
    for labels, value in buckets:
        try:
            bound = float(dict(labels).get("le", ""))
        except ValueError:
            continue
        group = groups[without(labels, ("le",))]
        group[bound] = group.get(bound, 0.0) + value
    return [Sample(labels, bucket_quantile(q, sorted(group.items()))) for labels, group in groups.items()]


def bucket_quantile(q: float, buckets: list[Bucket]) -> float:
    """The quantile by linear interpolation within its bucket; `buckets` in the order of their bounds.

    A quantile beyond the last finite bound is that bound; below the first it counts from 0 if that is positive.
    """
    if math.isnan(q) or not 0 <= q <= 1:
        return math.nan if math.isnan(q) else math.copysign(math.inf, q)
    if len(buckets) < 2 or buckets[-1][0] != math.inf:
        return math.nan
    buckets = rising(buckets)
    total = buckets[-1][1]
    if total == 0 or math.isnan(total):
        return math.nan
    return _within(q * total, buckets)


def _within(rank: float, buckets: list[Bucket]) -> float:
    index = next((i for i, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    upper, count = buckets[index]
    if index == len(buckets) - 1:
        return buckets[-2][0]
    if index == 0:
        return upper if upper <= 0 else upper * (rank / count if count else math.nan)
    lower, before = buckets[index - 1]
    return lower + (upper - lower) * ((rank - before) / (count - before) if count != before else math.nan)


def rising(buckets: list[Bucket]) -> list[Bucket]:
    """The buckets with counts that never fall: a scrape may have met them in the middle of a change."""
    fixed = buckets[:1]
    for (_, _), (bound, count) in pairwise(buckets):
        fixed.append((bound, max(count, fixed[-1][1])))
    return fixed
