"""Who gets what: pairs calls and workers, changing both in the same step.

A call goes to a free slot, or ahead into a worker's window while all the work there is about a millisecond; else it
waits in exactly one queue. Nothing is sent past an older call that waits for the same worker. Puts `Send`, `Withdraw`
and `Forget` into the outbox. What a session's next call is, is decided above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import endings, overload
from millpond.core.records import states
from millpond.core.records.call import QUEUED, RUNNING, TAKEN_BACK, TRANSITIONS
from millpond.core.records.operation import UNKNOWN
from millpond.core.records.orders import Forget, Send, Withdraw
from millpond.core.records.states import move
from millpond.core.records.worker import DRAINING, GONE, READY

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.queue import CallQueue
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker

WINDOW_S = 1e-3  # seconds of expected work that may be in flight to one worker beyond its free slots
WINDOW_CALLS = 100  # calls in flight to one worker at most; the logbook has 256 positions
STALL_S = 0.01  # seconds without an answer after which calls sent ahead are taken back
LOOK_S = 1.0  # seconds between looks at what the workers hold, while they hold anything
INTERNAL_S = 5.0  # seconds an internal call of a session may take, from when it is sent


def place(pool: Records, call: Call, now: float) -> None:
    """Send a queued call without a session at once, or put it where it waits."""
    worker = None if pool.queue.size else pick(pool, call)
    if worker is None:
        pool.queue.push(call)
        pool.note_waiting(now)
    else:
        send(pool, worker, call, now)


def place_unbound(pool: Records, session: Session, call: Call, now: float) -> None:
    """Bind the session to an idle worker, or let the first free one take it."""
    worker = None if pool.unbound.size else _pick_for_session(pool, session)
    if worker is not None:
        _bind(pool, session, worker)
        send(pool, worker, call, now)
    else:
        pool.unbound.push(call)
        pool.note_waiting(now)


def is_next(pool: Records, worker: Worker) -> bool:
    """Whether nothing waits that the worker would have to serve before a new call of one of its sessions."""
    return not worker.queue.size and (worker.load < worker.slots or not (pool.queue.size or pool.unbound.size))


def pick(pool: Records, call: Call) -> Worker | None:
    """The worker for a call without a session: the idle one used last, else the emptier of two windows with room."""
    idle = pool.free.idle
    if idle:
        return idle[next(reversed(idle))] if pool.concurrency == 1 else pool.free.for_call()
    windows = pool.open_windows
    if not windows or call.op.expected > WINDOW_S or pool.unbound.size or pool.is_private:
        return None
    candidates = iter(windows.values())
    worker = next(candidates)
    other = next(candidates, None)
    if other is not None and len(other.inflight) < len(worker.inflight):
        worker = other
    windows.move_to_end(worker.id)
    return worker if not worker.queue.size and _fits_window(worker, call) else None


def has_room(pool: Records, worker: Worker, call: Call) -> bool:
    """Whether the worker may be sent this call now."""
    if len(worker.inflight) + worker.skips < worker.slots:
        return worker.state == READY or worker.state == DRAINING
    return worker.state == READY and worker.id not in pool.stalled and _fits_window(worker, call)


def _fits_window(worker: Worker, call: Call) -> bool:
    """Whether the worker's window has room for the call, if it is open."""
    return (
        worker.expected_s + call.op.expected <= WINDOW_S
        and len(worker.inflight) + worker.skips < worker.window
        and not call.is_stream
    )


def send(pool: Records, worker: Worker, call: Call, now: float) -> None:
    """Assign: the call runs and the worker holds it, in one step."""
    if call.state == QUEUED:  # which the table allows: each call comes this way, and is spared the look at it
        call.state = RUNNING
    else:
        move(call, RUNNING, TRANSITIONS)  # raises
    # The call and the worker change in this one step, before the order is carried out. So nobody who comes between
    # the two finds the slot free, and a death that is told before the order was carried out finds the call with its
    # worker. Carried out too late, the order meets a worker that is gone: `order_failed` gives the call back.
    call.worker = worker
    call.attempts += 1
    call.sent_at = now
    call.expected = UNKNOWN if call.is_stream else call.op.expected
    if call.continuation is not None:
        call.deadline = now + (INTERNAL_S if call.session is not None else call.ticket.seconds_allowed)
        pool.wheel.add(call)
    else:
        pool.queued_bytes -= call.nbytes
        pool.queued -= 1
    inflight = worker.inflight
    if not inflight:
        worker.expected_s = 0.0
        worker.last_progress = worker.busy_since = now
        if pool.sizing.rule.spares:
            pool.unsettled.has_more_load = True
        if "work" not in pool.looks:
            pool.look_at("work", now + LOOK_S)
    inflight[call.id] = call
    worker.expected_s += call.expected
    load = len(inflight) + worker.skips
    free = pool.free
    if load >= worker.slots:
        free.idle.pop(worker.id, None)
        if load == pool.concurrency + 1:
            sent_ahead(pool, worker, now)
        if free.has_ranks:
            free.remove(worker)
    else:
        free.load_changed(worker, load)
    pool.outbox.append(Send(worker, call))
    if pool.emits_checkouts:
        pool.emit(events.WorkerCheckout, worker.id, call.id, call.op.name, now - call.submitted_at, len(inflight))


def fill(pool: Records, worker: Worker, now: float) -> None:
    """Fill a worker's slots and window from its own queue and the shared ones, oldest key first."""
    while (worker.queue.size or pool.queue.size or pool.unbound.size) and _serve_next(pool, worker, now):
        pass


def fill_free(pool: Records, now: float) -> None:
    """Give waiting calls to workers with free slots; the slots are filled before any window is."""
    served: dict[int, Worker] = {}
    while (worker := _free_for_waiting(pool)) is not None and _serve_next(pool, worker, now):
        served[worker.id] = worker
    for worker in served.values():
        fill(pool, worker, now)


def _free_for_waiting(pool: Records) -> Worker | None:
    if pool.queue.size and (worker := pool.free.for_call()) is not None:
        return worker
    first = pool.unbound.head() if pool.unbound.size else None
    return _pick_for_session(pool, first.session) if first is not None and first.session is not None else None


def _pick_for_session(pool: Records, session: Session) -> Worker | None:
    """The idle worker with the fewest sessions: who stays is to have few beside it.

    Whoever may leave at any time has the one used last, as calls without a session do: those that are not needed are
    idle, and go.
    """
    return pool.free.for_call() if pool.leaves_freely(session) else pool.free.for_session()


def _serve_next(pool: Records, worker: Worker, now: float) -> bool:
    """Send the oldest call that waits for this worker, if there is one and it fits; or end it, if its time is over or
    too short.

    The clock may be far beyond what the deadlines were last looked at for.
    """
    queue = _next_queue(pool, worker)
    if queue is None:
        return False
    # The head stays where it is until it is known that it is sent: a call that does not fit must not let a newer one
    # pass. The clock is looked at again here, as the wheel may not have been since the call's deadline.
    call = queue.head()
    assert call is not None
    if call.deadline <= now:
        endings.expire_queued(pool, call, now)
        return True
    if not has_room(pool, worker, call):
        return False
    has_little = call.deadline < now + call.op.service.limit_s  # asked here for the many that have more
    if has_little and overload.is_hopeless(pool, call, now) and overload.may_drop(pool, queue, worker):
        endings.end_queued(pool, call, "rejected", overload.dropped(pool, call, now), now)
        return True
    queue.remove(call)
    if call.session is not None and call.session.worker is None:
        _bind(pool, call.session, worker)
    send(pool, worker, call, now)
    return True


def _next_queue(pool: Records, worker: Worker) -> CallQueue | None:
    """The queue whose head this worker should serve next."""
    best = worker.queue if worker.queue.size else None
    if worker.state == READY:
        if pool.queue.size and not (pool.is_private and worker.sessions):
            best = _earlier(best, pool.queue)
        if pool.unbound.size and pool.free.may_open(worker):
            best = _earlier(best, pool.unbound)
    return best


def _earlier(one: CallQueue | None, other: CallQueue) -> CallQueue:
    """The queue whose head is to be served first; neither is empty."""
    if one is None:
        return other
    first, second = one.head(), other.head()
    assert first is not None
    assert second is not None
    return one if (first.key, first.id) < (second.key, second.id) else other


def note_free(pool: Records, worker: Worker, now: float) -> None:
    """After a worker gave something back: note whether it is idle and which windows are open."""
    if worker.state != READY:
        return
    load = len(worker.inflight) + worker.skips
    if load < worker.slots:
        if not load:
            worker.idle_since = now
            sizing = pool.sizing
            if pool.ready_count > sizing.floor:
                if pool.ready_count > sizing.wanted:
                    pool.unsettled.is_staffed = False
                else:
                    pool.look_at("idle", now + sizing.timeout(pool.ready_count))
        free = pool.free
        if worker.rank is None or free.has_ranks:
            free.add(worker)
        else:
            free.idle[worker.id] = worker
    if worker.id not in pool.open_windows:
        pool.open_windows[worker.id] = worker


# Bindings


def release(pool: Records, session: Session) -> None:
    """Take a session from its worker, which forgets what it was told of it."""
    worker = session.worker
    if worker is not None and worker.state != GONE:
        pool.outbox.append(Forget(worker, session.number))
    session.unbind()
    if worker is not None:
        pool.free.session_left(worker)


def _bind(pool: Records, session: Session, worker: Worker) -> None:
    session.bind(worker)
    if pool.is_private:
        pool.free.remove(worker)


# Calls sent ahead that do not get on


def unstall(pool: Records, worker: Worker, now: float) -> None:
    """A stalled worker answered; what it still holds ahead may stall again."""
    del pool.stalled[worker.id]
    if worker.load > pool.concurrency:
        sent_ahead(pool, worker, now)


def sent_ahead(pool: Records, worker: Worker, now: float) -> None:
    """The worker holds more than it runs at a time: it is looked at until it does no more."""
    pool.ahead[worker.id] = worker
    if "stalls" not in pool.looks:
        pool.look_at("stalls", now + STALL_S)


def look_for_stalls(pool: Records, now: float) -> None:
    """Take back what was sent ahead to workers that have not answered for `STALL_S`; look again while any may stall."""
    for worker in list(pool.ahead.values()):
        if worker.load > pool.concurrency and now < worker.last_progress + STALL_S:
            continue
        del pool.ahead[worker.id]
        if worker.load <= pool.concurrency:
            continue
        pool.stalled[worker.id] = worker
        pool.open_windows.pop(worker.id, None)
        take_back(pool, worker)
    if pool.ahead:
        pool.look_at("stalls", now + STALL_S)


def take_back(pool: Records, worker: Worker) -> None:
    """Ask for the calls that wait inside a stalled worker, if any other is there or may be started to serve them."""
    others = len(pool.workers) - len(pool.standing_by) - 1
    if not others and pool.sizing.wanted >= pool.sizing.ceiling:
        return
    # Only those behind the calls that are at work: these stand in front, as workers begin calls in the order in which
    # they were sent. One that has begun after all is not given back, and simply goes on. A call in a session goes
    # back only if its session may leave with it: its state is where its calls run.
    for call in list(worker.inflight.values())[
        pool.concurrency :
    ]:  # the first ones are, as far as can be told, at work
        session = call.session
        may_be_served = session is None or (session.affinity == "hint" and pool.may_move(session))
        if call.state == RUNNING and may_be_served and not call.cancel_reason and call.continuation is None:
            call.cancel_reason = TAKEN_BACK
            pool.outbox.append(Withdraw(worker, call))


def put_back(pool: Records, call: Call, now: float) -> None:
    """A call that never began waits again, where its age puts it; a pool that closes refuses it."""
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    call.cancel_reason = ""
    call.attempts -= 1
    if call.continuation is not None:
        pool.wheel.discard(call)
        call.deadline = math.inf
    else:
        pool.queued += 1
        pool.queued_bytes += call.nbytes
    session = call.session
    if session is None:
        pool.queue.push(call)
    elif session.worker is not None:
        wait_for_worker(pool, session.worker, call, now)
    else:
        pool.unbound.push(call)
    if pool.state == states.CLOSING:
        endings.refuse_closing(pool, call, now)
    else:
        pool.note_waiting(now)


def wait_for_worker(pool: Records, worker: Worker, call: Call, now: float) -> None:
    """A session's call waits for its worker; if the session may leave that, it is looked again whether it should."""
    worker.queue.push(call)
    session = call.session
    assert session is not None
    if session.affinity == "hint" and call.continuation is None and pool.is_candidate(session):
        pool.candidates[call.id] = call
        pool.look_for_room(now + STALL_S)
        pool.note_waiting(now)
