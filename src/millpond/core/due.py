"""What time alone can cause: the verbs of the agenda, in one table.

Each is done when it is due and checks for itself that it still matters. Called by the machine's `tick`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.core import (
    dispatch,
    expiry,
    failures,
    fleet,
    growth,
    leaving,
    losses,
    outage,
    sleeping,
    staffing,
    upkeep,
    warmup,
)
from millpond.core.worker import RETIRED

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.machine import Machine


def _end_drain(m: Machine, now: float) -> None:
    for worker in list(m.workers.values()):
        for call in list(worker.inflight.values()):
            leaving.leave(m, call, "pool_closing", now)
        fleet.kill(m, worker, "the pool closed", RETIRED, now)


DUE: dict[str, Callable[[Machine, Any, float], None]] = {
    "nag": leaving.nag,
    "overdue": leaving.stop,
    "grace": leaving.end_grace,
    "retry": losses.retry_now,
    "stall": lambda m, _, now: dispatch.look_for_stalls(m, now),
    "backlog": lambda m, _, now: growth.look_at_backlog(m, now),
    "chores": lambda m, _, now: upkeep.chores(m, now),
    "warm": warmup.go_on,
    "revive": lambda m, _, now: outage.revive(m, now),
    "reconcile": lambda m, _, now: staffing.reconcile(m, now),
    "kill": lambda m, whom, now: fleet.kill_if_there(m, whom[0], whom[1], now),
    "stopped": fleet.look_if_stopped,
    "kill_again": failures.kill_again,
    "erase_again": failures.erase_again,
    "sleep": lambda m, _, now: sleeping.look_for_sleepers(m, now),
    "evacuate": fleet.evacuate,
    "ttl": lambda m, _, now: expiry.look(m, now),
    "close": lambda m, _, now: _end_drain(m, now),
}
