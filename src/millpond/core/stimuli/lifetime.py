"""The pool's own life: opening, serving, draining, closing, closed.

`close_pool` refuses what waits at once and gives what runs its drain time; what is there after that is ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import cancellation, endings
from millpond.core.records.states import (
    CLOSED,
    CLOSING,
    DEGRADED,
    DRAINING,
    NEW,
    OPENING,
    POOL_TRANSITIONS,
    SERVING,
    move,
)
from millpond.core.records.worker import RETIRED
from millpond.core.workers import fleet

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records


def change(pool: Records, state: str, now: float) -> float:
    """Put the pool into another state; returns how long it was in the last."""
    move(pool, state, POOL_TRANSITIONS)
    before_s, pool.changed_at = now - pool.changed_at, now
    return before_s


def open_pool(pool: Records, now: float) -> None:
    """Begin to open: the engine is being prepared."""
    change(pool, OPENING, now)
    pool.emit(events.PoolOpening, pool.sizing.low, pool.sizing.high)


def start_workers(pool: Records, now: float) -> None:
    """The engine is there: start the wanted workers."""
    pool.unsettled.is_staffed = False
    pool.look_at("memory", now)


def serve(pool: Records, now: float) -> None:
    """Enough workers are ready: calls are taken."""
    pool.emit(events.PoolReady, pool.ready_count, change(pool, SERVING, now))
    pool.unsettled.is_staffed = False


def drain_pool(pool: Records, now: float) -> None:
    """Take no more calls; finish what is queued and running."""
    if pool.state == SERVING:
        change(pool, DRAINING, now)
        pool.emit(events.PoolDraining, pool.queued, pool.unended - pool.queued)


def closed(pool: Records, now: float) -> None:
    """Every worker is gone."""
    if pool.state != CLOSED:
        pool.emit(events.PoolClosedEvent, change(pool, CLOSED, now))


def close_pool(pool: Records, now: float, drain_s: float, failure: str = "") -> None:
    """Refuse the queued at once, give the running `drain_s` seconds. A second, shorter close cuts the drain short.

    `failure` is why the pool could not be opened, for those who waited for that.
    """
    if pool.state == CLOSED:
        return
    pool.agenda.add(now + drain_s, "close")
    if pool.state == CLOSING:
        return
    if pool.state == NEW:
        change(pool, CLOSED, now)
        pool.emit(events.PoolClosedEvent, 0.0)
    else:
        change(pool, CLOSING, now)
        pool.emit(events.PoolClosingEvent, pool.queued, pool.unended - pool.queued, drain_s)
    for call in _waiting(pool):
        endings.refuse_closing(pool, call, now, failure)
    fleet.say_goodbye(pool, now)


def end_drain(pool: Records, now: float) -> None:
    """The drain time is over: what still runs is ended with its worker."""
    for worker in list(pool.workers.values()):
        for call in list(worker.inflight.values()):
            cancellation.cancel(pool, call, "pool_closing", now)
        fleet.kill(pool, worker, "the pool closed", RETIRED, now)


def _waiting(pool: Records) -> list[Call]:
    """Every call that waits, sessions' lines first so that none is moved up while the list is worked off."""
    calls: list[Call] = []
    for session in pool.sessions:
        calls += (session.waiting or {}).values()
    for worker in pool.workers.values():
        calls += worker.queue
    return [*calls, *pool.queue, *pool.unbound, *pool.delayed.values()]


def health(pool: Records) -> tuple[str, str]:
    """The pool's state as people see it, with the reason if it is degraded."""
    if pool.state == SERVING and pool.engine.why:
        return DEGRADED, pool.engine.why
    if pool.state == SERVING and pool.sizing.fails:
        return DEGRADED, pool.failure
    cold = [worker for worker in pool.workers.values() if worker.cold] if pool.warm_failures else []
    if pool.state == SERVING and cold:
        names = sorted({name for worker in cold for name in worker.cold})
        return DEGRADED, f"{len(cold)} of {len(pool.workers)} workers are not fully warm: {', '.join(names)} failed"
    return pool.state, ""
