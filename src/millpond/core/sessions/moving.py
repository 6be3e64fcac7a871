"""A session's state leaves its worker between two calls: taken out to go elsewhere, or restored after a death.

An internal call asks the worker for it; where durability keeps a snapshot, the worker is only told to forget. A state
that cannot be taken out pins its session. An internal call is put in front of its session's line, and sent when the
stimulus is settled: nothing here sends or decides what comes next.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.assignment import dispatch, endings, refusals
from millpond.core.records import states
from millpond.core.records.call import QUEUED, Call
from millpond.core.records.session import (
    BOUND,
    CLOSING,
    IN_HAND,
    LEAVING,
    MOVABLE,
    MOVABLE_IDLE,
    NEW,
    OPEN,
    PINNED,
)
from millpond.core.records.worker import GONE
from millpond.core.workers import fleet
from millpond.seams import CLOSE_SESSION, EXPORT_CONCURRENT, EXPORT_SESSION, EXPORTS
from millpond.texts import words_of

if TYPE_CHECKING:
    from millpond.core.records.call import Continuation
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.errors import Ending

WEIGHT = 0.2  # of the newest in the moving average
AFTER_EXPORT_S = 0.001  # of a move: what comes after the export
KEPT = -1  # a way out: this process has the very state, and the worker is only told to forget it
MOST_EXPORTS = 16  # concurrent exports of one worker at a time; the logbook has 256 positions for all it holds


def internal_call(pool: Records, session: Session, number: int, continuation: Continuation, now: float) -> None:
    """Make one of the pool's own calls on a session, before all that wait. Its time begins when it is sent."""
    call = Call(next(pool.call_ids), pool.internal[number], b"", math.inf, session=session, continuation=continuation)
    call.submitted_at = call.key = now
    # In front of the line, not sent at once: whoever asks for it is in the midst of something else, such as a look at
    # all sessions of a worker. Between two calls of the session nothing can come before it, as the line is served by
    # the settling step only.
    session.wait_in_front(call)
    pool.unsettled.sessions[session.number] = session


def way_out(pool: Records, session: Session) -> int:
    """How its state can leave its worker now without taking a slot from anybody who waits: `KEPT`, or by which export.

    0 if it cannot.
    """
    worker = session.worker
    if worker is None or not pool.may_move(session):
        return 0
    if pool.is_kept(session):
        return KEPT
    if worker.load < worker.slots and not worker.queue.size and worker.id not in pool.unsettled.exports:
        return EXPORT_SESSION
    return EXPORT_CONCURRENT if may_export_beside(pool, session) else 0


def may_export_beside(pool: Records, session: Session) -> bool:
    """Whether its worker takes another concurrent export now."""
    worker = session.worker
    if worker is None or not pool.may_export_concurrently(session):
        return False
    return len(worker.exports) + pool.unsettled.exports.get(worker.id, 0) < MOST_EXPORTS


def take_out(pool: Records, session: Session, now: float) -> bool:
    """Take an idle session's state out of its worker; whether an internal call was made for it, to be waited for."""
    if session.current is not None or not pool.may_move(session) or pool.state == states.CLOSING:
        return False
    return leave(pool, session, way_out(pool, session) or EXPORT_SESSION, now)


def leave(pool: Records, session: Session, way: int, now: float) -> bool:
    """As `take_out`, by a way out that there is."""
    worker = session.worker
    assert worker is not None
    if way == KEPT:
        pool.relocate(session, IN_HAND)
        dispatch.release(pool, session)
        _moved(pool, session, worker)
        return False
    pool.relocate(session, LEAVING)
    internal_call(pool, session, way, exported, now)
    made = pool.unsettled.exports
    made[worker.id] = made.get(worker.id, 0) + 1
    return True


def exported(pool: Records, call: Call, ending: Ending, value: Any, now: float) -> None:
    """An export came to its end. One that was carried out beside another call may fail for that: nothing is pinned."""
    session = call.session
    assert session is not None
    worker = session.worker
    # The worker may have died while the export was on its way, and the session was restored or lost by that: then
    # there is nothing to do here. An export that succeeded took the state with it: the worker has forgotten the
    # session, so nothing of it is ordered there any more. One that failed left the state where it was.
    if session.location != LEAVING or worker is None or worker.state == GONE:
        return
    if ending == "ok":
        session.unbind()  # the worker forgot it when it answered
        pool.free.session_left(worker)
        pool.relocate(session, IN_HAND)
        session.snapshot = value
        session.version += 1
        pool.move_s += WEIGHT * (now - call.sent_at + AFTER_EXPORT_S - pool.move_s)
        _moved(pool, session, worker)
        return
    pool.relocate(session, BOUND)
    if call.operation == EXPORT_CONCURRENT:
        session.mobility = MOVABLE if ending == "cancelled" else MOVABLE_IDLE
    else:
        is_late = call.cancel_reason == "deadline_exceeded"
        why = f"that took longer than {dispatch.INTERNAL_S:g} s" if is_late else words_of(value)
        pin(pool, session, f"its state cannot be exported: {why}")


def pin(pool: Records, session: Session, why: str) -> None:
    """The session has to stay where it is until its next call has run: then it is tried again."""
    if session.mobility != PINNED and session.worker is not None:
        pool.emit(events.SessionPinned, session.number, session.worker.id, why)
    session.mobility, session.pinned_because = PINNED, why
    pool.pinned[session.number] = session


def unpin(pool: Records, session: Session) -> None:
    """Its state has changed, and may be one that can be taken out."""
    session.mobility, session.pinned_because = MOVABLE, ""
    pool.pinned.pop(session.number, None)


def _moved(pool: Records, session: Session, worker: Worker) -> None:
    pool.counters.sessions_moved += 1
    pool.emit(events.SessionMoved, session.number, worker.id)


def freed(pool: Records, worker: Worker, now: float) -> None:
    """A session left the worker, which may be free to go, or to be a session's that waits for a fresh one."""
    if worker.state != GONE:
        fleet.maybe_stop(pool, worker, now)
        dispatch.fill(pool, worker, now)


# After a death


def will_restore(pool: Records, session: Session) -> bool:
    """Whether the death of its worker takes nothing from the session that was acknowledged."""
    current = session.current
    if not (pool.is_durable and session.may_be_restored) or session.state not in (OPEN, CLOSING):
        return False
    if pool.state == states.CLOSING:
        return False
    return current is None or current.operation != CLOSE_SESSION or current.state == QUEUED


def restore(pool: Records, session: Session, death: str, now: float) -> None:
    """Its worker died: it goes on from the state of the last acknowledged answer, and its next call is told so."""
    session.unbind()
    pool.relocate(session, NEW if session.snapshot is None else IN_HAND)
    session.restored_because = death if session.on_restore == "raise" else ""
    pool.counters.sessions_restored += 1
    pool.emit(events.SessionRestoredEvent, session.number, session.generation, death)
    current, session.current = session.current, None
    if current is not None and current.state == QUEUED:
        assert current.line is not None
        current.line.remove(current)
        session.wait_in_front(current)
    for call in list((session.waiting or {}).values()):
        if session.restored_because and call.continuation is None:
            endings.end_queued(pool, call, "rejected", refusals.session_restored(session), now)
        elif call.operation in EXPORTS:
            session.remove(call)
            endings.finish(pool, call, "lost", None, now)
    pool.unsettled.sessions[session.number] = session
