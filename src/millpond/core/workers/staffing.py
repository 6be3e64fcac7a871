"""How many serve and who stands by: starts what is missing, lets spares step in, lets go of what is too many, and grows
for a backlog.

`reconcile` runs when a stimulus that changed a count is settled; nothing else starts a worker. How many there should be
is arithmetic of `sizing`, what becomes of each worker is up to `fleet`. The load is looked at when a call has to wait
or gets too old, when a worker becomes idle and when its timeout is over; with private processes each waiting session
needs a worker that ran nothing yet.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch
from millpond.core.records import states
from millpond.core.records.call import QUEUED
from millpond.core.records.orders import Start
from millpond.core.records.sizing import Load
from millpond.core.records.worker import GONE, LEAVING, READY, RECYCLED, RETIRED, Worker
from millpond.core.workers import fleet
from millpond.errors import Overloaded

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.queue import CallQueue
    from millpond.core.records.sizing import SizingRule
    from millpond.errors import PoolError

LOAD_AGAIN_S = 0.001  # seconds between looks at a load by time alone, at least
FRESH_AGAIN_S = 0.1  # seconds between looks at sessions that wait for a fresh process
MAX_LIFETIME = "max_lifetime"  # why a worker that is too old is replaced
SAMPLED = 64  # waiting calls whose expected work is added up; beyond, the rest is taken to be like them
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
    pool.sizing.want(workers)
    _resized(pool, before, reason)


def _resized(pool: Records, before: int, reason: str) -> None:
    if pool.sizing.wanted != before:
        pool.emit(events.PoolResized, before, pool.sizing.wanted, reason)
    pool.unsettled.is_staffed = False


def size_by(pool: Records, rule: SizingRule, reason: str, now: float) -> None:
    """Go by another rule from now on: what it is worth starts, what is beyond it goes as it becomes idle."""
    before = pool.sizing.wanted
    pool.sizing.go_by(pool.settings, rule)
    _resized(pool, before, reason)
    pool.unsettled.has_more_load = True
    if pool.ready_count > pool.sizing.floor:
        pool.look_at("idle", now)


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
    if pool.queue.size or pool.unbound.size:
        pool.unsettled.has_more_load = True
    if pool.ready_count > pool.sizing.floor:
        # Who was idle before while no more were needed was planned for by nobody, and may be due before the next is.
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
    if pool.sizing.wanted >= pool.sizing.ceiling:
        return
    if isinstance(error, Overloaded):
        pool.turned_away.add(error.service_s, now + error.allowed_s, now)
    elif error.code == "queue_full" and not pool.queued:  # what is queued is demand enough
        again_s = error.retry_after or 0.0  # about what it takes
        pool.turned_away.add(again_s, now + again_s, now)
    else:
        return
    pool.look_at("load", now)


def look_at_load(pool: Records, now: float) -> None:
    """Have as many workers as the load is worth by the sizing rule; look again when that may be more by time alone."""
    refused = pool.turned_away
    refused.forget_old(now)
    if pool.state not in (states.SERVING, states.DRAINING):
        return
    sizing = pool.sizing
    if pool.is_private and pool.unbound.size:
        _make_fresh(pool, now)
        pool.look_at("load", now + FRESH_AGAIN_S)
    if sizing.wanted >= sizing.ceiling:
        return
    load, again_at = load_of(pool, now)
    if again_at < math.inf:
        pool.look_at("load", max(again_at, now + LOAD_AGAIN_S))
    worth = sizing.worth(load, len(pool.standing_by))
    if pool.is_private:
        worth = max(worth, staff(pool)) + _missing_fresh(pool)
    if worth > sizing.wanted:
        resize(pool, worth, _why(pool, load))
        refused.clear()


def _why(pool: Records, load: Load) -> str:
    """What of a load asks for more workers."""
    calls, refused = load.waiting, pool.turned_away.calls
    if not calls:
        return f"{load.busy} at work"
    return f"{calls} waiting" + (f", {refused} of them refused" if refused else "")


def load_of(pool: Records, now: float) -> tuple[Load, float]:
    """The load as the rule sees it, and when it may be another by time alone: another call is overdue, or the oldest
    belies the estimate. Calls that were refused are among those that wait, and calls behind a busy worker that their
    session may leave.
    """
    sizing, refused, rule = pool.sizing, pool.turned_away, pool.sizing.rule
    busy = pool.ready_count - pool.free.unused  # with private processes those that have a session, too
    most = max(1, sizing.ceiling - busy) * pool.concurrency  # more need not be told apart
    queues = [
        queue for queue in (pool.queue, pool.unbound) if queue.size and (queue is pool.queue or not pool.is_private)
    ]
    elsewhere = [
        call
        for call in itertools.islice(pool.candidates.values(), most)
        if call.state == QUEUED and call.line is not None
    ]
    waiting = refused.calls + sum(queue.size for queue in queues) + len(elsewhere)
    if not waiting:
        return Load(busy, 0, 0, 0.0), math.inf
    since = [queue.oldest() or now for queue in queues] + [call.submitted_at for call in elsewhere]
    belied_at = min(since + [refused.since] * bool(refused.calls)) + sizing.belied_after_s
    is_belied = belied_at <= now
    overdue, again_at = refused.calls, math.inf if is_belied else belied_at
    for queue in queues:
        old, old_at = queue.overdue(rule.patience_s, 0.0 if is_belied else rule.window_s, now, most)
        overdue, again_at = overdue + old, min(again_at, old_at)
    for call in elsewhere:
        if (old_at := call.submitted_at + rule.patience_s) > now:
            again_at = min(again_at, old_at)
        else:
            overdue += 1
    in_workers = math.ceil(waiting / pool.concurrency), math.ceil(overdue / pool.concurrency)
    return Load(busy, *in_workers, math.inf if is_belied else _service_s(pool, queues, elsewhere)), again_at


def _service_s(pool: Records, queues: list[CallQueue], elsewhere: list[Call]) -> float:
    """Seconds that a call which waits, or was refused, is expected to take, on average."""
    sample = list(itertools.islice(itertools.chain(*queues, elsewhere), SAMPLED))
    calls, seconds = len(sample), sum(call.op.expected for call in sample)
    refused = pool.turned_away
    if not refused.calls:
        return seconds / calls
    waiting = sum(queue.size for queue in queues) + len(elsewhere)
    return (seconds * waiting / max(1, calls) + refused.expected_s) / (waiting + refused.calls)


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
    """Let go of workers that were idle longer than the timeout of their level, as far as the load allows; look again
    when the next is.
    """
    sizing = pool.sizing
    needed = max(sizing.floor, pool.ready_count - pool.free.unused + sizing.rule.spares)
    going: list[Worker] = []
    again_at = math.inf
    for worker in pool.free.idle.values():  # the one that was used last is the last
        ready = pool.ready_count - len(going)
        if ready <= needed:
            break
        if worker.load:
            continue
        due_at = worker.idle_since + sizing.timeout(ready)
        if due_at > now:
            again_at = min(again_at, due_at)
            break
        if pool.may_all_leave(worker):
            going.append(worker)
        else:
            again_at = now + IDLE_AGAIN_S
    for worker in going:  # these very workers: none that starts is dismissed for them
        fleet.retire(pool, worker, "idle_timeout", RETIRED)
    if going:
        resize(pool, sizing.wanted - len(going), "idle_timeout")
    if again_at < math.inf:
        pool.look_at("idle", again_at)
