"""Who serves and who stands by: starts what is missing, lets spares step in, and lets go of what is too many.

Called after whatever changed a count. How many there should be is `sizing`'s to say, what becomes of each worker
`fleet`'s; nothing else starts one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import dispatch, fleet, lifetime, moving, outage
from millpond.core.worker import DRAINING, GONE, READY, RECYCLED, RETIRED, Worker

if TYPE_CHECKING:
    from millpond.core.machine import Machine


def next_to_go(m: Machine) -> Worker | None:
    """Whose place another is to take now: it serves on till then, and is not counted among those who stay."""
    for worker_id in m.outgoing:
        if m.workers[worker_id].state != DRAINING:
            return m.workers[worker_id]
    return None


def staying(m: Machine) -> int:
    """Workers that serve and are to stay."""
    outgoing = next_to_go(m) if m.outgoing else None
    return m.ready_count - (outgoing is not None and outgoing.state == READY)


def short(m: Machine) -> int:
    """How many more should serve."""
    return m.sizing.short(staying(m))


def coming(m: Machine) -> int:
    """How many of those that start will serve when they are ready; the others will be spares."""
    return min(len(m.starting), short(m))


def staff(m: Machine) -> int:
    """Workers that serve or are about to."""
    return staying(m) + coming(m)


def replace(m: Machine, worker: Worker, reason: str, now: float) -> None:
    """Let another take a worker's place; it goes when that one serves, which may be one above the bound till then."""
    if worker.state not in (DRAINING, GONE) and worker.id not in m.outgoing:
        m.outgoing[worker.id] = reason
        reconcile(m, now)


def keep(m: Machine, worker: Worker, now: float) -> None:
    """Nobody need take the worker's place any more."""
    if worker.state not in (DRAINING, GONE) and m.outgoing.pop(worker.id, ""):
        reconcile(m, now)


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


def try_at_once(m: Machine, now: float) -> None:
    """Other code is there: the next start need not wait until the pause is over."""
    m.sizing.next_start_at = now
    reconcile(m, now)


def forgive(m: Machine, now: float) -> None:
    """Starts fail no more for what made them fail: other code is started from."""
    if m.sizing.fails:
        fleet.proved_well(m, now)
        reconcile(m, now)


def reconcile(m: Machine, now: float) -> None:
    """Let spares step in, start what is missing as the budget allows, let go of idle workers that are too many."""
    if m.state not in lifetime.STAFFED:
        return
    promote(m, now)
    if m.outgoing:
        _let_go_of_outgoing(m, now)
    _start_or_dismiss(m, now)
    _retire_idle(m, now)
    if m.losses and not m.sizing.short(m.ready_count):
        m.losses.clear()  # fewer are wanted by now: nothing comes in their place
    if m.queue or m.openers:
        m.backlog_seen(now)


def promote(m: Machine, now: float) -> None:
    """While fewer serve than are wanted, the spare that stood by longest steps in."""
    if m.state in lifetime.STAFFED and m.standing_by:
        for _ in range(min(short(m), len(m.standing_by))):
            spares = m.standing_by.values()
            worker = next((one for one in spares if one.id not in m.outgoing), None) or next(iter(spares))
            m.say(events.WorkerPromoted, worker.id, worker.pid, now - worker.warm_at)
            fleet.enter_service(m, worker, now)


def _let_go_of_outgoing(m: Machine, now: float) -> None:
    """One after another: whoever serves goes when enough serve without it, whoever does not when all are there."""
    has_gone = False
    while (worker := next_to_go(m)) is not None:
        there = staying(m)
        standing_by = len(m.standing_by) - (worker.id in m.standing_by)
        if (m.sizing.short(there) if worker.state == READY else m.sizing.behind(there) - standing_by) > 0:
            break
        fleet.retire(m, worker, m.outgoing[worker.id], RECYCLED, now)
        has_gone = True
    if has_gone:
        dispatch.pump_idle(m, now)


def _start_or_dismiss(m: Machine, now: float) -> None:
    """Behind those that serve: as many as are short of what is wanted, and the spares.

    For a start that was given up nobody is started before its death is told: the pause counts from there.
    """
    outgoing = next_to_go(m) if m.outgoing else None
    going = 0 if outgoing is None else outgoing.id
    on_their_way = len(m.starting) - (going in m.starting)
    missing = m.sizing.behind(staying(m)) - on_their_way - len(m.standing_by) + (going in m.standing_by)
    if missing < 0:
        unused = [*m.starting.values(), *m.standing_by.values()]
        for worker in [worker for worker in unused if worker is not outgoing][:-missing]:
            fleet.retire(m, worker, "not wanted", RETIRED, now)
        return
    if m.outage.state != outage.THERE:
        return
    missing = min(missing - len(m.given_up), m.sizing.most + bool(m.outgoing) - len(m.workers))
    for _ in range(m.sizing.allowed(missing, on_their_way, now) if missing > 0 else 0):
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
