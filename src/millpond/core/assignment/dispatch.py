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
LOOK_S = 0.5  # seconds between looks at what the workers hold, while they hold anything
INTERNAL_S = 5.0  # seconds an internal call of a session may take, from when it is sent


def place(m: Records, call: Call, now: float) -> None:
    """Send a queued call without a session at once, or put it where it waits."""
    worker = None if m.queue.size else pick(m, call)
    if worker is None:
        m.queue.push(call)
        m.backlog_seen(now)
    else:
        send(m, worker, call, now)


def place_unbound(m: Records, session: Session, call: Call, now: float) -> None:
    """Bind the session to the idle worker with the fewest sessions, or let the first free one take it."""
    worker = None if m.unbound.size else m.free.for_session()
    if worker is not None:
        _bind(m, session, worker)
        send(m, worker, call, now)
    else:
        m.unbound.push(call)
        m.backlog_seen(now)


def is_next(m: Records, worker: Worker) -> bool:
    """Whether nothing waits that the worker would have to serve before a new call of one of its sessions."""
    return not worker.queue.size and (worker.load < worker.slots or not (m.queue.size or m.unbound.size))


def pick(m: Records, call: Call) -> Worker | None:
    """The worker for a call without a session: the idle one used last, else the emptier of two windows with room."""
    idle = m.free.idle
    if idle:
        return idle[next(reversed(idle))] if m.concurrency == 1 else m.free.for_call()
    windows = m.open_windows
    if not windows or call.op.expected > WINDOW_S or m.unbound.size or m.is_private:
        return None
    candidates = iter(windows.values())
    worker = next(candidates)
    other = next(candidates, None)
    if other is not None and len(other.inflight) < len(worker.inflight):
        worker = other
    windows.move_to_end(worker.id)
    return worker if not worker.queue.size and _fits_window(worker, call) else None


def has_room(m: Records, worker: Worker, call: Call) -> bool:
    """Whether the worker may be sent this call now."""
    if len(worker.inflight) + worker.skips < worker.slots:
        return worker.state == READY or worker.state == DRAINING
    return worker.state == READY and worker.id not in m.stalled and _fits_window(worker, call)


def _fits_window(worker: Worker, call: Call) -> bool:
    """Whether the worker's window has room for the call, if it is open."""
    return (
        worker.expected_s + call.op.expected <= WINDOW_S
        and len(worker.inflight) + worker.skips < worker.window
        and not call.is_stream
    )


def send(m: Records, worker: Worker, call: Call, now: float) -> None:
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
        m.wheel.add(call)
    else:
        m.queued_bytes -= call.nbytes
        m.queued -= 1
    inflight = worker.inflight
    if not inflight:
        worker.expected_s = 0.0
        worker.last_progress = worker.busy_since = now
        if "work" not in m.watched:
            m.watch("work", now + LOOK_S)
    inflight[call.id] = call
    worker.expected_s += call.expected
    load = len(inflight) + worker.skips
    free = m.free
    if load >= worker.slots:
        free.idle.pop(worker.id, None)
        if load == m.concurrency + 1:
            sent_ahead(m, worker, now)
        if free.has_ranks:
            free.remove(worker)
    else:
        free.load_changed(worker, load)
    m.outbox.append(Send(worker, call))
    if m.emits_checkouts:
        m.emit(events.WorkerCheckout, worker.id, call.id, call.op.name, now - call.submitted_at, len(inflight))


def fill(m: Records, worker: Worker, now: float) -> None:
    """Fill a worker's slots and window from its own queue and the shared ones, oldest key first."""
    while (worker.queue.size or m.queue.size or m.unbound.size) and _serve_next(m, worker, now):
        pass


def fill_free(m: Records, now: float) -> None:
    """Give waiting calls to workers with free slots; the slots are filled before any window is."""
    served: dict[int, Worker] = {}
    while (worker := _free_for_waiting(m)) is not None and _serve_next(m, worker, now):
        served[worker.id] = worker
    for worker in served.values():
        fill(m, worker, now)


def _free_for_waiting(m: Records) -> Worker | None:
    worker = m.free.for_call() if m.queue.size else None
    return worker or (m.free.for_session() if m.unbound.size else None)


def _serve_next(m: Records, worker: Worker, now: float) -> bool:
    """Send the oldest call that waits for this worker, if there is one and it fits; or end it, if its time is over or
    too short.

    The clock may be far beyond what the deadlines were last looked at for.
    """
    queue = _next_queue(m, worker)
    if queue is None:
        return False
    # The head stays where it is until it is known that it is sent: a call that does not fit must not let a newer one
    # pass. The clock is looked at again here, as the wheel may not have been since the call's deadline.
    call = queue.head()
    assert call is not None
    if call.deadline <= now:
        endings.expire_queued(m, call, now)
        return True
    if not has_room(m, worker, call):
        return False
    has_little = call.deadline < now + call.op.service.limit_s  # asked here for the many that have more
    if has_little and overload.is_hopeless(m, call, now) and overload.may_drop(m, queue, worker):
        endings.end_queued(m, call, "rejected", overload.dropped(m, call, now), now)
        return True
    queue.remove(call)
    if call.session is not None and call.session.worker is None:
        _bind(m, call.session, worker)
    send(m, worker, call, now)
    return True


def _next_queue(m: Records, worker: Worker) -> CallQueue | None:
    """The queue whose head this worker should serve next."""
    best = worker.queue if worker.queue.size else None
    if worker.state == READY:
        if m.queue.size and not (m.is_private and worker.sessions):
            best = _earlier(best, m.queue)
        if m.unbound.size and m.free.may_open(worker):
            best = _earlier(best, m.unbound)
    return best


def _earlier(one: CallQueue | None, other: CallQueue) -> CallQueue:
    """The queue whose head is to be served first; neither is empty."""
    if one is None:
        return other
    first, second = one.head(), other.head()
    assert first is not None
    assert second is not None
    return one if (first.key, first.id) < (second.key, second.id) else other


def note_free(m: Records, worker: Worker, now: float) -> None:
    """After a worker gave something back: note whether it is idle and which windows are open."""
    if worker.state != READY:
        return
    load = len(worker.inflight) + worker.skips
    if load < worker.slots:
        if not load:
            worker.idle_since = now
        free = m.free
        if worker.rank is None or free.has_ranks:
            free.add(worker)
        else:
            free.idle[worker.id] = worker
    if worker.id not in m.open_windows:
        m.open_windows[worker.id] = worker


# Bindings


def release(m: Records, session: Session) -> None:
    """Take a session from its worker, which forgets what it was told of it."""
    worker = session.worker
    if worker is not None and worker.state != GONE:
        m.outbox.append(Forget(worker, session.number))
    session.unbind()
    if worker is not None:
        m.free.session_left(worker)


def _bind(m: Records, session: Session, worker: Worker) -> None:
    session.bind(worker)
    if m.is_private:
        m.free.remove(worker)


# Calls sent ahead that do not get on


def unstall(m: Records, worker: Worker, now: float) -> None:
    """A stalled worker answered; what it still holds ahead may stall again."""
    del m.stalled[worker.id]
    if worker.load > m.concurrency:
        sent_ahead(m, worker, now)


def sent_ahead(m: Records, worker: Worker, now: float) -> None:
    """The worker holds more than it runs at a time: it is looked at until it does no more."""
    m.ahead[worker.id] = worker
    if "stalls" not in m.watched:
        m.watch("stalls", now + STALL_S)


def look_for_stalls(m: Records, now: float) -> None:
    """Take back what was sent ahead to workers that have not answered for `STALL_S`; look again while any may stall."""
    m.watched.discard("stalls")
    for worker in list(m.ahead.values()):
        if worker.load > m.concurrency and now < worker.last_progress + STALL_S:
            continue
        del m.ahead[worker.id]
        if worker.load <= m.concurrency:
            continue
        m.stalled[worker.id] = worker
        m.open_windows.pop(worker.id, None)
        take_back(m, worker)
    if m.ahead:
        m.watch("stalls", now + STALL_S)


def take_back(m: Records, worker: Worker) -> None:
    """Ask for the calls that wait inside a stalled worker, if any other is there or may be started to serve them."""
    others = len(m.workers) - len(m.standing_by) - 1
    if not others and m.sizing.wanted >= m.sizing.high:
        return
    # Only those behind the calls that are at work: these stand in front, as workers begin calls in the order in which
    # they were sent. One that has begun after all is not given back, and simply goes on. A call in a session goes
    # back only if its session may leave with it: its state is where its calls run.
    for call in list(worker.inflight.values())[m.concurrency :]:  # the first ones are, as far as can be told, at work
        session = call.session
        may_be_served = session is None or (session.affinity == "hint" and m.may_move(session))
        if call.state == RUNNING and may_be_served and not call.cancel_reason and call.continuation is None:
            call.cancel_reason = TAKEN_BACK
            m.outbox.append(Withdraw(worker, call))


def put_back(m: Records, call: Call, now: float) -> None:
    """A call that never began waits again, where its age puts it; a pool that closes refuses it."""
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    call.cancel_reason = ""
    call.attempts -= 1
    if call.continuation is not None:
        m.wheel.discard(call)
        call.deadline = math.inf
    else:
        m.queued += 1
        m.queued_bytes += call.nbytes
    session = call.session
    if session is None:
        m.queue.push(call)
    elif session.worker is not None:
        wait_for_worker(m, session.worker, call, now)
    else:
        m.unbound.push(call)
    if m.state == states.CLOSING:
        endings.refuse_closing(m, call, now)
    else:
        m.backlog_seen(now)


def wait_for_worker(m: Records, worker: Worker, call: Call, now: float) -> None:
    """A session's call waits for its worker; if the session may leave that, it is looked again whether it should."""
    worker.queue.push(call)
    session = call.session
    assert session is not None
    if session.affinity == "hint" and call.continuation is None and m.is_candidate(session):
        m.candidates[call.id] = call
        m.watch("rebalance", now + STALL_S)
