"""What is looked at twice a second: slow starts, idle and silent workers, age, memory, breakers' windows.

Runs from the agenda, as `due` says; puts `ping`, `check` and `weigh` orders into the outbox and lets `fleet` end what
has to go.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import fleet, moving, overload, staffing
from millpond.core.sizing import EARLY
from millpond.core.worker import READY, SPARE, START_FAILED, STARTING, UNRESPONSIVE, WARMING, Worker

if TYPE_CHECKING:
    from millpond.core.machine import Machine

ASK_AFTER_S = 2.0  # without an answer of a worker that has calls: it is asked whether it has them too
PINGS = 3  # missed pings after which an idle worker is replaced
WEIGH_EVERY = 4  # rounds of chores between looks at a worker's memory


def chores(m: Machine, now: float) -> None:
    """One round; the next is noted. Only time in which the pool ran is counted against a worker."""
    m.chores_done += 1
    m.agenda.add(now + fleet.CHORES_S, "chores")
    if not m.stood_still(now - fleet.CHORES_S, now):  # a look after each half of a second in which the pool ran
        m.outbox.append(("check", None, None))
    for operation in itertools.chain(m.operations.values(), m.functions.values()):
        operation.breaker.sample(now, operation.ended)
        m.longest_s = max(m.longest_s, operation.service.mean_s)
        if operation.service.doubted is not None:
            overload.look_back(m, operation, now)
    unused = 0
    for worker in list(m.workers.values()):
        if worker.load:
            _maybe_ask(m, worker, now)
        if worker.state in (STARTING, WARMING):
            if not worker.greeted_at and _ran(m, worker.started_at, now) > m.settings.start_timeout:
                fleet.kill(m, worker, fleet.START_TIMEOUT, START_FAILED, now)
        elif worker.state in (SPARE, READY):
            _look_after(m, worker, now)
            unused += _is_one_too_many(m, worker, unused, now)
    if unused:
        staffing.resize(m, m.sizing.wanted - unused, "idle_timeout", now)
    staffing.reconcile(m, now)


def _ran(m: Machine, since: float, now: float) -> float:
    """Seconds since then in which the pool ran."""
    return now - since - m.stood_still(since, now)


def _look_after(m: Machine, worker: Worker, now: float) -> None:
    if m.sizing.fails and now - worker.warm_at > EARLY and worker.warm_at > m.failed_at:
        fleet.proved_well(m, now)
    if worker.retire_at is not None and now >= worker.retire_at:
        staffing.replace(m, worker, "max_lifetime", now)
    if m.settings.max_memory is not None and m.chores_done % WEIGH_EVERY == 0:
        m.outbox.append(("weigh", worker, None))
    if worker.load:
        worker.pings_missed = 0
    elif _ran(m, max(worker.pinged_at, worker.idle_since), now) >= m.settings.health_interval:
        _ping(m, worker, now)


def _is_one_too_many(m: Machine, worker: Worker, others: int, now: float) -> bool:
    """Whether it was idle for long enough to go, and is above the floor with so many others gone."""
    if worker.state != READY or worker.load or now - worker.idle_since < m.settings.idle_timeout:
        return False
    return staffing.staff(m) - others > m.sizing.low and moving.may_all_leave(m, worker)


def _maybe_ask(m: Machine, worker: Worker, now: float) -> None:
    """Ask a worker what it holds: its silence means that it works, but its answer may be that it does not."""
    if not (worker.is_asked or worker.is_killed) and now - max(worker.last_progress, worker.pinged_at) >= ASK_AFTER_S:
        worker.is_asked = True
        worker.pinged_at = now
        m.outbox.append(("ping", worker, None))


def _ping(m: Machine, worker: Worker, now: float) -> None:
    if worker.pings_missed:
        silent_s = now - worker.pinged_at
        m.say(events.WorkerHealth, worker.id, worker.pid, "missed", worker.pings_missed, silent_s)
    if worker.pings_missed >= PINGS:
        fleet.kill(m, worker, f"missed {PINGS} pings", UNRESPONSIVE, now)
        return
    worker.pings_missed += 1  # until it answers
    worker.is_asked = True
    worker.pinged_at = now
    m.outbox.append(("ping", worker, None))
