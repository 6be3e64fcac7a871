"""A pool's workers when asked: each that is there, and the last that are gone. Nothing is kept or changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from millpond.facts import GoneWorkerFacts, WorkerFacts
from millpond.metrics.source import WorkerReading
from millpond.statistics import busy_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.core import View, Worker
    from millpond.metrics.snapshot import ProcessFigures
    from millpond.runtime.driver import Driver


def listed(driver: Driver, processes: Mapping[int, ProcessFigures]) -> tuple[WorkerFacts, ...]:
    """Those that are there, by their ids; `processes` is what is known of them, by worker."""
    there, now = driver.view.workers, driver.now()
    return tuple(_facts(driver, there[worker], processes.get(worker), now) for worker in sorted(there))


def gone(view: View, now: float, wall_clock: Callable[[], float] = time.time) -> tuple[GoneWorkerFacts, ...]:
    """The last that are gone, the newest first."""
    began = wall_clock() - now  # of the pool's clock, in Unix time
    return tuple(
        GoneWorkerFacts(
            one.worker,
            one.pid,
            round(began + one.gone_at, 3),
            one.cause,
            one.reason,
            one.signal,
            one.exit_code,
            one.lost,
            one.sessions,
            one.seconds,
            one.stderr_tail,
        )
        for one in reversed(view.gone_workers)
    )


def read_worker(worker: Worker, now: float) -> WorkerReading:
    """What is counted of a worker."""
    return WorkerReading(
        id=worker.id,
        pid=worker.pid,
        state=worker.shown_state,
        busy_s=worker.busy_s + (now - worker.busy_since if worker.inflight else 0.0),
        available_s=now - worker.ready_at if worker.ready_at else 0.0,
        calls=worker.answered,
        sessions=len(worker.sessions),
        in_flight=len(worker.inflight),
    )


def _facts(driver: Driver, worker: Worker, process: ProcessFigures | None, now: float) -> WorkerFacts:
    read = read_worker(worker, now)
    held = next(iter(worker.inflight.values()), None)
    busy = None if held is None else busy_worker(driver, worker, held)
    is_known = process is not None and process.rss >= 0
    return WorkerFacts(
        worker=read.id,
        pid=read.pid,
        state=read.state,
        sessions=read.sessions,
        calls=read.calls,
        in_flight=read.in_flight,
        utilization=read.utilization,
        rss=process.rss if process is not None and is_known else None,
        cpu=process.cpu if process is not None and is_known else None,
        operation=None if busy is None else busy.operation,
        seconds=None if busy is None else busy.seconds,
        unresponsive_s=0.0 if busy is None else busy.unresponsive_s,
        age_s=now - worker.started_at,
    )
