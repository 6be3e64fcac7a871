"""A session's state leaves its worker between two calls: taken out to go elsewhere, or restored after a death.

An errand asks the worker for it; where durability keeps a copy, the worker is only told to forget. A state that cannot
be taken out pins its session. Comes before `sleeping` (nothing waits for it) and `dispatch` (somebody does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import affinity, aside, dispatch, endings, fleet, lifetime
from millpond.core.call import QUEUED
from millpond.core.session import CLOSING, OPEN
from millpond.core.texts import words_of
from millpond.core.whereabouts import BOUND, IN_HAND, LEAVING, NEW, go
from millpond.core.worker import GONE
from millpond.errors import CLASSES
from millpond.seams import CLOSE_SESSION, EXPORT_ASIDE, EXPORT_SESSION, EXPORTS

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.errors import Ending, PoolError


def may_move(m: Machine, session: Session) -> bool:
    """Whether the session's state may be taken out of its worker between two calls, as far as is known."""
    if session.pinned or m.is_private or session.state != OPEN or session.where != BOUND:
        return False
    return session.worker is not None and not session.worker.is_killed


def can_leave_now(m: Machine, session: Session) -> bool:
    """Whether taking it out takes no place from anybody who waits."""
    worker = session.worker
    assert worker is not None
    return may_move(m, session) and _can_be_asked(m, session, worker)


def _can_be_asked(m: Machine, session: Session, worker: Worker) -> bool:
    return is_kept(m, session) or is_free(worker) or aside.is_possible(m, session)


def is_free(worker: Worker) -> bool:
    """Whether an errand would be begun at once."""
    return worker.load < worker.places and not worker.queue.size


def may_all_leave(m: Machine, worker: Worker) -> bool:
    """Whether no session keeps the worker from going, as far as is known."""
    sessions = worker.sessions.values()
    return not worker.aside and all(may_move(m, one) or not (one.is_in_worker or m.is_private) for one in sessions)


def take_out(m: Machine, session: Session, now: float) -> bool:
    """Take an idle session's state out of its worker; whether an errand was sent for it, to be waited for."""
    if session.current is not None or not may_move(m, session) or m.state == lifetime.CLOSING:
        return False
    worker = session.worker
    assert worker is not None
    if is_kept(m, session):
        go(m, session, IN_HAND)
        dispatch.release(m, session)
        _moved(m, session, worker)
        return False
    go(m, session, LEAVING)
    is_beside = not is_free(worker) and aside.is_possible(m, session)
    affinity.errand(m, session, EXPORT_ASIDE if is_beside else EXPORT_SESSION, now)
    return True


def is_kept(m: Machine, session: Session) -> bool:
    """Whether the parent holds the very state that is in the worker."""
    return m.is_durable and session.is_safe and session.baggage is not None and not session.pinned


def exported(m: Machine, session: Session, errand: Call, ending: Ending, value: Any, now: float) -> None:
    """The errand came to its end. One that was carried out beside another call may fail for that: nothing is pinned."""
    worker = session.worker
    if session.where != LEAVING or worker is None or worker.state == GONE:
        return
    if ending == "ok":
        session.unbind()  # the worker forgot it when it answered
        dispatch.session_left(m, worker)
        go(m, session, IN_HAND)
        session.baggage = value
        session.version += 1
        aside.learn(m, now - errand.sent_at)
        _moved(m, session, worker)
        return
    go(m, session, BOUND)
    if errand.operation == EXPORT_ASIDE:
        session.is_stubborn = ending != "cancelled"
    else:
        is_late = errand.leaving == "deadline_exceeded"
        why = f"that took longer than {dispatch.ERRAND_S:g} s" if is_late else words_of(value)
        pin(m, session, f"its state cannot be exported: {why}")


def pin(m: Machine, session: Session, why: str) -> None:
    """The session has to stay where it is until its next call has run: then it is tried again."""
    if not session.pinned and session.worker is not None:
        m.say(events.SessionPinned, session.number, session.worker.id, why)
    session.pinned = why
    m.pinned[session.number] = session


def unpin(m: Machine, session: Session) -> None:
    """Its state has changed, and may be one that can be taken out."""
    session.pinned = ""
    m.pinned.pop(session.number, None)


def _moved(m: Machine, session: Session, worker: Worker) -> None:
    m.tally.sessions_moved += 1
    m.say(events.SessionMoved, session.number, worker.id)


def freed(m: Machine, worker: Worker, now: float) -> None:
    """A session left the worker, which may be free to go, or to be a session's that waits for a fresh one."""
    if worker.state != GONE:
        fleet.maybe_stop(m, worker, now)
        dispatch.pump(m, worker, now)


# After a death


def will_restore(m: Machine, session: Session) -> bool:
    """Whether the death of its worker takes nothing from the session that was acknowledged."""
    current = session.current
    if not (m.is_durable and session.is_safe) or m.state == lifetime.CLOSING or session.state not in (OPEN, CLOSING):
        return False
    return current is None or current.operation != CLOSE_SESSION or current.state == QUEUED


def restore(m: Machine, session: Session, death: str, now: float) -> None:
    """Its worker died: it goes on from the state of the last acknowledged answer, and its next call is told so."""
    worker = session.worker
    assert worker is not None
    session.unbind()
    go(m, session, NEW if session.baggage is None else IN_HAND)
    session.is_restored = session.on_restore == "raise"
    m.tally.sessions_restored += 1
    m.say(events.SessionRestoredEvent, session.number, session.generation, death)
    calls = _taken_from_line(session)
    for call in calls:
        if session.is_restored and not call.is_chore:
            endings.end_queued(m, call, "rejected", told_restored(session), now)
        elif call.operation in EXPORTS:
            endings.finish(m, call, "lost", None, now)
        else:
            dispatch.place(m, call, now)
    if session.current is None:
        affinity.serve_next(m, session, now)


def _taken_from_line(session: Session) -> list[Call]:
    """All calls of the session that wait, in order, taken from wherever they do."""
    calls: list[Call] = []
    current, session.current = session.current, None
    if current is not None and current.state == QUEUED:
        assert current.place is not None
        current.place.remove(current)
        calls.append(current)
    while (call := session.next_waiting()) is not None:
        calls.append(call)
    return calls


def told_restored(session: Session) -> PoolError:
    """The error that tells of a restoration, once."""
    session.is_restored = False
    return CLASSES["session_restored"](
        f"session {session.number} (generation {session.generation}) was restored to the state of its last "
        "acknowledged answer, because what held it died; a call whose outcome was unknown may have left nothing. "
        "The next call runs on the restored state"
    )
