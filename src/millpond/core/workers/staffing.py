"""How many serve and who stands by: starts what is missing, lets spares step in, lets go of what is too many, and grows
for a backlog.

`reconcile` runs when a stimulus that changed a count is settled; nothing else starts a worker. How many there should be
is arithmetic of `sizing`, what becomes of each worker is up to `fleet`. A backlog is looked at every tenth of a second
while there is any; with private processes each waiting session needs a worker that ran nothing yet.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch
from millpond.core.records import states
from millpond.core.records.orders import Start
from millpond.core.records.sizing import Backlog
from millpond.core.records.worker import GONE, LEAVING, READY, RECYCLED, RETIRED, Worker
from millpond.core.workers import fleet
from millpond.errors import Overloaded

if TYPE_CHECKING:
    from millpond.core.records.pool import Records
    from millpond.core.records.queue import CallQueue
    from millpond.errors import PoolError

GROW_AGAIN_S = 0.1  # seconds between looks at a backlog
MAX_LIFETIME = "max_lifetime"  # why a worker that is too old is replaced
SAMPLED = 1000  # waiting calls whose expected work is added up; beyond, the rest is taken to be like them
IDLE_AGAIN_S = 0.5  # seconds until another look at an idle worker that its sessions keep
SURPLUS_AGAIN_S = 0.5  # seconds between looks at workers that are too many and could not go


def coming(pool: Records) -> int:
    """How many of those that start will serve when they are ready; the others will be spares."""
    return min(len(pool.starting), fleet.short(pool))


def staff(pool: Records) -> int:
    """Workers that serve or are about to."""
    return fleet.staying(pool) + coming(pool)


def replace(pool: Records, worker: Worker, reason: str, now: float) -> None:
    """Let another take a worker's place; it goes when that one serves, which may be one above the bound till then."""
    if worker.state not in (*LEAVING, GONE) and worker.id not in pool.outgoing:
        pool.outgoing[worker.id] = reason
        pool.unsettled.is_staffed = False


def keep(pool: Records, worker: Worker, now: float) -> None:
    """Nobody need take the worker's place any more."""
    if worker.state not in (*LEAVING, GONE) and pool.outgoing.pop(worker.id, ""):
        pool.unsettled.is_staffed = False
        if now >= worker.retire_at:  # its age was noticed when it was to go for another reason, or was that reason
            replace(pool, worker, MAX_LIFETIME, now)


def resize(pool: Records, workers: int, reason: str) -> None:
    """Want another number of workers (within bounds), and act on it."""
    before = pool.sizing.wanted
    if pool.sizing.want(workers) != before:
        pool.emit(events.PoolResized, before, pool.sizing.wanted, reason)
    pool.unsettled.is_staffed = False


def bounds_changed(pool: Records, reason: str) -> None:
    """The settings may have new bounds: bring the wanted number within them, and act on it."""
    resize(pool, pool.sizing.wanted, reason)


def try_at_once(pool: Records, now: float) -> None:
    """Other code is there: the next start need not wait until the pause is over."""
    pool.sizing.next_start_at = now
    pool.unsettled.is_staffed = False


def forgive(pool: Records, now: float) -> None:
    """Starts fail no more for what made them fail: other code is started from."""
    if pool.sizing.fails:
        fleet.proved_well(pool, now)
        pool.unsettled.is_staffed = False


def reconcile(pool: Records, now: float) -> None:
    """Let spares step in, start what is missing as the budget allows, let go of idle workers that are too many."""
    if pool.state not in states.STAFFED:
        return
    promote(pool, now)
    if pool.outgoing:
        _let_go_of_outgoing(pool)
    _start_or_dismiss(pool, now)
    _retire_idle(pool, now)
    if pool.losses and not pool.sizing.short(pool.ready_count):
        pool.losses.clear()  # fewer are wanted by now: nothing comes in their place
    if pool.queue or pool.unbound:
        pool.backlog_seen(now)
    if staff(pool) > pool.sizing.low:
        pool.look_at("idle", now + IDLE_AGAIN_S)


def promote(pool: Records, now: float) -> None:
    """While fewer serve than are wanted, the spare that stood by longest steps in."""
    if pool.state not in states.STAFFED:
        return
    while pool.standing_by and fleet.short(pool):  # asked anew: one that is to go itself may have stepped in
        spares = pool.standing_by.values()
        worker = next((one for one in spares if one.id not in pool.outgoing), None) or next(iter(spares))
        pool.emit(events.WorkerPromoted, worker.id, worker.pid, now - worker.warm_at)
        fleet.enter_service(pool, worker, now)


def _let_go_of_outgoing(pool: Records) -> None:
    """One after another: whoever serves goes when enough serve without it, whoever does not when all are there."""
    has_gone = False
    while (worker := fleet.next_to_go(pool)) is not None:
        there = fleet.staying(pool)
        standing_by = len(pool.standing_by) - (worker.id in pool.standing_by)
        if (pool.sizing.short(there) if worker.state == READY else pool.sizing.behind(there) - standing_by) > 0:
            break
        fleet.retire(pool, worker, pool.outgoing[worker.id], RECYCLED)
        has_gone = True
    if has_gone:
        pool.unsettled.has_free_slots = True
        pool.unsettled.is_staffed = False  # a spare may step in for the next one


def _start_or_dismiss(pool: Records, now: float) -> None:
    """Behind those that serve: as many as are short of what is wanted, and the spares.

    For a start that was given up nobody is started before its death is told: the pause counts from there.
    """
    # Who starts in place of a worker that is to go counts beside it: the new one serves before the old one goes.
    # Workers that were killed are alive until their death is told: they count against the bound, not as serving.
    outgoing = fleet.next_to_go(pool) if pool.outgoing else None
    going = 0 if outgoing is None else outgoing.id
    on_their_way = len(pool.starting) - (going in pool.starting)
    missing = (
        pool.sizing.behind(fleet.staying(pool)) - on_their_way - len(pool.standing_by) + (going in pool.standing_by)
    )
    if missing < 0:
        unused = [*pool.starting.values(), *pool.standing_by.values()]
        for worker in [worker for worker in unused if worker is not outgoing][:-missing]:
            fleet.retire(pool, worker, "not wanted", RETIRED)
        return
    if pool.engine.state != states.AVAILABLE:
        return
    missing = min(missing - len(pool.given_up), pool.sizing.most + bool(pool.outgoing) - len(pool.workers))
    for _ in range(pool.sizing.allowed(missing, on_their_way, now) if missing > 0 else 0):
        _start(pool, now)


def _retire_idle(pool: Records, now: float) -> None:
    surplus = pool.ready_count - pool.sizing.wanted
    if surplus > 0:
        unused = sorted((w for w in pool.free.idle.values() if not w.load), key=_how_missed)
        free_to_go = (w for w in unused if pool.may_all_leave(w))
        for worker in list(itertools.islice(free_to_go, surplus)):
            fleet.retire(pool, worker, "not wanted", RETIRED)
        if pool.ready_count > pool.sizing.wanted:  # the others are at work, or kept by their sessions
            pool.look_at("surplus", now + SURPLUS_AGAIN_S)


def look_at_surplus(pool: Records, _now: float) -> None:
    """More workers serve than are wanted: those that are free to go by now go."""
    pool.unsettled.is_staffed = False


def _how_missed(worker: Worker) -> tuple[bool, float]:
    """Those without sessions go first, then the ones idle longest."""
    return bool(worker.sessions), worker.idle_since


def _start(pool: Records, now: float) -> None:
    bound = max(pool.concurrency, dispatch.WINDOW_CALLS)
    left = pool.settings.max_calls or bound
    worker = Worker(next(pool.worker_ids), now, min(pool.concurrency, left), min(bound, left))
    pool.workers[worker.id] = pool.starting[worker.id] = worker
    pool.starts += 1
    pool.emit(events.WorkerStarting, worker.id)
    pool.outbox.append(Start(worker))
    pool.agenda.allow(pool.settings.start_timeout, "start_timeout", worker, now)


# Growing for a backlog


def note_turned_away(pool: Records, error: PoolError, now: float) -> None:
    """A call was refused because others wait, or because none may: it is demand as they are."""
    if pool.sizing.wanted >= pool.sizing.high:
        return
    if isinstance(error, Overloaded):
        pool.turned_away.add(error.service_s, now + error.allowed_s, now)
    elif error.code == "queue_full" and not pool.queued:  # what is queued is demand enough
        again_s = error.retry_after or 0.0  # about what it takes
        pool.turned_away.add(again_s, now + again_s, now)
    else:
        return
    pool.backlog_seen(now)


def look_at_backlog(pool: Records, now: float) -> None:
    """Grow for what waits, if that is worth it; look again while anything does."""
    pool.turned_away.forget_old(now)
    if not (pool.queue or pool.unbound or pool.turned_away.calls) or pool.state not in (
        states.SERVING,
        states.DRAINING,
    ):
        return
    if pool.is_private:
        _make_fresh(pool, now)
        more = _missing_fresh(pool) + _worth_starting(pool, [pool.queue], now)
    else:
        more = _worth_starting(pool, [pool.queue, pool.unbound], now)
    if more:
        why = f"{len(pool.queue) + len(pool.unbound)} calls wait"
        if pool.turned_away.calls:
            why += f" and {pool.turned_away.calls} were refused"
        resize(pool, max(pool.sizing.wanted, staff(pool) + more), why)
        pool.turned_away.clear()
    pool.look_at("backlog", now + GROW_AGAIN_S)


def _worth_starting(pool: Records, queues: list[CallQueue], now: float) -> int:
    """How many more workers the calls in these queues are worth."""
    refused = pool.turned_away
    calls = sum(map(len, queues))
    if not (calls or refused.calls):
        return 0
    sample = list(itertools.islice(itertools.chain(*queues), SAMPLED))
    work = sum(call.op.expected for call in sample) * calls / max(1, len(sample)) + refused.expected_s
    waited = now - min([*(call.submitted_at for call in sample), *([refused.since] if refused.calls else ())])
    calls += refused.calls
    serving = pool.ready_count
    if pool.is_private:
        serving = sum(w.state == READY and not w.sessions for w in pool.workers.values())
    return pool.sizing.grow_for(
        Backlog(calls, work, waited, serving, coming(pool), pool.concurrency, len(pool.standing_by))
    )


def _missing_fresh(pool: Records) -> int:
    """With private processes: how many of the waiting sessions no fresh worker is there or on its way for."""
    return max(0, len(pool.unbound) - len(pool.free.fresh) - coming(pool))


def _make_fresh(pool: Records, now: float) -> None:
    """With private processes: let go of one idle worker that was used, so that a waiting session gets a fresh one."""
    if not _missing_fresh(pool) or len(pool.workers) - len(pool.standing_by) < pool.sizing.high:
        return
    used = next((w for w in pool.free.idle.values() if w.answered and not w.load), None)
    if used is not None:
        fleet.drain(pool, used, "a session needs a fresh process", now)


# Idle workers above the floor


def look_for_idle(pool: Records, now: float) -> None:
    """Let go of workers that were idle for `idle_timeout`, as far as the floor allows; look again when the next is."""
    timeout_s = pool.settings.idle_timeout
    unused, next_at = 0, now + timeout_s
    for worker in pool.workers.values():
        if worker.state != READY or worker.load:
            continue
        is_due = now - worker.idle_since >= timeout_s
        if is_due and staff(pool) - unused > pool.sizing.low and pool.may_all_leave(worker):
            unused += 1
        else:  # one that is kept by its sessions has another look
            next_at = min(next_at, max(worker.idle_since + timeout_s, now + IDLE_AGAIN_S))
    if unused:
        resize(pool, pool.sizing.wanted - unused, "idle_timeout")
    elif staff(pool) > pool.sizing.low:
        pool.look_at("idle", next_at)
