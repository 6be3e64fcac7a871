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


def end(pool: Records, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: run its closing hook where its state is, or let it go at once."""
    if pool.has_close_hook and session.location != NEW and pool.state != states.CLOSING:
        moving.internal_call(pool, session, CLOSE_SESSION, _hook_ran, now)
    else:
        dismiss(pool, session, now)


def _hook_ran(pool: Records, call: Call, _ending: Ending, _value: Any, now: float) -> None:
    """Whatever came of its closing hook: the session is over."""
    assert call.session is not None
    dismiss(pool, call.session, now)


def dismiss(pool: Records, session: Session, now: float) -> None:
    """The session is over: its worker forgets it, and so does the store; a private worker goes with it."""
    worker = session.worker
    was_in_worker = session.is_in_worker
    dispatch.release(pool, session)
    _over(pool, session)
    erase(pool, session)
    if session.state == CLOSING:
        move(session, CLOSED, TRANSITIONS)
        session.lost_because = "it was closed"
        pool.sessions.closed(session)
        pool.counters.sessions_closed += 1
        pool.emit(events.SessionClosed, session.number, session.generation)
        pool.outbox.append(SessionEnded(session))
    if worker is None:
        return
    if pool.is_private and worker.state == READY and was_in_worker:
        fleet.drain(pool, worker, "its session ended", now)
    else:
        moving.freed(pool, worker, now)


def expire(pool: Records, session: Session, because: str, now: float) -> None:
    """End a session that nobody used for too long: it is lost to whoever comes back."""
    _lose(pool, session, because)
    end(pool, session, now)


def lose_with_worker(pool: Records, session: Session, because: str, now: float) -> None:
    """Its worker is dead, and its state with it: its calls that wait are told."""
    session.unbind()
    current = session.current
    calls = [current] if current is not None and current.state == QUEUED else []
    session.current = None
    _lose_and_tell(pool, session, calls, because, now)


def lose_stored(pool: Records, session: Session, because: str, now: float) -> None:
    """The store does not have the session any more: every call that waits for it is told."""
    _lose_and_tell(pool, session, [], because, now)


def _lose_and_tell(pool: Records, session: Session, calls: list[Call], because: str, now: float) -> None:
    """These calls are told, and those in the session's line after them."""
    calls = [*calls, *(session.waiting or {}).values()]
    if session.state in (OPEN, CLOSING):
        _lose(pool, session, because)
    _over(pool, session)
    if pool.state != states.CLOSING:  # what is lost because its pool ends is kept for the next one
        erase(pool, session)
    for call in calls:
        endings.end_queued(pool, call, "rejected", refusals.session_lost(session, session.lost_because), now)


def _lose(pool: Records, session: Session, because: str) -> None:
    was_closing = session.state == CLOSING
    move(session, LOST, TRANSITIONS)
    session.lost_because = because
    pool.sessions.lose(session)
    if pool.state == states.CLOSING:  # nobody wanted to keep it
        pool.counters.sessions_closed += 1
        pool.emit(events.SessionClosed, session.number, session.generation)
    else:
        pool.counters.sessions_lost += 1
        pool.emit(events.SessionLostEvent, session.number, session.generation, because)
    if was_closing:
        pool.outbox.append(SessionEnded(session))


def _over(pool: Records, session: Session) -> None:
    """Nothing here remembers it."""
    if session.location != OVER:
        pool.relocate(session, OVER)
    session.snapshot = session.storing = None
    pool.by_use.pop(session.number, None)
    pool.pinned.pop(session.number, None)
    pool.waking.pop(session.number, None)


def erase(pool: Records, session: Session) -> None:
    """Have the store forget the session."""
    if session.record != NO_RECORD:
        session.record = NO_RECORD
        pool.outbox.append(Erase(session))
