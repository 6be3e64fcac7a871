"""How sessions end: closed by their owner, expired, or lost with their worker or their record; loss is told to all.

A session that ends with a closing hook gets an internal call first. What the worker and the store have of it is
forgotten. Comes before `sleeping` and `lifecycle`, which decide that a session ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.assignment import dispatch, endings, refusals
from millpond.core.records import states
from millpond.core.records.call import QUEUED
from millpond.core.records.orders import Erase, SessionEnded
from millpond.core.records.session import CLOSED, CLOSING, LOST, NEW, NO_RECORD, OPEN, OVER, TRANSITIONS
from millpond.core.records.states import move
from millpond.core.records.worker import READY
from millpond.core.sessions import moving
from millpond.core.workers import fleet
from millpond.seams import CLOSE_SESSION

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.errors import Ending


def end(m: Records, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: run its closing hook where its state is, or let it go at once."""
    if m.has_close_hook and session.location != NEW and m.state != states.CLOSING:
        moving.internal_call(m, session, CLOSE_SESSION, _hook_ran, now)
    else:
        dismiss(m, session, now)


def _hook_ran(m: Records, call: Call, _ending: Ending, _value: Any, now: float) -> None:
    """Whatever came of its closing hook: the session is over."""
    assert call.session is not None
    dismiss(m, call.session, now)


def dismiss(m: Records, session: Session, now: float) -> None:
    """The session is over: its worker forgets it, and so does the store; a private worker goes with it."""
    worker = session.worker
    was_in_worker = session.is_in_worker
    dispatch.release(m, session)
    _over(m, session)
    if session.state == CLOSING:
        move(session, CLOSED, TRANSITIONS)
        session.lost_because = "it was closed"
        m.sessions.closed(session)
        m.counters.sessions_closed += 1
        m.emit(events.SessionClosed, session.number, session.generation)
        m.outbox.append(SessionEnded(session))
    if worker is None:
        return
    if m.is_private and worker.state == READY and was_in_worker:
        fleet.drain(m, worker, "its session ended", now)
    else:
        moving.freed(m, worker, now)


def expire(m: Records, session: Session, because: str, now: float) -> None:
    """End a session that nobody used for too long: it is lost to whoever comes back."""
    _lose(m, session, because)
    end(m, session, now)


def lose_with_worker(m: Records, session: Session, because: str, now: float) -> None:
    """Its worker is dead, and its state with it: its calls that wait are told."""
    session.unbind()
    current = session.current
    calls = [current] if current is not None and current.state == QUEUED else []
    session.current = None
    _lose_and_tell(m, session, calls, because, now)


def lose_stored(m: Records, session: Session, because: str, now: float) -> None:
    """The store does not have the session any more: every call that waits for it is told."""
    _lose_and_tell(m, session, [], because, now)


def _lose_and_tell(m: Records, session: Session, calls: list[Call], because: str, now: float) -> None:
    """These calls are told, and those in the session's line after them."""
    calls = [*calls, *(session.waiting or {}).values()]
    if session.state in (OPEN, CLOSING):
        _lose(m, session, because)
    _over(m, session)
    for call in calls:
        endings.end_queued(m, call, "rejected", refusals.session_lost(session, session.lost_because), now)


def _lose(m: Records, session: Session, because: str) -> None:
    was_closing = session.state == CLOSING
    move(session, LOST, TRANSITIONS)
    session.lost_because = because
    m.sessions.lose(session)
    if m.state == states.CLOSING:  # nobody wanted to keep it
        m.counters.sessions_closed += 1
        m.emit(events.SessionClosed, session.number, session.generation)
    else:
        m.counters.sessions_lost += 1
        m.emit(events.SessionLostEvent, session.number, session.generation, because)
    if was_closing:
        m.outbox.append(SessionEnded(session))


def _over(m: Records, session: Session) -> None:
    """Nothing here and nothing in the store remembers it, unless it ends with its pool."""
    if session.location != OVER:
        m.relocate(session, OVER)
    session.snapshot = session.storing = None
    m.by_use.pop(session.number, None)
    m.pinned.pop(session.number, None)
    m.waking.pop(session.number, None)
    if m.state != states.CLOSING or session.state != LOST:
        erase(m, session)


def erase(m: Records, session: Session) -> None:
    """Have the store forget the session."""
    if session.record != NO_RECORD:
        session.record = NO_RECORD
        m.outbox.append(Erase(session))
