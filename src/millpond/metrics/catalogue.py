"""The closed table of exported metrics: every name, kind, unit, label and meaning a scrape can show.

Prometheus, OpenTelemetry and the alert rules all read the same families, so that a rule means the same here and there.
Labels come from closed sets and every sample carries `pool`; worker ids, session ids and error texts never become
labels, and operations beyond the first 14 share one name. Comes after the snapshot; computes nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal, Protocol, runtime_checkable

from millpond.errors import TABLE
from millpond.logger.escaping import escaped
from millpond.metrics import health, readers
from millpond.metrics.readers import (
    QUICK,
    SIZES,
    STARTS,
    Labels,
    Reader,
    Sample,
    counts,
    known,
    notifications,
    one,
    several,
    state,
)
from millpond.metrics.snapshot import Alerting, Snapshot
from millpond.metrics.source import CAUSES, ENDINGS, STILL, WORKER_STATES

Kind = Literal["gauge", "counter", "histogram", "summary"]

UNITS = ("bytes_per_second", "seconds", "bytes", "ratio")  # a metric's name ends with its unit
POOL_STATES = ("new", "opening", "ready", "degraded", "draining", "closing", "closed")


@dataclass(frozen=True, slots=True)
class Family:
    """One exported metric with its samples.

    A sample's series is `name + suffix`: counters end in `_total` by name and have the suffix "", histograms have
    `_bucket` (cumulative, label `le`), `_sum` and `_count`, summaries "" (label `quantile`), `_sum` and `_count`.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table: a metric read from a snapshot, or from the figures of the alerting in one.

    `labels` come after `pool`, which every sample has; `distribution` is which of a snapshot's histograms one shows.
    """

    name: str
    kind: Kind
    help: str
    read: Reader
    labels: tuple[str, ...] = ()
    distribution: str = ""

    @property
    def unit(self) -> str:
        """The unit that the name ends with, "" for a plain number."""
        return next((unit for unit in UNITS if self.name.removesuffix("_total").endswith(f"_{unit}")), "")


@runtime_checkable
class Metrics(Protocol):
    """What can be exported: a collector of metrics."""

    def snapshot(self) -> Snapshot:
        """The pool at this moment."""
        ...


class Metered(Protocol):
    """What has metrics: a pool."""

    @property
    def metrics(self) -> Metrics:
        """Its collector."""
        ...


def families(snapshot: Snapshot) -> list[Family]:
    """Everything exported of a pool at one moment; a figure that could not be had has no sample."""
    of_pool = [_family(row, snapshot.pool, row.read(snapshot)) for row in _OF_POOL]
    return of_pool + alerting_families(snapshot.pool, snapshot.alerting)


def alerting_families(pool: str, alerting: Alerting | None) -> list[Family]:
    """The metrics of a pool's alerting; without samples if there is none."""
    return [_family(row, pool, () if alerting is None else row.read(alerting)) for row in _OF_ALERTING]


def metrics_of(pool: Metered | Metrics) -> Metrics:
    """A pool's collector, or the collector itself."""
    return pool if isinstance(pool, Metrics) else pool.metrics


def read_all(pools: Iterable[Metrics]) -> list[list[Family]]:
    """The families of several pools. Raises `ValueError` if two of them have one name, and so the same series."""
    found: dict[str, list[Family]] = {}
    for snapshot in [pool.snapshot() for pool in pools]:
        if snapshot.pool in found:
            raise ValueError(f"two pools are named {snapshot.pool!r}; give each a name of its own: Pool(..., name=...)")
        found[snapshot.pool] = families(snapshot)
    return list(found.values())


def _family(row: Metric, pool: str, samples: Iterable[Sample]) -> Family:
    whose = (("pool", escaped(pool)),)
    readable = [(suffix, whose + _readable(labels), value) for suffix, labels, value in samples]
    return Family(row.name, row.kind, row.unit, row.help, readable)


def _readable(labels: Labels) -> Labels:
    """Labels whose values are names of operations, channels and the like: none of them may forge a line or hide."""
    return tuple((label, escaped(value)) for label, value in labels)


def _gauge(name: str, help: str, read: Reader | str, *labels: str) -> Metric:
    return Metric(f"millpond_{name}", "gauge", help, _reader(read), labels)


def _counter(name: str, help: str, read: Reader | str, *labels: str) -> Metric:
    return Metric(f"millpond_{name}_total", "counter", help, _reader(read), labels)


def _reader(read: Reader | str) -> Reader:
    """The reader of a plain figure, where only its place is given."""
    return one(attrgetter(read)) if isinstance(read, str) else read


def _histogram(name: str, help: str, kind: str, bounds: tuple[float, ...]) -> Metric:
    return Metric(f"millpond_{name}", "histogram", help, readers.histogram(kind, bounds), (), kind)


_OF_POOL: tuple[Metric, ...] = (
    # The pool
    _gauge("pool_state", "1 for the pool's state.", state("state", POOL_STATES, "reading.state"), "state"),
    _gauge("pool_uptime_seconds", "Time since the pool opened.", "uptime_s"),
    _gauge("utilization_ratio", "Busy over available worker time, last minute.", readers.derived("utilization", 60)),
    _counter(
        "stalls",
        "Times the loop or the program stood still for a second or more.",
        counts("of", STILL, "reading.stalls"),
        "of",
    ),
    _gauge("stalled_seconds", "Length of the last stall, for five minutes after it; then 0.", "reading.stalled_s"),
    _gauge("breakers_open", "Operations whose breaker is open.", one(lambda s: len(s.reading.breakers_open))),
    _gauge("health_state", "1 for the state of health.", state("state", health.STATES, "health.state"), "state"),
    _gauge("health_score", "Health from 0 to 100.", "health.score"),
    _gauge("health_component_score", "Points of each part of the health score.", readers.components, "component"),
    # Workers
    _gauge("workers", "Workers that are there.", counts("state", WORKER_STATES, "reading.states"), "state"),
    _gauge("workers_wanted", "Workers the pool wants.", "reading.wanted"),
    _gauge("workers_asked_for", "Workers asked for that are not gone.", "reading.asked_for"),
    _gauge("workers_not_warm", "Workers in service of which a warm-up command failed.", "reading.not_warm"),
    _gauge("workers_min", "Workers the pool has at least.", "reading.min_workers"),
    _gauge("workers_max", "Workers the pool may have.", "reading.max_workers"),
    _gauge("places", "Calls the ready workers can run at a time.", "reading.places"),
    _counter("worker_starts", "Workers that were asked for.", "reading.starts"),
    _counter("worker_start_failures", "Workers that never became ready.", "reading.start_failures"),
    _counter("worker_deaths", "Workers that are gone.", counts("cause", CAUSES, "reading.deaths"), "cause"),
    _counter("worker_busy_seconds", "Time workers held at least one call.", "reading.busy_s"),
    _counter("worker_available_seconds", "Time workers were there, once ready.", "reading.available_s"),
    _histogram("worker_start_seconds", "From asking for a worker to its being ready.", "start", STARTS),
    # Calls and operations
    _gauge("calls_queued", "Calls that wait.", "reading.queued"),
    _gauge("calls_running", "Calls that were sent to a worker.", "reading.running"),
    _gauge("queue_max", "Calls that may wait.", known("reading.max_queued")),
    _gauge("queue_bytes", "Arguments of the calls that wait.", "reading.queued_bytes"),
    _gauge("queue_oldest_seconds", "How long the oldest of the waiting calls waits.", "reading.oldest_wait_s"),
    _counter("calls_submitted", "Calls made, the refused ones included.", "reading.submitted"),
    _counter("calls", "Calls that ended.", counts("ending", ENDINGS, "reading.endings"), "ending"),
    _counter("call_errors", "Calls that ended with an error.", counts("code", TABLE, "reading.codes"), "code"),
    _counter("retries", "Calls given to another worker.", "reading.retries"),
    _counter("late_answers", "Answers nobody waited for.", "reading.late_answers"),
    _counter("interrupts", "Calls interrupted in their worker.", "reading.interrupts"),
    _counter("cold_calls", "Calls that waited for a worker being started.", "reading.cold_calls"),
    _histogram("queue_wait_seconds", "From submission to the first sending.", "wait", QUICK),
    _histogram("service_seconds", "Time in the worker.", "service", QUICK),
    _histogram("call_duration_seconds", "From submission to the ending.", "latency", QUICK),
    _histogram("request_bytes", "Size of a call's arguments.", "request_bytes", SIZES),
    _histogram("response_bytes", "Size of an answer.", "answer_bytes", SIZES),
    _counter("operation_calls", "Calls that ended.", readers.operation_calls, "operation", "ending"),
    Metric(
        "millpond_operation_duration_seconds",
        "summary",
        "From submission to the ending, quantiles of the last five minutes.",
        readers.operation_durations,
        ("operation",),
    ),
    # Sessions
    _gauge(
        "sessions",
        "Sessions there are.",
        several("state", open="reading.sessions_open", asleep="reading.sessions_asleep"),
        "state",
    ),
    _counter("sessions_opened", "Sessions opened or reopened.", "reading.sessions_opened"),
    _counter("sessions_closed", "Sessions closed by their owners.", "reading.sessions_closed"),
    _counter("sessions_lost", "Sessions whose state is gone.", "reading.sessions_lost"),
    _counter("sessions_moved", "Moves of a session to another worker.", "reading.sessions_moved"),
    _counter(
        "session_calls",
        "Calls of sessions: a hit ran where its session lives.",
        several("affinity", hit="reading.affinity_hits", miss="reading.affinity_misses"),
        "affinity",
    ),
    # Processes
    _gauge("workers_cpu_ratio", "Processor time of all workers over time; 1 is one core.", "resources.workers_cpu"),
    _gauge("workers_resident_bytes", "Resident memory of all workers.", "resources.workers_rss"),
    _gauge("workers_proportional_bytes", "Memory of all workers, shared pages divided.", "resources.workers_pss"),
    _gauge(
        "workers_memory_trend_bytes_per_second",
        "Growth of the worker whose memory surely grows most.",
        "resources.steepest.slope",
    ),
    _gauge(
        "workers_memory_trend_confidence_ratio", "How sure that growth is, 0 to 1.", "resources.steepest.confidence"
    ),
    _gauge("parent_resident_bytes", "Resident memory of the pool's program.", known("resources.parent.rss")),
    _gauge("parent_open_fds", "File descriptors the program has open.", known("resources.parent.fds")),
    _gauge("parent_max_fds", "File descriptors it may open.", known("resources.max_fds")),
    _gauge("parent_threads", "Threads of the program.", known("resources.parent.threads")),
    _counter("parent_cpu_seconds", "Processor time of the program.", known("resources.parent.cpu_s")),
    _gauge("children", "Processes below the program.", known("resources.children")),
    _gauge("zombies", "Of these, dead ones nobody has reaped.", known("resources.zombies")),
    # The metrics themselves, and what is told to the program
    _gauge("collector_lag_seconds", "How late the last fold came.", "watch.lag_s"),
    _gauge("collector_memory_bytes", "Memory of metrics and history.", "watch.memory_bytes"),
    _gauge("collector_is_shedding", "1 while detail is left out.", one(lambda s: s.watch.detail != "full")),
    _gauge(
        "history_degraded",
        "1 while history is not stored though it should be.",
        one(lambda s: bool(s.watch.history_error)),
    ),
    _gauge("history_stored_bytes", "Size of the stored history.", "watch.stored_bytes"),
    _counter("collector_fold_seconds", "Processor time spent on adding up.", "watch.fold_total_s"),
    _counter("collector_folds", "How often it was added up.", "watch.folds"),
    _counter("collector_dropped_samples", "Samples that found no room.", "watch.dropped"),
    _counter("listeners_removed", "Listeners that raised and were detached.", "reading.listeners_removed"),
    _counter(
        "log_records_dropped",
        "Workers' log records that the program's handlers were too slow for.",
        "reading.log_records_dropped",
    ),
)
_OF_ALERTING: tuple[Metric, ...] = (
    _gauge("alerts", "Alerts by state.", several("state", pending="pending", firing="firing"), "state"),
    _counter("alert_notifications", "Notifications by channel and fate.", notifications, "channel", "outcome"),
    _gauge("alert_rules_failing", "Rules that cannot be evaluated.", "rules_failing"),
    _gauge("alert_evaluation_seconds", "What the last turn took.", "evaluation_s"),
    _counter("alert_evaluations", "Samples taken of the metrics.", "rounds"),
    _gauge("alert_series", "Series kept for the rules.", "series"),
    _counter("alert_series_dropped", "Samples that found no room.", "series_dropped"),
)

CATALOGUE: tuple[Metric, ...] = (*_OF_POOL, *_OF_ALERTING)
