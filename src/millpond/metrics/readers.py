"""How the samples of an exported metric are read from a snapshot: one small reader a shape.

Each gives suffix, labels and value; which metric has which reader is in `catalogue`. A `place` is where in the snapshot
(or the figures of the alerting) something stands, such as "reading.queued". Labels come from closed sets given here by
the caller, and whatever is not in them shares the label "(other)".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from millpond.metrics.histogram import Histogram
from millpond.metrics.snapshot import OTHER, Alerting, ChannelFigures, OperationFigures, Snapshot
from millpond.metrics.source import ENDINGS

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]  # suffix, labels, value; the series is called by the family's name + suffix
Reader = Callable[[Any], Iterable[Sample]]  # of a snapshot, or of the figures of the alerting

OUTCOMES = ("sent", "failed", "dropped")  # of a notification: fields of `ChannelFigures`
MOST_CHANNELS = 20  # with a label of their own; a program may add any number
LABELLED = 14  # operations with a label of their own; each takes 13 series of the 500 that a page may have
OPERATION_WINDOW = 300  # seconds which the operations' quantiles look back on
QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99"), ("0.999", "p999"))

# Bounds of the classic histograms are powers of two, which are bounds of the exponential ones too, so that no value is
# counted on the wrong side. The steps are narrow where most pools' values lie.
QUICK = tuple(2.0**e for e in (-16, -14, -12, -10, -8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4, 6))  # 15 us to 64 s
STARTS = tuple(2.0**e for e in (-8, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8))  # 4 ms to 256 s
SIZES = tuple(2.0**e for e in (6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30))  # 64 bytes to 1 GiB


def bound_text(bound: float) -> str:
    """A bucket's bound as the label `le` has it: 1.0, 0.25, +Inf."""
    return "+Inf" if bound == math.inf else repr(bound)


def one(get: Callable[[Any], float]) -> Reader:
    """A plain figure."""
    return lambda measured: [("", (), float(get(measured)))]


def known(place: str) -> Reader:
    """A figure that there may be none of: the system may refuse it, which is given as -1. Then there is no sample."""
    get = attrgetter(place)
    return lambda measured: [] if (value := get(measured)) in (None, -1) else [("", (), float(value))]


def derived(name: str, window: int) -> Reader:
    """A derived value of a window (seconds), NaN while it has none."""
    return one(lambda snapshot: snapshot.windows[window].derived.get(name, math.nan))


def state(label: str, states: tuple[str, ...], place: str) -> Reader:
    """One sample a state, 1 for the one it is in."""
    get = attrgetter(place)
    return lambda measured: [("", ((label, name),), float(get(measured) == name)) for name in states]


def several(label: str, **places: str) -> Reader:
    """One sample a value of the label, each from its own place."""
    found = {value: attrgetter(place) for value, place in places.items()}
    return lambda measured: [("", ((label, value),), float(get(measured))) for value, get in found.items()]


def counts(label: str, names: Iterable[str], place: str) -> Reader:
    """One sample a name of a closed set, 0 included, so that a first increase is seen; strangers share one."""
    closed, get = tuple(names), attrgetter(place)
    return lambda measured: _counted(label, closed, get(measured))


def _counted(label: str, closed: tuple[str, ...], found: Mapping[str, int]) -> Iterator[Sample]:
    for name in closed:
        yield "", ((label, name),), float(found.get(name, 0))
    if strangers := sum(found.values()) - sum(found.get(name, 0) for name in closed):
        yield "", ((label, OTHER),), float(strangers)


def components(snapshot: Snapshot) -> Iterator[Sample]:
    """The parts of the health score."""
    for part in snapshot.health.components:
        yield "", (("component", part.name),), part.score


def histogram(kind: str, bounds: tuple[float, ...]) -> Reader:
    """A classic histogram of what the pool saw since it opened; exact, as `bounds` are bounds of its buckets."""
    return lambda snapshot: _buckets(snapshot.totals[kind], bounds)


def _buckets(counted: Histogram, bounds: tuple[float, ...]) -> Iterator[Sample]:
    for bound in bounds:
        yield "_bucket", (("le", bound_text(bound)),), float(counted.at_most(bound))
    yield "_bucket", (("le", "+Inf"),), float(counted.count)
    yield "_sum", (), counted.total
    yield "_count", (), float(counted.count)


def operation_calls(snapshot: Snapshot) -> Iterator[Sample]:
    """Calls by operation and ending."""
    for name, figures in _labelled(snapshot):
        for ending in ENDINGS:
            count = sum(one.endings.get(ending, 0) for one in figures)
            yield "", (("operation", name), ("ending", ending)), float(count)


def operation_durations(snapshot: Snapshot) -> Iterator[Sample]:
    """Percentiles of the last minutes, sums and counts since the pool opened."""
    for name, figures in _labelled(snapshot):
        label, totals = ("operation", name), [one.totals["latency"] for one in figures]
        recent = figures[-1].windows[OPERATION_WINDOW]["latency"]  # nothing, of all the others
        for quantile, attribute in QUANTILES:
            yield "", (label, ("quantile", quantile)), getattr(recent, attribute)
        yield "_sum", (label,), sum(one.total for one in totals)
        yield "_count", (label,), float(sum(one.count for one in totals))


def _labelled(snapshot: Snapshot) -> Iterator[tuple[str, tuple[OperationFigures, ...]]]:
    """Labels with the operations they stand for: each of the first alone, then all others together."""
    for one in snapshot.operations[:LABELLED]:
        yield one.name, (one,)
    yield OTHER, (*snapshot.operations[LABELLED:], snapshot.other)


def notifications(alerting: Alerting) -> Iterator[Sample]:
    """Notifications by channel and what became of them; channels beyond the first share a name."""
    alone, others = alerting.channels[:MOST_CHANNELS], alerting.channels[MOST_CHANNELS:]
    together = [_together(others)] if others else []
    for channel in (*alone, *together):
        for outcome in OUTCOMES:
            yield "", (("channel", channel.name), ("outcome", outcome)), float(getattr(channel, outcome))


def _together(channels: tuple[ChannelFigures, ...]) -> ChannelFigures:
    return ChannelFigures(OTHER, *(sum(getattr(one, outcome) for one in channels) for outcome in OUTCOMES))
