"""From a reading's samples to buckets: the part of a fold that costs, and that touches nothing shared.

All samples of one kind are put into buckets together, whatever operation they are of, and then told apart again. Pure
functions, so that a large reading can be digested on another thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from millpond.metrics.accumulator import Batch
from millpond.metrics.histogram import Histogram, Values, buckets_of, sane
from millpond.metrics.operations import Taken
from millpond.metrics.source import OperationReading, Reading, no_samples

FIELDS = {  # kind of histogram -> the field of an OperationReading its samples are in
    "wait": "waits",
    "service": "services",
    "latency": "latencies",
    "request_bytes": "request_bytes",
    "answer_bytes": "answer_bytes",
}


@dataclass(frozen=True, slots=True)
class Digest:
    """A reading without its samples, the pool's histograms of what was new, and each operation's new buckets."""

    reading: Reading
    histograms: Mapping[str, Histogram]
    operations: tuple[tuple[OperationReading, Taken], ...]


def samples_in(reading: Reading) -> int:
    """How many samples a reading brings."""
    return sum(len(getattr(one, field)) for one in reading.operations for field in FIELDS.values())


def without_samples(reading: Reading) -> Reading:
    """A reading with its gauges and counters only."""
    return replace(reading, operations=(), start_seconds=no_samples())


def digest(reading: Reading) -> Digest:
    """Put everything a reading brings into buckets."""
    taken: list[dict[str, Batch]] = [{} for _ in reading.operations]
    histograms = {"start": Histogram.of(reading.start_seconds)}
    for kind, field in FIELDS.items():
        there = [(one, into) for one, into in zip(reading.operations, taken, strict=True) if len(getattr(one, field))]
        parts = [values_of(getattr(one, field)) for one, _ in there]
        calls = [_calls_of(one, len(part)) for (one, _), part in zip(there, parts, strict=True)]
        histograms[kind] = _share_out(kind, parts, calls, [into for _, into in there])
    operations = tuple((counts_of(one), new) for one, new in zip(reading.operations, taken, strict=True))
    return Digest(without_samples(reading), histograms, operations)


def counts_only(reading: Reading) -> Reading:
    """A reading whose samples are let go; its operations' counters stay."""
    return replace(without_samples(reading), operations=tuple(counts_of(one) for one in reading.operations))


def _calls_of(one: OperationReading, n: int) -> Values:
    """How many calls each of the first `n` samples stands for."""
    calls = np.ones(n)
    calls[: len(one.stands_for)] = values_of(one.stands_for)
    return calls


def _share_out(kind: str, parts: list[Values], calls: list[Values], into: list[dict[str, Batch]]) -> Histogram:
    """Bucket the operations' samples together; each part gets its own, and what comes back is the sum."""
    if not parts:
        return Histogram()
    values = sane(parts[0] if len(parts) == 1 else np.concatenate(parts))  # a worker told them: they may be anything
    times = calls[0] if len(calls) == 1 else np.concatenate(calls)
    buckets = buckets_of(values)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    starts = ends[:-1]
    lows, highs = np.minimum.reduceat(buckets, starts).tolist(), np.maximum.reduceat(buckets, starts).tolist()
    totals = np.add.reduceat(values * times, starts).tolist()
    for mine, (start, end), low, high, total in zip(into, pairwise(ends), lows, highs, totals, strict=True):
        mine[kind] = Batch(buckets[start:end], times[start:end], low, high, total)
    return Histogram.of_buckets(buckets, sum(totals), times)


def values_of(samples: object) -> Values:
    """An array of samples as numpy sees it, not copied."""
    return np.frombuffer(samples, np.float64)  # type: ignore[call-overload, no-any-return]


def counts_of(one: OperationReading) -> OperationReading:
    """An operation's counts only."""
    return OperationReading(one.name, dropped=one.dropped, endings=one.endings, codes=one.codes)
