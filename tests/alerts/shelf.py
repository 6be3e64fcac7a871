"""Series kept in plain arrays, with any gaps: the source that expressions are tested on."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from millpond.alerts.alerts import Alerts
from millpond.alerts.expr.labels import Labels, labels_of
from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.windows import Times, Values
from millpond.metrics.catalogue import families
from tests.metrics.export_snapshots import operation, snapshot

START_MS = 1_700_000_000_000
STEP_MS = 15_000


@dataclass(frozen=True)
class Row:
    """One series."""

    labels: Labels
    times: Times
    values: Values

    def at(self, ms: int, lookback_ms: int) -> float | None:
        known = self.values[(self.times <= ms) & (self.times >= ms - lookback_ms)]
        return float(known[-1]) if len(known) else None

    def between(self, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        inside = (self.times >= start_ms) & (self.times <= end_ms)
        return self.times[inside], self.values[inside]


class Shelf:
    """Series by their labels."""

    def __init__(self) -> None:
        self.rows: dict[Labels, Row] = {}

    def put(self, name: str, samples: Iterable[tuple[int, float]], **labels: str) -> None:
        """Add a series, its times in milliseconds."""
        known = labels_of({"__name__": name, **labels})
        times, values = zip(*samples, strict=True)
        self.rows[known] = Row(known, np.array(times, dtype=np.int64), np.array(values, dtype=np.float64))

    def line(self, name: str, values: Iterable[float], **labels: str) -> None:
        """Add a series with a value every fifteen seconds."""
        self.put(name, [(START_MS + i * STEP_MS, value) for i, value in enumerate(values)], **labels)

    def select(self, matchers: tuple[Matcher, ...]) -> Iterable[Row]:
        for row in self.rows.values():
            labels = dict(row.labels)
            if all(matcher.matches(labels) for matcher in matchers):
                yield row

    def openmetrics(self) -> str:
        """All samples as `promtool tsdb create-blocks-from openmetrics` takes them."""
        lines = []
        for row in self.rows.values():
            labels = dict(row.labels)
            name = labels.pop("__name__")
            inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
            for time, value in zip(row.times.tolist(), row.values.tolist(), strict=True):
                lines.append(f"{name}{{{inside}}} {value!r} {time / 1000}")
        return "\n".join([*lines, "# EOF", ""]).replace(" nan ", " NaN ").replace(" inf ", " +Inf ")


def stocked(minutes: int = 60, seed: int = 7) -> Shelf:
    """Counters with resets, gauges with gaps and odd values, and a histogram, all from one seed."""
    chance, shelf, count = random.Random(seed), Shelf(), minutes * 60_000 // STEP_MS
    for ending in ("ok", "failed", "lost"):
        for pool in ("a", "b"):
            shelf.line("calls_total", _counter(chance, count), ending=ending, pool=pool)
    for pool in ("a", "b"):
        shelf.line("queued", (float(chance.randrange(40)) for _ in range(count)), pool=pool)
        _put_histogram(shelf, chance, count, pool)
    shelf.line("workers", (4.0 for _ in range(count)), pool="a", state="ready")
    shelf.line("odd", (chance.choice([1.0, -2.5, 0.0, float("inf"), float("nan")]) for _ in range(count)), pool="a")
    shelf.put("gappy", _gappy(chance, count), pool="a")
    shelf.put("brief", [(START_MS + 1_000_000, 3.0)], pool="a")
    return shelf


def _counter(chance: random.Random, count: int) -> Iterable[float]:
    total = float(chance.choice([0, 3, 500]))
    for _ in range(count):
        total = 0.0 if chance.random() < 0.03 else total + chance.randrange(9)
        yield total


def _gappy(chance: random.Random, count: int) -> list[tuple[int, float]]:
    """Values at odd moments, and none for minutes on end."""
    times = (START_MS + i * STEP_MS + chance.randrange(9000) for i in range(count) if i % 50 < 25)
    return [(time, float(chance.randrange(-5, 100))) for time in times]


def exported(names: Collection[str], minutes: int = 60, seed: int = 11) -> Shelf:
    """Random samples of these of the metrics that a pool exports, and that its alerting says of itself."""
    chance, shelf, count = random.Random(seed), Shelf(), minutes * 60_000 // STEP_MS
    for family in families(snapshot(operation("add"), max_queued=100, alerting=Alerts(list).figures())):
        if family.kind == "histogram" and {f"{family.name}_bucket", f"{family.name}_count"} & set(names):
            bounds = [dict(labels)["le"] for suffix, labels, _ in family.samples if suffix == "_bucket"]
            _put_histogram(shelf, chance, count, "pool", f"{family.name}_bucket", bounds)
            shelf.line(f"{family.name}_count", _counter(chance, count), pool="pool")
        elif family.name in names:
            for _, labels, _ in family.samples:
                line = _counter if family.kind == "counter" else _wandering
                shelf.line(family.name, line(chance, count), **{**dict(labels), "pool": "pool"})
    return shelf


def _wandering(chance: random.Random, count: int) -> Iterable[float]:
    value = 0.0
    for _ in range(count):
        value = max(0.0, value + chance.choice([-1, 0, 0, 1, 3]))
        yield value


def _put_histogram(
    shelf: Shelf,
    chance: random.Random,
    count: int,
    pool: str,
    name: str = "wait_bucket",
    bounds: Sequence[str] = ("0.1", "0.5", "1.0", "2.0", "+Inf"),
) -> None:
    totals = [0.0] * len(bounds)
    lines: list[list[float]] = [[] for _ in bounds]
    for _ in range(count):
        for _ in range(chance.randrange(6)):
            lowest = chance.randrange(len(bounds))
            totals = [total + (i >= lowest) for i, total in enumerate(totals)]
        for line, total in zip(lines, totals, strict=True):
            line.append(total)
    for bound, line in zip(bounds, lines, strict=True):
        shelf.line(name, line, le=bound, pool=pool)
