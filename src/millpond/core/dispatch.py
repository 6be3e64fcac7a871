"""Who gets what: pairs calls and workers, changing both in the same step.

A call goes to a free place, or ahead into a worker's window while all the work there is about a millisecond; else it
waits in exactly one queue. Nothing is sent past an older call that waits for the same worker. Called by the machine at
each submission and answer; puts `send` and `withdraw` orders into the outbox.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import aside, endings, free, leaving, lifetime, overload, sleeping
from millpond.core.call import QUEUED, RUNNING, TAKEN_BACK, TRANSITIONS
from millpond.core.operation import UNKNOWN
from millpond.core.transitions import move
from millpond.core.whereabouts import STORED
from millpond.core.worker import DRAINING, GONE, READY
from millpond.seams import EXPORT_ASIDE

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.queue import CallQueue
    from millpond.core.session import Session
    from millpond.core.worker import Worker

WINDOW_S = 1e-3  # seconds of expected work that may be in flight to one worker beyond its free places
WINDOW_CALLS = 100  # calls in flight to one worker at most; the logbook has 256 positions
STALL_S = 0.01  # seconds without an answer after which calls sent ahead are taken back
ERRAND_S = 5.0  # seconds an errand on a session may take, from when it is sent


def place(m: Machine, call: Call, now: float) -> None:
    """Send a queued call at once, or put it where it waits."""
    if call.session is None:
        worker = None if m.queue.size else pick(m, call)
        if worker is None:
            m.queue.push(call)
            m.backlog_seen(now)
        else:
            send(m, worker, call, now)
    elif call.session.current is not None:
        call.session.wait_behind(call)
    elif call.session.where in STORED:
        sleeping.wait_for_state(m, call.session, call)
    else:
        _place_current(m, call.session, call, now)


def _place_current(m: Machine, session: Session, call: Call, now: float) -> None:
    if call.deadline <= now:
        leaving.leave(m, call, "deadline_exceeded", now)
        return
    session.current = call
    worker = session.worker
    if call.operation == EXPORT_ASIDE:
        assert worker is not None
        aside.send(m, worker, call, now)
        return
    if worker is not None and session.affinity == "hint" and not session.is_in_worker and not has_room(m, worker, call):
        release(m, session)  # nothing of it is there yet: elsewhere is as good
        worker = None
    if worker is None:
        _place_unbound(m, session, call, now)
    elif _is_next(m, worker) and has_room(m, worker, call):
        send(m, worker, call, now)
    elif aside.may_go_elsewhere(m, session, now) and not call.is_chore:
        aside.go_elsewhere(m, session, call, now)
    else:
        worker.queue.push(call)
        if session.affinity == "hint" and not call.is_chore:
            aside.wait_for_elsewhere(m, call, now)


def _is_next(m: Machine, worker: Worker) -> bool:
    """Whether nothing waits that the worker would have to serve before a new call of one of its sessions."""
    return not worker.queue.size and (worker.load < worker.places or not (m.queue.size or m.openers.size))


def _place_unbound(m: Machine, session: Session, call: Call, now: float) -> None:
    """Bind the session to the idle worker with the fewest sessions, or let the first free one take it."""
    worker = None if m.openers.size else free.for_session(m)
    if worker is not None:
        _bind(m, session, worker)
        send(m, worker, call, now)
    else:
        m.openers.push(call)
        m.backlog_seen(now)


def pick(m: Machine, call: Call) -> Worker | None:
    """The worker for a call without a session: the idle one used last, else the emptier of two windows with room."""
    if m.idle:
        return m.idle[next(reversed(m.idle))] if m.concurrency == 1 else m.by_load.least()
    windows = m.open_windows
    if not windows or call.op.expected > WINDOW_S or m.openers.size or m.is_private:
        return None
    candidates = iter(windows.values())
    worker = next(candidates)
    other = next(candidates, None)
    if other is not None and len(other.inflight) < len(worker.inflight):
        worker = other
    windows.move_to_end(worker.id)
    return worker if not worker.queue.size and _fits_window(worker, call) else None


def has_room(m: Machine, worker: Worker, call: Call) -> bool:
    """Whether the worker may be sent this call now."""
    if len(worker.inflight) + worker.skips < worker.places:
        return worker.state == READY or (worker.state == DRAINING and not worker.is_killed)
    return _has_window(worker, call)


def _has_window(worker: Worker, call: Call) -> bool:
    """Whether a worker without a free place may be sent this call ahead."""
    return not worker.is_stalled and worker.state == READY and _fits_window(worker, call)


def _fits_window(worker: Worker, call: Call) -> bool:
    """Whether the worker's window has room for the call, if it is open."""
    return (
        worker.expected_s + call.op.expected <= WINDOW_S
        and len(worker.inflight) + worker.skips < worker.window
        and not call.is_stream
    )


def send(m: Machine, worker: Worker, call: Call, now: float) -> None:
    """Assign: the call runs and the worker holds it, in one step."""
    if call.state == QUEUED:  # which the table allows: each call comes this way, and is spared the look at it
        call.state = RUNNING
    else:
        move(call, RUNNING, TRANSITIONS)  # raises
    call.worker = worker
    call.attempts += 1
    call.sent_at = now
    call.expected = UNKNOWN if call.is_stream else call.op.expected
    if call.is_chore:
        call.deadline = now + (ERRAND_S if call.session is not None else call.ticket.seconds_allowed)
        m.wheel.add(call)
    else:
        m.queued_bytes -= call.nbytes
        m.queued -= 1
    inflight = worker.inflight
    if not inflight:
        worker.expected_s = 0.0
        worker.last_progress = worker.busy_since = now
    inflight[call.id] = call
    worker.expected_s += call.expected
    load = len(inflight) + worker.skips
    if load >= worker.places:
        m.idle.pop(worker.id, None)
        if load == m.concurrency + 1:
            sent_ahead(m, worker, now)
        if m.has_ranks:
            free.leave(m, worker)
    else:
        free.loaded(m, worker, load)
    m.outbox.append(("send", worker, call))
    if m.tells_checkouts:
        m.say(events.WorkerCheckout, worker.id, call.id, call.op.name, now - call.submitted_at, len(inflight))


def pump(m: Machine, worker: Worker, now: float) -> None:
    """Fill a worker's places and window from its own queue and the shared ones, oldest key first."""
    while (worker.queue.size or m.queue.size or m.openers.size) and _serve_next(m, worker, now):
        pass


def pump_idle(m: Machine, now: float) -> None:
    """Give waiting calls to workers with free places; the places are filled before any window is."""
    served: dict[int, Worker] = {}
    while (worker := _free_for_waiting(m)) is not None and _serve_next(m, worker, now):
        served[worker.id] = worker
    for worker in served.values():
        pump(m, worker, now)


def _free_for_waiting(m: Machine) -> Worker | None:
    worker = free.for_call(m) if m.queue.size else None
    return worker or (free.for_session(m) if m.openers.size else None)


def _serve_next(m: Machine, worker: Worker, now: float) -> bool:
    """Send the oldest call that waits for this worker, if there is one and it fits; or end it, if its time is over or
    too short.

    The clock may be far beyond what the deadlines were last looked at for.
    """
    queue = _next_queue(m, worker)
    if queue is None:
        return False
    call = queue.head()
    assert call is not None
    if call.deadline <= now:
        leaving.leave(m, call, "deadline_exceeded", now)
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


def _next_queue(m: Machine, worker: Worker) -> CallQueue | None:
    """The queue whose head this worker should serve next."""
    best = worker.queue if worker.queue.size else None
    if worker.state == READY:
        if m.queue.size and not (m.is_private and worker.sessions):
            best = _earlier(best, m.queue)
        if m.openers.size and m.may_open(worker):
            best = _earlier(best, m.openers)
    return best


def _earlier(one: CallQueue | None, other: CallQueue) -> CallQueue:
    """The queue whose head is to be served first; neither is empty."""
    if one is None:
        return other
    first, second = one.head(), other.head()
    assert first is not None
    assert second is not None
    return one if (first.key, first.id) < (second.key, second.id) else other


def settle(m: Machine, worker: Worker, now: float) -> None:
    """After a worker gave something back: note whether it is idle and which windows are open."""
    if worker.state != READY:
        return
    load = len(worker.inflight) + worker.skips
    if load < worker.places:
        if not load:
            worker.idle_since = now
        if worker.rank is None or m.has_ranks:
            free.enter(m, worker)
        else:
            m.idle[worker.id] = worker
    if worker.id not in m.open_windows:
        m.open_windows[worker.id] = worker


def release(m: Machine, session: Session) -> None:
    """Take a session from its worker, which forgets what it was told of it."""
    worker = session.worker
    if worker is not None and worker.state != GONE:
        m.outbox.append(("forget", worker, session.number))
    session.unbind()
    if worker is not None:
        session_left(m, worker)


def session_left(m: Machine, worker: Worker) -> None:
    """A session is at the worker no more; a private one that could not be begun leaves its worker to others."""
    free.session_left(m, worker)
    if m.is_private and worker.state == READY and worker.load < worker.places and worker.id not in m.idle:
        free.enter(m, worker)


def _bind(m: Machine, session: Session, worker: Worker) -> None:
    session.bind(worker)
    if m.is_private:
        free.leave(m, worker)


def unstall(m: Machine, worker: Worker, now: float) -> None:
    """A stalled worker answered; what it still holds ahead may stall again."""
    worker.is_stalled = False
    del m.stalled[worker.id]
    if worker.load > m.concurrency:
        sent_ahead(m, worker, now)


def sent_ahead(m: Machine, worker: Worker, now: float) -> None:
    """The worker holds more than it runs at a time: it is looked at until it does no more."""
    m.ahead[worker.id] = worker
    if not m.is_watching_stalls:
        watch_stalls(m, now)


def watch_stalls(m: Machine, now: float) -> None:
    """Look again shortly whether calls sent ahead are stuck."""
    m.is_watching_stalls = True
    m.agenda.add(now + STALL_S, "stall")


def look_for_stalls(m: Machine, now: float) -> None:
    """Take back what was sent ahead to workers that have not answered for `STALL_S`; look again while any may stall."""
    m.is_watching_stalls = False
    for worker in list(m.ahead.values()):
        if worker.load > m.concurrency and now < worker.last_progress + STALL_S:
            continue
        del m.ahead[worker.id]
        if worker.load <= m.concurrency:
            continue
        worker.is_stalled = True
        m.stalled[worker.id] = worker
        m.open_windows.pop(worker.id, None)
        take_back(m, worker)
    if m.movers:
        aside.look_for_movers(m, now)
    if (m.ahead or m.movers) and not m.is_watching_stalls:
        watch_stalls(m, now)


def take_back(m: Machine, worker: Worker) -> None:
    """Ask for the calls that wait inside a stalled worker, if any other is there or may be started to serve them."""
    others = len(m.workers) - len(m.standing_by) - 1
    if not others and m.sizing.wanted >= m.sizing.high:
        return
    for call in list(worker.inflight.values())[m.concurrency :]:  # the first ones are, as far as can be told, at work
        may_be_served = call.session is None or aside.may_follow(m, call.session)
        if call.state == RUNNING and may_be_served and not (call.leaving or call.is_chore):
            call.leaving = TAKEN_BACK
            m.outbox.append(("withdraw", worker, call))


def put_back(m: Machine, call: Call, now: float) -> None:
    """A call that never began waits again, where its age puts it; a pool that closes refuses it."""
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    call.leaving = ""
    call.attempts -= 1
    if call.is_chore:
        m.wheel.discard(call)
        call.deadline = math.inf
    else:
        m.queued += 1
        m.queued_bytes += call.nbytes
    session = call.session
    if session is None:
        m.queue.push(call)
    elif session.worker is not None:
        session.worker.queue.push(call)
        if session.affinity == "hint" and not call.is_chore:
            aside.wait_for_elsewhere(m, call, now)
    else:
        m.openers.push(call)
    if m.state == lifetime.CLOSING:
        lifetime.refuse(m, call, now)
    else:
        m.backlog_seen(now)
