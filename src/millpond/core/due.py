"""What time alone can cause: the verbs of the agenda, in one table.

Each is done when it is due and checks for itself that it still matters. Called by the machine's `tick`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from millpond.core import affinity, dispatch, fleet, leaving, lifetime, losses
from millpond.core.sizing import Backlog
from millpond.core.worker import READY

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.machine import Machine
    from millpond.core.queue import CallQueue

GROW_AGAIN_S = 0.1  # seconds between looks at a backlog
SAMPLED = 1000  # waiting calls whose expected work is added up; beyond, the rest is taken to be like them


def _look_at_backlog(m: Machine, now: float) -> None:
    """Grow for what waits, if that is worth it; look again while anything does."""
    if not (m.queue or m.openers) or m.state not in (lifetime.SERVING, lifetime.DRAINING):
        m.is_watching_backlog = False
        return
    if m.is_private:
        fleet.make_fresh(m, now)
        more = fleet.missing_fresh(m) + _worth_starting(m, [m.queue], now)
    else:
        more = _worth_starting(m, [m.queue, m.openers], now)
    if more:
        waiting = len(m.queue) + len(m.openers)
        fleet.resize(m, max(m.sizing.wanted, len(fleet.kept(m)) + more), f"{waiting} calls wait", now)
    m.agenda.add(now + GROW_AGAIN_S, "backlog")


def _worth_starting(m: Machine, queues: list[CallQueue], now: float) -> int:
    """How many more workers the calls in these queues are worth."""
    calls = sum(map(len, queues))
    if not calls:
        return 0
    sample = list(itertools.islice(itertools.chain(*queues), SAMPLED))
    work = sum(call.op.expected for call in sample) * calls / len(sample)
    waited = now - min(call.submitted_at for call in sample)
    serving = sum(w.state == READY and not (m.is_private and w.sessions) for w in m.workers.values())
    return m.sizing.grow_for(Backlog(calls, work, waited, serving, len(fleet.starting(m)), m.concurrency))


def _end_drain(m: Machine, now: float) -> None:
    for worker in list(m.workers.values()):
        for call in list(worker.inflight.values()):
            leaving.leave(m, call, "pool_closing", now)
        fleet.kill(m, worker, "the pool closed")


DUE: dict[str, Callable[[Machine, Any, float], None]] = {
    "nag": leaving.nag,
    "overdue": leaving.stop,
    "grace": lambda m, call, now: leaving.end_grace(m, call),
    "retry": losses.retry_now,
    "stall": lambda m, _, now: dispatch.look_for_stalls(m, now),
    "backlog": lambda m, _, now: _look_at_backlog(m, now),
    "chores": lambda m, _, now: fleet.chores(m, now),
    "reconcile": lambda m, _, now: fleet.reconcile(m, now),
    "kill": lambda m, whom, now: fleet.kill_if_there(m, *whom),
    "stopped": fleet.kill_if_stopped,
    "ttl": lambda m, _, now: affinity.expire_idle(m, now),
    "close": lambda m, _, now: _end_drain(m, now),
}
