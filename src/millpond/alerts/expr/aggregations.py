"""Makes few series of many: sums, means, extremes and quantiles over groups of equal labels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from millpond.alerts.expr.labels import Labels, Sample, Vector, only, without
from millpond.alerts.expr.tree import Aggregation
from millpond.alerts.expr.windows import deviation, quantile


def largest(values: list[float]) -> float:
    """The largest, NaN only if all are."""
    return float(np.fmax.reduce(values))


def smallest(values: list[float]) -> float:
    """The smallest, NaN only if all are."""
    return float(np.fmin.reduce(values))


REDUCE: dict[str, Callable[[list[float]], float]] = {
    "sum": lambda values: float(sum(values)),
    "avg": lambda values: float(sum(values)) / len(values),
    "min": smallest,
    "max": largest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    # One value deviates by nothing, even if it is infinite or NaN.
    "stddev": lambda values: deviation(np.array(values)) if len(values) > 1 else 0.0,
}


def aggregate(node: Aggregation, vector: Vector, parameter: float) -> Vector:
    """One sample for each group; `topk` and `bottomk` give some of each group's own."""
    groups: defaultdict[Labels, Vector] = defaultdict(list)
    for sample in vector:
        groups[_group_of(sample.labels, node)].append(sample)
    if node.op in ("topk", "bottomk"):
        return [sample for group in groups.values() for sample in _extremes(node.op, group, parameter)]
    return [Sample(labels, _reduced(node.op, group, parameter)) for labels, group in groups.items()]


def _group_of(labels: Labels, node: Aggregation) -> Labels:
    return only(labels, node.labels) if node.mode == "by" else without(labels, node.labels)


def _reduced(op: str, group: Vector, parameter: float) -> float:
    values = [value for _, value in group]
    return quantile(parameter, np.array(values)) if op == "quantile" else REDUCE[op](values)


def _extremes(op: str, group: Vector, parameter: float) -> Vector:
    """The first so many in order; NaN comes last either way."""
    count = 0 if math.isnan(parameter) else int(max(0.0, min(parameter, len(group))))
    sign = -1 if op == "topk" else 1
    return sorted(group, key=lambda sample: (math.isnan(sample.value), sign * sample.value))[:count]
