"""What time alone can cause: the verbs of the agenda, in one table.

Each is done when it is due and checks for itself that it still matters. Called by the machine's `tick`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from millpond.core import affinity, dispatch, fleet, leaving, lifetime, losses
from millpond.core.sizing import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.machine import Machine

GROW_AGAIN_S = 0.1  # seconds between looks at a backlog
SAMPLED = 1000  # waiting calls whose expected work is added up; beyond, the rest is taken to be like them


def _look_for_stalls(m: Machine, now: float) -> None:
    m.is_watching_stalls = False
    if dispatch.take_back_stalled(m, now):
        dispatch.watch_stalls(m, now)


def _look_at_backlog(m: Machine, now: float) -> None:
    """Grow for what waits, if that is worth it; look again while anything does."""
    m.is_watching_backlog = False
    if m.is_private:
        fleet.make_fresh(m, now)
    waiting = len(m.queue) + len(m.openers)
    if not waiting or m.state not in (lifetime.SERVING, lifetime.DRAINING):
        return
    sample = list(itertools.islice(itertools.chain(m.queue, m.openers), SAMPLED))
    work = sum(call.op.expected for call in sample) * waiting / len(sample)
    starting = sum(w.state in ("starting", "warming") for w in m.workers.values())
    more = m.sizing.grow_for(Backlog(waiting, work, m.ready_count, starting, m.concurrency))
    if more:
        fleet.resize(m, len(fleet.kept(m)) + more, f"{waiting} calls wait", now)
    m.is_watching_backlog = True
    m.agenda.add(now + GROW_AGAIN_S, "backlog")


def _end_drain(m: Machine, now: float) -> None:
    for worker in list(m.workers.values()):
        for call in list(worker.inflight.values()):
            leaving.leave(m, call, "pool_closing", now)
        fleet.kill(m, worker, "the pool closed")


DUE: dict[str, Callable[[Machine, Any, float], None]] = {
    "nag": leaving.nag,
    "grace": lambda m, call, now: leaving.end_grace(m, call),
    "retry": losses.retry_now,
    "stall": lambda m, _, now: _look_for_stalls(m, now),
    "backlog": lambda m, _, now: _look_at_backlog(m, now),
    "chores": lambda m, _, now: fleet.chores(m, now),
    "reconcile": lambda m, _, now: fleet.reconcile(m, now),
    "kill": lambda m, whom, now: fleet.kill_if_there(m, *whom),
    "stopped": fleet.kill_if_stopped,
    "ttl": affinity.expire_if_idle,
    "close": lambda m, _, now: _end_drain(m, now),
}
