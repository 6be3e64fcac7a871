"""The engine's own states: whether workers can be made at all, and when the next try to have that again begins.

Without it nothing is started, and calls that no worker is there for wait, or are refused if their deadline ends before
the next try. The pool tries for as long as it is open: at once, then after a pause that doubles up to a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import fleet, lifetime, staffing
from millpond.core.retry import backoff
from millpond.core.transitions import Table, move
from millpond.core.worker import CRASHED
from millpond.errors import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import PoolError

THERE, LOST, TRYING = "there", "lost", "trying"
STEADY_S = 30.0  # an engine that was there for so long is tried at once when it is lost; else its losses add up

TRANSITIONS: Table = {
    (THERE, LOST): "its warden ended; all its workers are dead or as good",
    (LOST, TRYING): "the pause is over: another warden is started",
    (TRYING, LOST): "it could not be started, or ended before its image was made",
    (TRYING, THERE): "its image is made: workers are started",
    (LOST, THERE): "the code before stays, and its warden lives",
}


@dataclass(slots=True, eq=False)
class Outage:
    """The engine's state, why it is lost and since when, and how often in a row; `retry_at` is when it is tried."""

    state: str = THERE
    why: str = ""
    losses: int = 0
    lost_at: float = 0.0
    back_at: float = -math.inf
    retry_at: float = 0.0

    def __repr__(self) -> str:
        return f"<Outage {self.state}, {self.losses} losses>"


def engine_lost(m: Machine, why: str, now: float) -> None:
    """There is nobody to make workers: the engine is tried at once, or after a pause if it was lost a moment ago."""
    one = m.outage
    one.why = why
    if one.state == LOST:
        return
    if one.state == THERE:
        one.lost_at = now
        if now - one.back_at >= STEADY_S:
            one.losses = 0
        if m.state == lifetime.SERVING and not m.sizing.fails:
            m.say(events.PoolDegraded, why)
    move(one, LOST, TRANSITIONS)
    s = m.settings
    one.losses += 1
    one.retry_at = now
    if one.losses > 1:
        one.retry_at += backoff(s.restart_backoff, one.losses - 1, m.random.random(), s.restart_backoff_max)
    m.agenda.add(one.retry_at, "revive")
    m.say(events.PoolFault, "engine", why)
    if m.state == lifetime.OPENING:
        m.failure = why


def workers_lost(m: Machine, workers: Iterable[Worker], why: str, now: float) -> None:
    """These died with their warden, or are about to: nothing is sent to them, and their deaths will be told."""
    for worker in sorted(workers, key=lambda worker: worker.id not in m.standing_by):  # spares need not step in
        fleet.kill(m, worker, why, CRASHED, now)


def revive(m: Machine, now: float) -> None:
    """The pause is over: try to have the engine again."""
    one = m.outage
    if one.state == LOST and now >= one.retry_at and m.state in lifetime.STAFFED:
        move(one, TRYING, TRANSITIONS)
        m.outbox.append(("revive", None, None))


def engine_back(m: Machine, now: float) -> None:
    """Workers can be made again."""
    one = m.outage
    if one.state == THERE:
        return
    move(one, THERE, TRANSITIONS)
    one.back_at, one.why = now, ""
    if m.state == lifetime.SERVING and not m.sizing.fails:
        m.say(events.PoolRestored, now - one.lost_at)
    staffing.reconcile(m, now)


def refusal(m: Machine, deadline: float, now: float) -> PoolError | None:
    """Why a call would be refused that no worker is there for and whose deadline ends before the next try."""
    one = m.outage
    if one.state != LOST or m.ready_count or deadline > one.retry_at:
        return None
    wait_s = max(0.0, one.retry_at - now)
    return CLASSES["start_failed"](
        f"no worker is there and none can be started, tried again in {wait_s:.1f} s: {one.why}", retry_after=wait_s
    )
