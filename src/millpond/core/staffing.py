"""Who serves and who stands by: starts what is missing, lets spares step in, and lets go of what is too many.

Called after whatever changed a count. How many there should be is `sizing`'s to say, what becomes of each worker
`fleet`'s; nothing else starts one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import dispatch, fleet, lifetime, moving
from millpond.core.worker import RETIRED, Worker

if TYPE_CHECKING:
    from millpond.core.machine import Machine


def coming(m: Machine) -> int:
    """How many of those that start will serve when they are ready; the others will be spares."""
    return min(len(m.starting), m.sizing.short(m.ready_count))


def staff(m: Machine) -> int:
    """Workers that serve or are about to."""
    return m.ready_count + coming(m)


def resize(m: Machine, workers: int, reason: str, now: float) -> None:
    """Want another number of workers (within bounds), and act on it."""
    before = m.sizing.wanted
    if m.sizing.want(workers) != before:
        m.say(events.PoolResized, before, m.sizing.wanted, reason)
    reconcile(m, now)


def set_bounds(m: Machine, low: int, high: int, reason: str, now: float) -> None:
    """Set new bounds, bring the wanted number within them, and act on it."""
    before = m.sizing.wanted
    m.sizing.bounds(low, high)
    if m.sizing.wanted != before:
        m.say(events.PoolResized, before, m.sizing.wanted, reason)
    reconcile(m, now)


def reconcile(m: Machine, now: float) -> None:
    """Let spares step in, start what is missing as the budget allows, let go of idle workers that are too many."""
    if m.state not in lifetime.STAFFED:
        return
    promote(m, now)
    _start_or_dismiss(m, now)
    _retire_idle(m, now)
    if m.losses and not m.sizing.short(m.ready_count):
        m.losses.clear()  # fewer are wanted by now: nothing comes in their place
    if m.queue or m.openers:
        m.backlog_seen(now)


def promote(m: Machine, now: float) -> None:
    """While fewer serve than are wanted, the spare that stood by longest steps in."""
    if m.state in lifetime.STAFFED:
        while m.standing_by and m.sizing.short(m.ready_count):
            worker = next(iter(m.standing_by.values()))
            m.say(events.WorkerPromoted, worker.id, worker.pid, now - worker.warm_at)
            fleet.enter_service(m, worker, now)


def _start_or_dismiss(m: Machine, now: float) -> None:
    """Behind those that serve: as many as are short of what is wanted, and the spares.

    For a start that was given up nobody is started before its death is told: the pause counts from there.
    """
    missing = m.sizing.behind(m.ready_count) - len(m.starting) - len(m.standing_by)
    if missing < 0:
        for worker in [*m.starting.values(), *m.standing_by.values()][:-missing]:
            fleet.retire(m, worker, "not wanted", RETIRED, now)
        return
    missing = min(missing - len(m.given_up), m.sizing.most - len(m.workers))
    for _ in range(m.sizing.allowed(missing, len(m.starting), now) if missing > 0 else 0):
        _start(m, now)


def _retire_idle(m: Machine, now: float) -> None:
    surplus = m.ready_count - m.sizing.wanted
    if surplus > 0:
        unused = sorted((w for w in m.idle.values() if not w.load), key=_how_missed)
        free_to_go = (w for w in unused if moving.may_all_leave(m, w))
        for worker in list(itertools.islice(free_to_go, surplus)):
            fleet.retire(m, worker, "not wanted", RETIRED, now)


def _how_missed(worker: Worker) -> tuple[bool, float]:
    """Those without sessions go first, then the ones idle longest."""
    return bool(worker.sessions), worker.idle_since


def _start(m: Machine, now: float) -> None:
    bound = max(m.concurrency, dispatch.WINDOW_CALLS)
    left = m.settings.max_calls or bound
    worker = Worker(next(m.worker_ids), now, min(m.concurrency, left), min(bound, left))
    m.workers[worker.id] = m.starting[worker.id] = worker
    m.starts += 1
    m.say(events.WorkerStarting, worker.id)
    m.outbox.append(("start", worker, None))
