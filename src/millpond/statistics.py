"""A pool's counts and states when asked: read from the machine's records into one of `facts`."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from millpond.core import states, worker_states
from millpond.facts import NO_PERCENTILES, BusyWorker, Percentiles, Statistics
from millpond.metrics.source import WORKER_STATES

if TYPE_CHECKING:
    from millpond.core import Call, Worker
    from millpond.runtime.driver import Driver

UNRESPONSIVE_S = 1.0  # seconds without a sign of the interpreter after which a busy worker is called unresponsive


def collect(driver: Driver, name: str, run_id: str, percentiles: Percentiles = NO_PERCENTILES) -> Statistics:
    """Read the machine's records; nothing is kept or changed."""
    m = driver.view
    state, reason = m.health()
    there = list(m.workers.values())
    workers = Counter(w.shown_state for w in there)
    operations = list(m.all_operations())
    return Statistics(
        name=name,
        run_id=run_id,
        state=state,
        reason=reason,
        is_ready=m.state == states.SERVING and m.ready_count > 0,
        is_live=m.state not in (states.NEW, states.CLOSED),
        workers=MappingProxyType(
            {state: workers[state] for state in WORKER_STATES} | {worker_states.GONE: m.starts - len(m.workers)}
        ),
        wanted=m.wanted,
        asked_for=len(m.workers),
        alive=sum(w.pid > 0 for w in there),
        spares=workers[worker_states.SPARE],
        warm_failures=MappingProxyType(dict(m.warm_failures)),
        not_warm=MappingProxyType({w.id: w.cold for w in there if w.cold}),
        pids=MappingProxyType({w.id: w.pid for w in there if w.pid}),
        busy=tuple(busy_worker(driver, w, held[0]) for w in there if (held := list(w.inflight.values()))),
        submitted=m.submitted,
        in_flight=m.unended,
        queued=m.queued,
        queued_bytes=m.queued_bytes,
        running=m.unended - m.queued,
        endings=MappingProxyType(dict(m.counts)),
        codes=MappingProxyType(dict(m.codes)),
        sessions_open=m.sessions_open,
        sessions_asleep=m.sessions_asleep,
        sessions_pinned=MappingProxyType({number: one.pinned_because for number, one in m.pinned.items()}),
        starts=m.starts,
        retries=m.retries,
        late_answers=m.late_answers,
        log_records_dropped=driver.forwarding.dropped,
        breakers=MappingProxyType({one.name: one.breaker.state for one in operations}),
        faults=MappingProxyType(driver.carriers.faults.seen()),
        percentiles=percentiles,
    )


def busy_worker(driver: Driver, worker: Worker, oldest: Call) -> BusyWorker:
    """What a worker does, whose oldest call this is."""
    now = driver.now()
    silent = now - driver.engine.heartbeat(worker)
    return BusyWorker(
        worker.id,
        oldest.op.name,
        now - max(oldest.sent_at, worker.last_progress),
        silent if silent > UNRESPONSIVE_S else 0.0,
    )
