"""Who gets what: pairs calls and workers, changing both in the same step.

A call goes to a free place, or ahead into a worker's window while all the work there is about a millisecond; else it
waits in exactly one queue. Called by the machine at each submission and answer; puts `send` and `withdraw` orders into
the outbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core.call import QUEUED, RUNNING, TRANSITIONS
from millpond.core.operation import UNKNOWN
from millpond.core.transitions import move
from millpond.core.worker import DRAINING, READY

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.queue import CallQueue
    from millpond.core.worker import Worker

WINDOW_S = 1e-3  # seconds of expected work that may be in flight to one worker beyond its free places
WINDOW_CALLS = 100  # calls in flight to one worker at most; the logbook has 256 positions
STALL_S = 0.01  # seconds without an answer after which calls sent ahead are taken back


def place(m: Machine, call: Call, now: float) -> None:
    """Send a queued call at once, or put it where it waits."""
    if call.session is None:
        worker = None if m.queue else pick(m, call)
        if worker is None:
            m.queue.push(call)
            m.backlog_seen(now)
        else:
            send(m, worker, call, now)
        return
    _place_in_session(m, call, now)


def _place_in_session(m: Machine, call: Call, now: float) -> None:
    session = call.session
    assert session is not None
    if session.current is not None:
        session.wait_behind(call)
        return
    session.current = call
    worker = session.worker
    if worker is not None and session.affinity == "hint" and not session.introduced and not has_room(m, worker, call):
        session.unbind()  # nothing of it is there yet: elsewhere is as good
        worker = None
    if worker is None:
        _place_unbound(m, call, now)
    elif not worker.queue and has_room(m, worker, call):
        send(m, worker, call, now)
    else:
        worker.queue.push(call)


def _place_unbound(m: Machine, call: Call, now: float) -> None:
    """Bind the session to the idle worker with the fewest sessions, or let the first free one take it."""
    session = call.session
    assert session is not None
    free = [] if m.openers else [w for w in m.idle.values() if m.may_open(w)]
    if free:
        worker = min(free, key=_sessions)
        session.bind(worker)
        send(m, worker, call, now)
    else:
        m.openers.push(call)
        m.backlog_seen(now)


def pick(m: Machine, call: Call) -> Worker | None:
    """The worker for a call without a session: the idle one used last, else the emptier of two windows with room."""
    if m.idle:
        if not m.is_private:
            return m.idle[next(reversed(m.idle))]
        return next((w for w in reversed(m.idle.values()) if not w.sessions), None)
    if not m.open_windows or call.op.expected > WINDOW_S or m.is_private:
        return None
    candidates = iter(m.open_windows.values())
    worker = next(candidates)
    other = next(candidates, worker)
    if len(other.inflight) < len(worker.inflight):
        worker = other
    m.open_windows.move_to_end(worker.id)
    return worker if has_room(m, worker, call) else None


def has_room(m: Machine, worker: Worker, call: Call) -> bool:
    """Whether the worker may be sent this call now."""
    load = len(worker.inflight) + worker.skips
    if load < m.concurrency:
        return worker.state == READY or worker.state == DRAINING
    expected = call.op.expected
    return (
        worker.expected_s + expected <= WINDOW_S
        and load < WINDOW_CALLS
        and not worker.is_stalled
        and not call.is_stream
        and worker.state == READY
    )


def send(m: Machine, worker: Worker, call: Call, now: float) -> None:
    """Assign: the call runs and the worker holds it, in one step."""
    move(call, RUNNING, TRANSITIONS)
    call.worker = worker
    call.attempts += 1
    call.sent_at = now
    call.expected = UNKNOWN if call.is_stream else call.op.expected
    if not call.is_chore:
        m.queued_bytes -= call.nbytes
        m.queued -= 1
    inflight = worker.inflight
    if not inflight:
        worker.expected_s = 0.0
        worker.last_progress = now
    inflight[call.id] = call
    worker.expected_s += call.expected
    load = len(inflight) + worker.skips
    if load >= m.concurrency:
        m.idle.pop(worker.id, None)
        if load > m.concurrency and not m.is_watching_stalls:
            watch_stalls(m, now)
    m.outbox.append(("send", worker, call))


def pump(m: Machine, worker: Worker, now: float) -> None:
    """Fill a worker's places and window from its own queue and the shared ones, oldest key first."""
    own = worker.queue
    while own or m.queue or m.openers:
        queue = _next_queue(m, worker)
        if queue is None:
            return
        call = queue.head()
        assert call is not None
        if not has_room(m, worker, call):
            return
        queue.remove(call)
        if call.session is not None and call.session.worker is None:
            call.session.bind(worker)
        send(m, worker, call, now)


def _next_queue(m: Machine, worker: Worker) -> CallQueue | None:
    """The queue whose head this worker should serve next."""
    best, best_key = None, 0.0
    takes_new = worker.state == READY
    for queue, allowed in (
        (worker.queue, True),
        (m.queue, takes_new and not (m.is_private and worker.sessions)),
        (m.openers, takes_new and m.may_open(worker)),
    ):
        head = queue.head() if allowed else None
        if head is not None and (best is None or head.key < best_key):
            best, best_key = queue, head.key
    return best


def pump_idle(m: Machine, now: float) -> None:
    """Give waiting calls to workers with free places."""
    for worker in list(m.idle.values()):
        if not (m.queue or m.openers or worker.queue):
            continue
        pump(m, worker, now)


def settle(m: Machine, worker: Worker, now: float) -> None:
    """After a worker gave something back: note whether it is idle and which windows are open."""
    if worker.state != READY:
        return
    if len(worker.inflight) + worker.skips < m.concurrency:
        if worker.id not in m.idle:
            m.idle[worker.id] = worker
            worker.idle_since = now
    if worker.id not in m.open_windows:
        m.open_windows[worker.id] = worker


def watch_stalls(m: Machine, now: float) -> None:
    """Look again shortly whether calls sent ahead are stuck."""
    m.is_watching_stalls = True
    m.agenda.add(now + STALL_S, "stall")


def take_back_stalled(m: Machine, now: float) -> bool:
    """Withdraw calls sent ahead to workers that have not answered for `STALL_S`; whether any window is still in use.

    Youngest first, so that put back at the front they stand in their old order. A pool with one worker gains nothing by
    it unless another may be started.
    """
    in_use = False
    for worker in m.workers.values():
        if worker.load <= m.concurrency:
            continue
        in_use = True
        if worker.is_stalled or now - worker.last_progress < STALL_S:
            continue
        worker.is_stalled = True
        m.open_windows.pop(worker.id, None)
        if len(m.workers) > 1 or m.sizing.wanted < m.sizing.high:
            ahead = [c for c in worker.inflight.values() if c.state == RUNNING and c.session is None and not c.leaving]
            m.outbox.extend(("withdraw", worker, call) for call in reversed(ahead[m.concurrency :]))
    return in_use


def put_back(m: Machine, call: Call) -> None:
    """A call that never started waits again, in front."""
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    call.leaving = ""
    if not call.is_chore:
        m.queued += 1
        m.queued_bytes += call.nbytes
    session = call.session
    if session is None:
        m.queue.push_front(call)
    elif session.worker is not None:
        session.worker.queue.push_front(call)
    else:
        m.openers.push_front(call)


def _sessions(worker: Worker) -> int:
    return len(worker.sessions)
