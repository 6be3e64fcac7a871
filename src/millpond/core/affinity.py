"""Sessions in the pool: opening and joining, the errands on them, closing, expiry, and loss that is loud.

Works on the machine's records; the order of one session's calls and its binding to a worker are decided here and in
`dispatch`. Moving goes through one errand: the state is exported between two calls and carried to the next worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import dispatch, fleet, lifetime
from millpond.core.call import Call
from millpond.core.operation import Operation
from millpond.core.session import CLOSED, CLOSING, LOST, OPEN, TRANSITIONS, Session
from millpond.core.transitions import move
from millpond.core.worker import DRAINING, GONE
from millpond.errors import CLASSES
from millpond.seams import CLOSE_SESSION, EXPORT_SESSION

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Ending, PoolError

CHORE_S = 5.0  # seconds an errand on a session may take


def open_session(m: Machine, session_id: str, affinity: str | None, reopen: bool, now: float) -> Session:
    """Join the open session of that id, or open one.

    Raises `SessionLost` for one that was lost unless `reopen`, `TooManySessions` at the cap, and `PoolClosed`.
    """
    if m.state != lifetime.SERVING:
        raise lifetime.closed_error(m)
    before = m.book.find(session_id)
    if before is not None and before.state == OPEN:
        return before
    if before is not None and before.state == LOST and not reopen:
        raise lost(before, before.lost_because)
    cap = min(m.settings.max_sessions, m.sizing.high) if m.is_private else m.settings.max_sessions
    if len(m.book) >= cap:
        raise CLASSES["too_many_sessions"](
            f"{len(m.book)} sessions are open, the cap is {cap}; close some, lower session_ttl, or raise max_sessions"
            + (" and max_workers" if m.is_private else "")
        )
    session = m.book.open(session_id, affinity or m.settings.affinity, now)
    if m.settings.session_ttl is not None:
        m.agenda.add(now + m.settings.session_ttl, "ttl", session)
    m.say(events.SessionOpened, session.number, session.generation)
    return session


def refusal(session: Session) -> PoolError:
    """Why a call of this session is refused."""
    if session.state == OPEN:
        return busy(session)
    return lost(session, session.lost_because or "it was closed")


def busy(session: Session) -> PoolError:
    """The error of fail-fast affinity."""
    return CLASSES["session_busy"](f"session {session.number}'s worker is busy, and its affinity is fail_fast")


def lost(session: Session, because: str) -> PoolError:
    """The error of a session whose state is gone."""
    return CLASSES["session_lost"](
        f"session {session.number} (generation {session.generation}) is gone: {because}; "
        "open it anew with pool.session(id, reopen=True)"
    )


def call_left(m: Machine, session: Session, call: Call, now: float) -> None:
    """A call of the session is nowhere any more: the next errand or call takes its place."""
    if session.current is not call:
        return
    session.current = None
    session.last_used = now
    if session.introduced:
        session.baggage = None
    if session.worker is not None and session.worker.state == DRAINING and maybe_export(m, session, now):
        return
    following = session.next_waiting()
    if following is not None:
        dispatch.place(m, following, now)


def maybe_export(m: Machine, session: Session, now: float) -> bool:
    """Take an idle session's state out of its worker. False if there is nothing to take, or it is pinned there."""
    if session.current is not None or session.pinned or m.is_private or session.worker is None:
        return False
    if not session.introduced:
        session.unbind()
        return False
    session.exporting = True
    _errand(m, session, "export_session", EXPORT_SESSION, now)
    return True


def close_session(m: Machine, session: Session, now: float) -> None:
    """End a session: calls already made come first, then its closing hook, then it is forgotten."""
    if session.state != OPEN:
        return
    move(session, CLOSING, TRANSITIONS)
    if session.introduced and m.has_close_hook:
        _errand(m, session, "close_session", CLOSE_SESSION, now)
    elif session.is_idle:
        _dismiss(m, session, now)
    else:
        _errand(m, session, "close_session", CLOSE_SESSION, now)


def expire_if_idle(m: Machine, session: Session, now: float) -> None:
    """Close a session that was idle for `session_ttl`; one in use is looked at again later."""
    ttl = m.settings.session_ttl
    if session.state != OPEN or ttl is None:
        return
    if not session.is_idle or session.last_used + ttl > now:
        m.agenda.add(max(session.last_used + ttl, now + ttl / 16), "ttl", session)
        return
    _lose(m, session, f"it was idle longer than session_ttl ({ttl} s)")
    if session.introduced and m.has_close_hook:
        _errand(m, session, "close_session", CLOSE_SESSION, now)
    else:
        _dismiss(m, session, now)


def chore_ended(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    """An errand came to its end."""
    session = call.session
    assert session is not None
    if call.operation == EXPORT_SESSION:
        _exported(m, session, ending, value)
    elif session.state in (CLOSING, LOST):
        _dismiss(m, session, now)


def _exported(m: Machine, session: Session, ending: Ending, value: Any) -> None:
    session.exporting = False
    worker = session.worker
    if worker is None or worker.state == GONE or session.state == LOST:
        return
    if ending == "ok":
        session.unbind()
        session.baggage = value
        m.say(events.SessionMoved, session.number, worker.id)
    else:
        session.pinned = f"its state cannot be exported: {value}"
        m.say(events.SessionPinned, session.number, worker.id, session.pinned)


def _dismiss(m: Machine, session: Session, now: float) -> None:
    """The session needs its worker no more; a private worker goes with it."""
    worker = session.worker
    if worker is not None:
        if session.introduced:
            m.outbox.append(("forget", worker, session.number))
        session.unbind()
        if m.is_private and worker.state == "ready":
            fleet.drain(m, worker, "its session ended", now)
        else:
            fleet.maybe_stop(m, worker, now)
    if session.state == CLOSING:
        move(session, CLOSED, TRANSITIONS)
        session.lost_because = "it was closed"
        m.book.remove(session)
        m.say(events.SessionClosed, session.number, session.generation)
        m.outbox.append(("session_closed", session, None))


def worker_gone(m: Machine, worker: Worker, death: str, now: float) -> None:
    """Its sessions are lost at once, and told to every call they have waiting."""
    for session in list(worker.sessions.values()):
        was_there = session.introduced
        session.unbind()
        if not was_there:
            _rebind(m, session)
            continue
        current = session.current
        calls = [current] if current is not None and current.place is worker.queue else []
        calls += (session.waiting or {}).values()
        session.current = None
        if session.state in (OPEN, CLOSING):
            _lose(m, session, f"its worker died ({death})")
        for call in calls:
            m.end_queued(call, "rejected", lost(session, session.lost_because), now)


def _rebind(m: Machine, session: Session) -> None:
    """Nothing of the session was in the dead worker: its call waits for another."""
    call = session.current
    if call is not None and call.place is not None:
        call.place.remove(call)
        m.openers.push_front(call)


def _lose(m: Machine, session: Session, because: str) -> None:
    was_closing = session.state == CLOSING
    move(session, LOST, TRANSITIONS)
    session.lost_because = because
    m.book.bury(session)
    m.say(events.SessionLost, session.number, session.generation, because)
    if was_closing:
        m.outbox.append(("session_closed", session, None))


def _errand(m: Machine, session: Session, name: str, number: int, now: float) -> None:
    """Make one of the pool's own calls on a session; it stands in the session's line like any other."""
    operation = Operation(name, number, None, m.new_breaker())
    chore = Call(next(m.call_ids), operation, b"", now + CHORE_S, session=session, is_chore=True)
    m.submit_chore(chore, now)
