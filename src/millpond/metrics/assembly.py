"""Puts a snapshot together from the books and what the collector saw. Pure; called with the collector's lock held."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.metrics.ledger import Ledger
from millpond.metrics.resources import Seen
from millpond.metrics.snapshot import Alerting, ProcessFigures, Snapshot, Watch, WorkerFigures
from millpond.metrics.source import WorkerReading
from millpond.metrics.trend import NO_TREND

UNSEEN = ProcessFigures(0)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a snapshot is made of."""

    pool: str
    ledger: Ledger
    seen: Seen
    watch: Watch
    alerting: Alerting | None = None


def assemble(parts: Parts) -> Snapshot:
    """The snapshot of the last fold."""
    ledger, reading = parts.ledger, parts.ledger.reading
    return Snapshot(
        pool=parts.pool,
        boot=ledger.boot,
        at=ledger.at,
        wall=ledger.wall,
        uptime_s=ledger.at - ledger.opened_at,
        reading=reading,
        totals=ledger.totals(),
        windows=ledger.windows(),
        operations=ledger.operations.figures(),
        other=ledger.operations.rest(reading.endings, reading.codes),
        workers=tuple(worker_figures(one, parts.seen) for one in sorted(reading.workers, key=lambda one: one.id)),
        resources=parts.seen.resources,
        health=ledger.health,
        watch=parts.watch,
        alerting=parts.alerting,
    )


def worker_figures(worker: WorkerReading, seen: Seen) -> WorkerFigures:
    """A worker as the pool and the system see it."""
    return WorkerFigures(
        id=worker.id,
        pid=worker.pid,
        state=worker.state,
        busy_s=worker.busy_s,
        available_s=worker.available_s,
        utilization=worker.busy_s / worker.available_s if worker.available_s > 0 else 0.0,
        calls=worker.calls,
        sessions=worker.sessions,
        in_flight=worker.in_flight,
        process=seen.processes.get(worker.id, UNSEEN),
        trend=seen.trends.get(worker.id, NO_TREND),
    )
