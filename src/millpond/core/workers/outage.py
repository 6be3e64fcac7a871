"""The engine is lost: nothing is started, and it is tried again, at once and then after a pause that doubles.

Calls that no worker is there for wait, or are refused if their deadline ends before the next try (`admission`). The
pool tries for as long as it is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core.records import states
from millpond.core.records.orders import Revive
from millpond.core.records.states import AVAILABLE, ENGINE_TRANSITIONS, LOST, RECOVERING, move
from millpond.core.records.timing import backoff
from millpond.core.records.worker import CRASHED
from millpond.core.workers import fleet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.core.records.pool import Records
    from millpond.core.records.worker import Worker

STEADY_S = 30.0  # an engine that was there for so long is tried at once when it is lost; else its losses add up


def engine_lost(pool: Records, why: str, now: float) -> None:
    """There is nobody to make workers: the engine is tried at once, or after a pause if it was lost a moment ago."""
    # It may be lost again while it is lost, or while it is tried: one pause is on the agenda at a time, and the reason
    # that is told last stands.
    one = pool.engine
    one.why = why
    if one.state == LOST:
        return
    if one.state == AVAILABLE:
        one.lost_at = now
        if now - one.back_at >= STEADY_S:
            one.losses = 0
        if pool.state == states.SERVING and not pool.sizing.fails:
            pool.emit(events.PoolDegraded, why)
    move(one, LOST, ENGINE_TRANSITIONS)
    s = pool.settings
    one.losses += 1
    one.retry_at = now
    if one.losses > 1:
        one.retry_at += backoff(s.restart_backoff, one.losses - 1, pool.random.random(), s.restart_backoff_max)
    pool.agenda.add(one.retry_at, "revive")
    pool.emit(events.PoolFault, "engine", why)
    if pool.state == states.OPENING:
        pool.failure = why


def workers_lost(pool: Records, workers: Iterable[Worker], why: str, now: float) -> None:
    """These died with their warden, or are about to: nothing is sent to them, and their deaths will be told."""
    for worker in sorted(workers, key=lambda worker: worker.id not in pool.standing_by):  # spares need not step in
        fleet.kill(pool, worker, why, CRASHED, now)


def revive(pool: Records, now: float) -> None:
    """The pause is over: try to have the engine again."""
    one = pool.engine
    if one.state == LOST and now >= one.retry_at and pool.state in states.STAFFED:
        move(one, RECOVERING, ENGINE_TRANSITIONS)
        pool.outbox.append(Revive())


def engine_back(pool: Records, now: float) -> None:
    """Workers can be made again."""
    one = pool.engine
    if one.state == AVAILABLE:
        return
    move(one, AVAILABLE, ENGINE_TRANSITIONS)
    one.back_at, one.why = now, ""
    if pool.state == states.SERVING and not pool.sizing.fails:
        pool.emit(events.PoolRestored, now - one.lost_at)
    pool.unsettled.is_staffed = False
