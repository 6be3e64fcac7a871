"""A pool at one moment, added up: what exporters, alerts and dashboards read.

Frozen through and through, so that any thread may hold one. Seconds and bytes everywhere; a percentile of nothing is
NaN. Comes out of the collector; nothing is computed here but what follows from a record alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from millpond.facts import Distribution
from millpond.metrics.histogram import Histogram
from millpond.metrics.source import Counts, Reading, WorkerReading

WINDOWS = (60, 300, 900)  # seconds
KINDS = ("wait", "service", "latency", "start", "request_bytes", "answer_bytes")  # the pool's histograms
OPERATION_KINDS = ("wait", "service", "latency", "request_bytes", "answer_bytes")
OTHER = "(other)"  # what has no name of its own


@dataclass(frozen=True, slots=True)
class Window:
    """The last `seconds` (fewer if the pool is younger: `covered_s`).

    `endings`, `codes` and `deaths` count what fell into it; `distributions` is keyed by `KINDS`, `derived` by the
    names of `derived.DERIVED`.
    """

    seconds: int
    covered_s: float
    endings: Counts
    codes: Counts
    deaths: Counts
    distributions: Mapping[str, Distribution]
    derived: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """One operation, or all that have no name of their own together.

    `endings`, `codes` and `totals` (`OPERATION_KINDS` -> histogram) are of all calls since the pool opened. `windows`
    maps each of `WINDOWS` to kind to distribution, in steps of ten seconds; `(other)` has none.
    """

    name: str
    endings: Counts
    codes: Counts
    totals: Mapping[str, Histogram]
    windows: Mapping[int, Mapping[str, Distribution]]


@dataclass(frozen=True, slots=True)
class Trend:
    """Where a worker's memory goes: bytes per second, and how sure that is (0 to 1), over `seconds`."""

    slope: float = 0.0
    confidence: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process; a figure the system would not give is -1. `cpu` is the share of one core since the last look."""

    pid: int
    cpu: float = 0.0
    cpu_s: float = 0.0
    rss: int = -1
    pss: int = -1
    fds: int = -1
    threads: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFigures(WorkerReading):
    """A worker: the pool's reading of it, its process, and its memory's trend."""

    process: ProcessFigures
    trend: Trend


@dataclass(frozen=True, slots=True)
class Resources:
    """The parent's process, what it may open, its zombies and children, and the workers' sums."""

    parent: ProcessFigures
    max_fds: int = -1
    children: int = -1
    zombies: int = -1
    workers_cpu: float = 0.0
    workers_rss: int = 0
    workers_pss: int = 0
    steepest: Trend = Trend()  # of the workers' trends that are sure, the one that grows most


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """One error code in some stretch of time: whose fault it is (ours, handler or caller), how often it came, and its
    share of all calls that ended."""

    code: str
    blame: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the health score: `score` of at most `weight` points; `reason` is where the others went."""

    name: str
    weight: float
    score: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """0 to 100 and a state: healthy, slow, saturated, no_workers or crash_looping.

    `components` add up to the score; `notes` are facts without points, such as a listener that was
    removed.
    """

    score: float
    state: str
    reason: str
    components: tuple[Component, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """The collector's own figures.

    `fold_total_s` is the processor's time of all folds, `lag_s` how late the last came, `dropped` the samples that
    found no room, `detail` what it still does: "full" or "counters only". `history_error` is the reason why history is
    not stored, if it should be.
    """

    folds: int = 0
    fold_total_s: float = 0.0
    lag_s: float = 0.0
    dropped: int = 0
    memory_bytes: int = 0
    detail: str = "full"
    stored_bytes: int = 0
    history_error: str = ""


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """What became of the notifications for a channel of alerts."""

    name: str
    sent: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Alerting:
    """The alerting's own figures: alerts by state, rules that cannot be evaluated, and what its rounds cost.

    `evaluation_s` is the time of the last round, `rounds` the samples taken of the metrics, `series` what the rules
    have to go by, `series_dropped` the samples that found no room.
    """

    pending: int = 0
    firing: int = 0
    rules_failing: int = 0
    evaluation_s: float = 0.0
    rounds: int = 0
    series: int = 0
    series_dropped: int = 0
    channels: tuple[ChannelFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known of a pool at `at` (monotonic seconds; `wall` the same moment in Unix time).

    `reading` has the gauges and counters and none of the samples. `totals` are the pool's histograms since it opened,
    by `KINDS`; `operations` the first 64 that were called, in that order, `other` the rest. `alerting` is as of its
    last round, `None` of a pool without alerts.
    """

    pool: str
    boot: str
    at: float
    wall: float
    uptime_s: float
    reading: Reading
    totals: Mapping[str, Histogram]
    windows: Mapping[int, Window]
    operations: tuple[OperationFigures, ...]
    other: OperationFigures
    workers: tuple[WorkerFigures, ...]
    resources: Resources
    health: Health
    watch: Watch
    alerting: Alerting | None = None
