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


def coming(m: Records) -> int:
    """How many of those that start will serve when they are ready; the others will be spares."""
    return min(len(m.starting), fleet.short(m))


def staff(m: Records) -> int:
    """Workers that serve or are about to."""
    return fleet.staying(m) + coming(m)


def replace(m: Records, worker: Worker, reason: str, now: float) -> None:
    """Let another take a worker's place; it goes when that one serves, which may be one above the bound till then."""
    if worker.state not in (*LEAVING, GONE) and worker.id not in m.outgoing:
        m.outgoing[worker.id] = reason
        m.unsettled.is_staffed = False


def keep(m: Records, worker: Worker, now: float) -> None:
    """Nobody need take the worker's place any more."""
    if worker.state not in (*LEAVING, GONE) and m.outgoing.pop(worker.id, ""):
        m.unsettled.is_staffed = False
        if now >= worker.retire_at:  # its age was noticed when it was to go for another reason, or was that reason
            replace(m, worker, MAX_LIFETIME, now)


def resize(m: Records, workers: int, reason: str, now: float) -> None:
    """Want another number of workers (within bounds), and act on it."""
    before = m.sizing.wanted
    if m.sizing.want(workers) != before:
        m.emit(events.PoolResized, before, m.sizing.wanted, reason)
    m.unsettled.is_staffed = False


def bounds_changed(m: Records, reason: str, now: float) -> None:
    """The settings may have new bounds: bring the wanted number within them, and act on it."""
    resize(m, m.sizing.wanted, reason, now)


def try_at_once(m: Records, now: float) -> None:
    """Other code is there: the next start need not wait until the pause is over."""
    m.sizing.next_start_at = now
    m.unsettled.is_staffed = False


def forgive(m: Records, now: float) -> None:
    """Starts fail no more for what made them fail: other code is started from."""
    if m.sizing.fails:
        fleet.proved_well(m, now)
        m.unsettled.is_staffed = False


def reconcile(m: Records, now: float) -> None:
    """Let spares step in, start what is missing as the budget allows, let go of idle workers that are too many."""
    if m.state not in states.STAFFED:
        return
    promote(m, now)
    if m.outgoing:
        _let_go_of_outgoing(m, now)
    _start_or_dismiss(m, now)
    _retire_idle(m, now)
    if m.losses and not m.sizing.short(m.ready_count):
        m.losses.clear()  # fewer are wanted by now: nothing comes in their place
    if m.queue or m.unbound:
        m.backlog_seen(now)
    if staff(m) > m.sizing.low:
        m.watch("idle", now + IDLE_AGAIN_S)


def promote(m: Records, now: float) -> None:
    """While fewer serve than are wanted, the spare that stood by longest steps in."""
    if m.state in states.STAFFED and m.standing_by:
        for _ in range(min(fleet.short(m), len(m.standing_by))):
            spares = m.standing_by.values()
            worker = next((one for one in spares if one.id not in m.outgoing), None) or next(iter(spares))
            m.emit(events.WorkerPromoted, worker.id, worker.pid, now - worker.warm_at)
            fleet.enter_service(m, worker, now)


def _let_go_of_outgoing(m: Records, now: float) -> None:
    """One after another: whoever serves goes when enough serve without it, whoever does not when all are there."""
    has_gone = False
    while (worker := fleet.next_to_go(m)) is not None:
        there = fleet.staying(m)
        standing_by = len(m.standing_by) - (worker.id in m.standing_by)
        if (m.sizing.short(there) if worker.state == READY else m.sizing.behind(there) - standing_by) > 0:
            break
        fleet.retire(m, worker, m.outgoing[worker.id], RECYCLED)
        has_gone = True
    if has_gone:
        m.unsettled.has_free_slots = True
        m.unsettled.is_staffed = False  # a spare may step in for the next one


def _start_or_dismiss(m: Records, now: float) -> None:
    """Behind those that serve: as many as are short of what is wanted, and the spares.

    For a start that was given up nobody is started before its death is told: the pause counts from there.
    """
    # Who starts in place of a worker that is to go counts beside it: the new one serves before the old one goes.
    # Workers that were killed are alive until their death is told: they count against the bound, not as serving.
    outgoing = fleet.next_to_go(m) if m.outgoing else None
    going = 0 if outgoing is None else outgoing.id
    on_their_way = len(m.starting) - (going in m.starting)
    missing = m.sizing.behind(fleet.staying(m)) - on_their_way - len(m.standing_by) + (going in m.standing_by)
    if missing < 0:
        unused = [*m.starting.values(), *m.standing_by.values()]
        for worker in [worker for worker in unused if worker is not outgoing][:-missing]:
            fleet.retire(m, worker, "not wanted", RETIRED)
        return
    if m.engine.state != states.AVAILABLE:
        return
    missing = min(missing - len(m.given_up), m.sizing.most + bool(m.outgoing) - len(m.workers))
    for _ in range(m.sizing.allowed(missing, on_their_way, now) if missing > 0 else 0):
        _start(m, now)


def _retire_idle(m: Records, now: float) -> None:
    surplus = m.ready_count - m.sizing.wanted
    if surplus > 0:
        unused = sorted((w for w in m.free.idle.values() if not w.load), key=_how_missed)
        free_to_go = (w for w in unused if m.may_all_leave(w))
        for worker in list(itertools.islice(free_to_go, surplus)):
            fleet.retire(m, worker, "not wanted", RETIRED)
        if m.ready_count > m.sizing.wanted:  # the others are at work, or kept by their sessions
            m.watch("surplus", now + SURPLUS_AGAIN_S)


def look_at_surplus(m: Records) -> None:
    """More workers serve than are wanted: those that are free to go by now go."""
    m.watched.discard("surplus")
    m.unsettled.is_staffed = False


def _how_missed(worker: Worker) -> tuple[bool, float]:
    """Those without sessions go first, then the ones idle longest."""
    return bool(worker.sessions), worker.idle_since


def _start(m: Records, now: float) -> None:
    bound = max(m.concurrency, dispatch.WINDOW_CALLS)
    left = m.settings.max_calls or bound
    worker = Worker(next(m.worker_ids), now, min(m.concurrency, left), min(bound, left))
    m.workers[worker.id] = m.starting[worker.id] = worker
    m.starts += 1
    m.emit(events.WorkerStarting, worker.id)
    m.outbox.append(Start(worker))
    m.agenda.allow(m.settings.start_timeout, "start_timeout", worker, now)


# Growing for a backlog


def note_turned_away(m: Records, error: PoolError, now: float) -> None:
    """A call was refused because others wait, or because none may: it is demand as they are."""
    if m.sizing.wanted >= m.sizing.high:
        return
    if isinstance(error, Overloaded):
        m.turned_away.add(error.service_s, now + error.allowed_s, now)
    elif error.code == "queue_full" and not m.queued:  # what is queued is demand enough
        again_s = error.retry_after or 0.0  # about what it takes
        m.turned_away.add(again_s, now + again_s, now)
    else:
        return
    m.backlog_seen(now)


def look_at_backlog(m: Records, now: float) -> None:
    """Grow for what waits, if that is worth it; look again while anything does."""
    m.watched.discard("backlog")
    m.turned_away.forget_old(now)
    if not (m.queue or m.unbound or m.turned_away.calls) or m.state not in (states.SERVING, states.DRAINING):
        return
    if m.is_private:
        _make_fresh(m, now)
        more = _missing_fresh(m) + _worth_starting(m, [m.queue], now)
    else:
        more = _worth_starting(m, [m.queue, m.unbound], now)
    if more:
        why = f"{len(m.queue) + len(m.unbound)} calls wait"
        if m.turned_away.calls:
            why += f" and {m.turned_away.calls} were refused"
        resize(m, max(m.sizing.wanted, staff(m) + more), why, now)
        m.turned_away.clear()
    m.watch("backlog", now + GROW_AGAIN_S)


def _worth_starting(m: Records, queues: list[CallQueue], now: float) -> int:
    """How many more workers the calls in these queues are worth."""
    refused = m.turned_away
    calls = sum(map(len, queues))
    if not (calls or refused.calls):
        return 0
    sample = list(itertools.islice(itertools.chain(*queues), SAMPLED))
    work = sum(call.op.expected for call in sample) * calls / max(1, len(sample)) + refused.expected_s
    waited = now - min([*(call.submitted_at for call in sample), *([refused.since] if refused.calls else ())])
    calls += refused.calls
    serving = m.ready_count
    if m.is_private:
        serving = sum(w.state == READY and not w.sessions for w in m.workers.values())
    return m.sizing.grow_for(Backlog(calls, work, waited, serving, coming(m), m.concurrency, len(m.standing_by)))


def _missing_fresh(m: Records) -> int:
    """With private processes: how many of the waiting sessions no fresh worker is there or on its way for."""
    return max(0, len(m.unbound) - len(m.free.fresh) - coming(m))


def _make_fresh(m: Records, now: float) -> None:
    """With private processes: let go of one idle worker that was used, so that a waiting session gets a fresh one."""
    if not _missing_fresh(m) or len(m.workers) - len(m.standing_by) < m.sizing.high:
        return
    used = next((w for w in m.free.idle.values() if w.answered and not w.load), None)
    if used is not None:
        fleet.drain(m, used, "a session needs a fresh process", now)


# Idle workers above the floor


def look_for_idle(m: Records, now: float) -> None:
    """Let go of workers that were idle for `idle_timeout`, as far as the floor allows; look again when the next is."""
    m.watched.discard("idle")
    timeout_s = m.settings.idle_timeout
    unused, next_at = 0, now + timeout_s
    for worker in m.workers.values():
        if worker.state != READY or worker.load:
            continue
        is_due = now - worker.idle_since >= timeout_s
        if is_due and staff(m) - unused > m.sizing.low and m.may_all_leave(worker):
            unused += 1
        else:  # one that is kept by its sessions has another look
            next_at = min(next_at, max(worker.idle_since + timeout_s, now + IDLE_AGAIN_S))
    if unused:
        resize(m, m.sizing.wanted - unused, "idle_timeout", now)
    elif staff(m) > m.sizing.low:
        m.watch("idle", next_at)
