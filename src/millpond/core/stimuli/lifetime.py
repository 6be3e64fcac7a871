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


def change(m: Records, state: str, now: float) -> float:
    """Put the pool into another state; returns how long it was in the last."""
    move(m, state, POOL_TRANSITIONS)
    before_s, m.changed_at = now - m.changed_at, now
    return before_s


def open_pool(m: Records, now: float) -> None:
    """Begin to open: the engine is being prepared."""
    change(m, OPENING, now)
    m.emit(events.PoolOpening, m.sizing.low, m.sizing.high)


def start_workers(m: Records, now: float) -> None:
    """The engine is there: start the wanted workers."""
    m.unsettled.is_staffed = False
    m.watch("memory", now)


def serve(m: Records, now: float) -> None:
    """Enough workers are ready: calls are taken."""
    m.emit(events.PoolReady, m.ready_count, change(m, SERVING, now))
    m.unsettled.is_staffed = False


def drain_pool(m: Records, now: float) -> None:
    """Take no more calls; finish what is queued and running."""
    if m.state == SERVING:
        change(m, DRAINING, now)
        m.emit(events.PoolDraining, m.queued, m.unended - m.queued)


def closed(m: Records, now: float) -> None:
    """Every worker is gone."""
    if m.state != CLOSED:
        m.emit(events.PoolClosedEvent, change(m, CLOSED, now))


def close_pool(m: Records, now: float, drain_s: float, failure: str = "") -> None:
    """Refuse the queued at once, give the running `drain_s` seconds. A second, shorter close cuts the drain short.

    `failure` is why the pool could not be opened, for those who waited for that.
    """
    if m.state == CLOSED:
        return
    m.agenda.add(now + drain_s, "close")
    if m.state == CLOSING:
        return
    if m.state == NEW:
        change(m, CLOSED, now)
        m.emit(events.PoolClosedEvent, 0.0)
    else:
        change(m, CLOSING, now)
        m.emit(events.PoolClosingEvent, m.queued, m.unended - m.queued, drain_s)
    for call in _waiting(m):
        endings.refuse_closing(m, call, now, failure)
    fleet.say_goodbye(m, now)


def end_drain(m: Records, now: float) -> None:
    """The drain time is over: what still runs is ended with its worker."""
    for worker in list(m.workers.values()):
        for call in list(worker.inflight.values()):
            cancellation.cancel(m, call, "pool_closing", now)
        fleet.kill(m, worker, "the pool closed", RETIRED, now)


def _waiting(m: Records) -> list[Call]:
    """Every call that waits, sessions' lines first so that none is moved up while the list is worked off."""
    calls: list[Call] = []
    for session in m.sessions:
        calls += (session.waiting or {}).values()
    for worker in m.workers.values():
        calls += worker.queue
    return [*calls, *m.queue, *m.unbound, *m.delayed.values()]


def health(m: Records) -> tuple[str, str]:
    """The pool's state as people see it, with the reason if it is degraded."""
    if m.state == SERVING and m.engine.why:
        return DEGRADED, m.engine.why
    if m.state == SERVING and m.sizing.fails:
        return DEGRADED, m.failure
    cold = [worker for worker in m.workers.values() if worker.cold] if m.warm_failures else []
    if m.state == SERVING and cold:
        names = sorted({name for worker in cold for name in worker.cold})
        return DEGRADED, f"{len(cold)} of {len(m.workers)} workers are not fully warm: {', '.join(names)} failed"
    return m.state, ""
