"""The pool's own states: opening, serving, draining, closing, closed.

`close` refuses what waits at once and gives what runs its drain time; what is over by then is ended in `due`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core import endings, fleet, leaving, staffing
from millpond.core.call import QUEUED
from millpond.core.transitions import Table, move
from millpond.errors import CLASSES

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.errors import PoolError

NEW, OPENING, SERVING, DRAINING, CLOSING, CLOSED = "new", "opening", "ready", "draining", "closing", "closed"
STAFFED = (OPENING, SERVING, DRAINING)  # states of a pool that keeps its workers up
DEGRADED = "degraded"  # serving while starts fail, or with workers not fully warm: derived, so no state of the table
FORKED = "forked"  # in a forked child of the pool's program: not a state of the pool, but of this copy of it

TRANSITIONS: Table = {
    (NEW, OPENING): "open() was called",
    (NEW, CLOSED): "close() before open()",
    (OPENING, SERVING): "min_workers are ready",
    (OPENING, CLOSING): "opening failed or was cancelled",
    (SERVING, DRAINING): "drain() was called: what is there is finished, nothing more is taken",
    (SERVING, CLOSING): "close() was called: the queued are refused, the running have the drain time",
    (DRAINING, CLOSING): "close() was called",
    (CLOSING, CLOSED): "every worker is gone",
}


def change(m: Machine, state: str, now: float) -> float:
    """Put the pool into another state; returns how long it was in the last."""
    move(m, state, TRANSITIONS)
    before_s, m.changed_at = now - m.changed_at, now
    return before_s


def open_pool(m: Machine, now: float) -> None:
    """Begin to open: the engine is being prepared."""
    change(m, OPENING, now)
    m.say(events.PoolOpening, m.sizing.low, m.sizing.high)


def start_workers(m: Machine, now: float) -> None:
    """The engine is there: start the wanted workers."""
    m.agenda.add(now + fleet.CHORES_S, "chores")
    staffing.reconcile(m, now)


def serve(m: Machine, now: float) -> None:
    """Enough workers are ready: calls are taken."""
    m.say(events.PoolReady, m.ready_count, change(m, SERVING, now))


def drain_pool(m: Machine, now: float) -> None:
    """Take no more calls; finish what is queued and running."""
    if m.state == SERVING:
        change(m, DRAINING, now)
        m.say(events.PoolDraining, m.queued, m.unended - m.queued)


def closed(m: Machine, now: float) -> None:
    """Every worker is gone."""
    if m.state != CLOSED:
        m.say(events.PoolClosedEvent, change(m, CLOSED, now))


def close_pool(m: Machine, now: float, drain_s: float, failure: str = "") -> None:
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
        m.say(events.PoolClosedEvent, 0.0)
    else:
        change(m, CLOSING, now)
        m.say(events.PoolClosingEvent, m.queued, m.unended - m.queued, drain_s)
    for call in _waiting(m):
        refuse(m, call, now, failure)
    fleet.say_goodbye(m, now)


def refuse(m: Machine, call: Call, now: float, failure: str = "") -> None:
    """End a waiting call because the pool closes."""
    if call.state == QUEUED:
        error = CLASSES["start_failed"](f"the pool could not be opened: {failure}") if failure else closed_error(m)
        error.outcome = leaving.unbegun(call.attempts)
        endings.end_queued(m, call, "rejected", error, now)


def _waiting(m: Machine) -> list[Call]:
    """Every call that waits, sessions' lines first so that none is moved up while the list is worked off."""
    calls: list[Call] = []
    for session in m.book:
        calls += (session.waiting or {}).values()
    for worker in m.workers.values():
        calls += worker.queue
    return [*calls, *m.queue, *m.openers, *m.shelf.values()]


def health(m: Machine) -> tuple[str, str]:
    """The pool's state as people see it, with the reason if it is degraded."""
    if m.state == SERVING and m.outage.why:
        return DEGRADED, m.outage.why
    if m.state == SERVING and m.sizing.fails:
        return DEGRADED, m.failure
    cold = [worker for worker in m.workers.values() if worker.cold] if m.warm_failures else []
    if m.state == SERVING and cold:
        names = sorted({name for worker in cold for name in worker.cold})
        return DEGRADED, f"{len(cold)} of {len(m.workers)} workers are not fully warm: {', '.join(names)} failed"
    return m.state, ""


def closed_error(m: Machine) -> PoolError:
    """Why a pool that does not serve refuses a call."""
    if m.state == DRAINING:
        return CLASSES["pool_closing"]("the pool is draining and takes no more calls")
    if m.state == NEW:
        return CLASSES["pool_closed"]("the pool was never opened; use `async with` or `await pool.open()`")
    if m.state == FORKED:
        return CLASSES["pool_closed"](
            "the pool belongs to the process that this one was forked from; make another here"
        )
    return CLASSES["pool_closed"]("the pool is closed")
