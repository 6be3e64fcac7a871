"""Sessions in the pool: opening and joining, the errands on them, closing, expiry, and loss that is loud.

Works on the machine's records; the order of one session's calls and its binding to a worker are decided here and in
`dispatch`. Moving goes through one errand: the state is exported between two calls and carried to the next worker.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import dispatch, endings, fleet, lifetime
from millpond.core.call import QUEUED, Call
from millpond.core.session import CLOSED, CLOSING, LOST, OPEN, TRANSITIONS, Session
from millpond.core.transitions import move
from millpond.core.worker import DRAINING, GONE, READY
from millpond.errors import CLASSES
from millpond.seams import CLOSE_SESSION, EXPORT_SESSION

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Ending, PoolError

TTL_LOOKS = 16  # looks at idle sessions in one session_ttl
SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.05, 60.0  # between two looks


def open_session(m: Machine, session_id: str, affinity: str | None, reopen: bool, now: float) -> Session:
    """Join the open session of that id, or open one.

    Raises `SessionLost` for one that was lost unless `reopen`, `TooManySessions` at the cap, and `PoolClosed`.
    """
    if m.state != lifetime.SERVING:
        raise lifetime.closed_error(m)
    before = m.book.find(session_id)
    if before is not None and before.state == OPEN:
        before.last_used = now
        return before
    if before is not None and not reopen:
        raise lost(before, before.lost_because)
    _check_cap(m)
    session = m.book.open(session_id, affinity or m.settings.affinity, now)
    _watch_idle(m, now)
    m.tally.sessions_opened += 1
    m.say(events.SessionOpened, session.number, session.generation)
    return session


def _check_cap(m: Machine) -> None:
    cap = min(m.settings.max_sessions, m.sizing.high) if m.is_private else m.settings.max_sessions
    if len(m.book) >= cap:
        raise CLASSES["too_many_sessions"](
            f"{len(m.book)} sessions are open, the cap is {cap}; close some, lower session_ttl, or raise max_sessions"
            + (" and max_workers" if m.is_private else "")
        )


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
    if session.worker is not None and session.worker.state == DRAINING and maybe_export(m, session, now):
        return
    following = session.next_waiting()
    if following is not None:
        dispatch.place(m, following, now)
    elif session.state == CLOSING:
        _end(m, session, now)


def maybe_export(m: Machine, session: Session, now: float) -> bool:
    """Take an idle session's state out of its worker. False if there is none to take, or it has to stay to its end."""
    if session.worker is None or m.state == lifetime.CLOSING:
        return False
    if not session.has_begun:
        _leave_unused(m, session, now)
        return False
    if session.current is not None or session.pinned or session.state != OPEN or m.is_private:
        return False
    session.exporting = True
    _errand(m, session, EXPORT_SESSION, now)
    return True


def close_session(m: Machine, session: Session, now: float) -> None:
    """End a session: calls already made come first, then its closing hook, then it is forgotten."""
    if session.state == OPEN:
        move(session, CLOSING, TRANSITIONS)
        m.book.closing(session)
        if session.is_idle:
            _end(m, session, now)


def _end(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: run its closing hook where its state is, or let it go at once."""
    if m.has_close_hook and session.has_begun and m.state != lifetime.CLOSING:
        _errand(m, session, CLOSE_SESSION, now)
    else:
        _dismiss(m, session, now)


def expire_idle(m: Machine, now: float) -> None:
    """End the sessions nobody used for `session_ttl`; a session in use is never touched."""
    m.is_watching_idle = False
    ttl = m.settings.session_ttl
    assert ttl is not None
    for session in [s for s in m.book if s.state == OPEN and s.is_idle and now >= s.last_used + ttl]:
        _lose(m, session, f"it was idle longer than session_ttl ({ttl} s)")
        _end(m, session, now)
    if len(m.book):
        _watch_idle(m, now)


def _watch_idle(m: Machine, now: float) -> None:
    ttl = m.settings.session_ttl
    if ttl is not None and not m.is_watching_idle:
        m.is_watching_idle = True
        m.agenda.add(now + min(max(ttl / TTL_LOOKS, SHORTEST_LOOK_S), LONGEST_LOOK_S), "ttl")


def chore_ended(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    """An errand came to its end."""
    session = call.session
    assert session is not None
    if call.operation == EXPORT_SESSION:
        _exported(m, session, ending, value)
    else:
        _dismiss(m, session, now)


def _exported(m: Machine, session: Session, ending: Ending, value: Any) -> None:
    session.exporting = False
    worker = session.worker
    if worker is None or worker.state == GONE or not session.has_begun:
        return
    if ending == "ok":
        session.unbind()  # the worker forgot it when it answered
        session.baggage = value
        m.tally.sessions_moved += 1
        m.say(events.SessionMoved, session.number, worker.id)
    else:
        session.pinned = f"its state cannot be exported: {value}"
        m.say(events.SessionPinned, session.number, worker.id, session.pinned)


def _dismiss(m: Machine, session: Session, now: float) -> None:
    """The session needs its worker no more; a private worker goes with it."""
    worker = session.worker
    had_begun = session.has_begun
    dispatch.release(m, session)
    if session.state == CLOSING:
        move(session, CLOSED, TRANSITIONS)
        session.lost_because = "it was closed"
        m.book.closed(session)
        m.tally.sessions_closed += 1
        m.say(events.SessionClosed, session.number, session.generation)
        m.outbox.append(("session_closed", session, None))
    if worker is None:
        return
    if m.is_private and worker.state == READY and had_begun:
        fleet.drain(m, worker, "its session ended", now)
    else:
        fleet.maybe_stop(m, worker, now)
        dispatch.pump(m, worker, now)


def worker_gone(m: Machine, worker: Worker, death: str, now: float) -> None:
    """Its sessions are lost at once, and told to every call they have waiting; one that never ran there goes on."""
    for session in list(worker.sessions.values()):
        if not session.has_begun:
            _leave_unused(m, session, now)
            continue
        session.unbind()
        current = session.current
        calls = [current] if current is not None and current.state == QUEUED else []
        calls += (session.waiting or {}).values()
        session.current = None
        if session.state in (OPEN, CLOSING):
            _lose(m, session, "the pool closed" if m.state == lifetime.CLOSING else f"its worker ended with {death}")
        for call in calls:
            endings.end_queued(m, call, "rejected", lost(session, session.lost_because), now)


def _leave_unused(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session is in its worker: its call, unless it is being sent or given up, waits for another."""
    current, worker = session.current, session.worker
    assert worker is not None
    if worker.state == GONE or current is None or current.state == QUEUED:
        dispatch.release(m, session)
    if current is not None and current.place is not None:
        current.place.remove(current)
        m.openers.push(current)
        m.backlog_seen(now)
    elif current is not None and worker.state == GONE:
        call_left(m, session, current, now)


def _lose(m: Machine, session: Session, because: str) -> None:
    was_closing = session.state == CLOSING
    move(session, LOST, TRANSITIONS)
    session.lost_because, session.baggage = because, None
    m.book.bury(session)
    if m.state == lifetime.CLOSING:  # nobody wanted to keep it
        m.tally.sessions_closed += 1
        m.say(events.SessionClosed, session.number, session.generation)
    else:
        m.tally.sessions_lost += 1
        m.say(events.SessionLost, session.number, session.generation, because)
    if was_closing:
        m.outbox.append(("session_closed", session, None))


def _errand(m: Machine, session: Session, number: int, now: float) -> None:
    """Make one of the pool's own calls on an idle session. Its time begins when it is sent."""
    chore = Call(next(m.call_ids), m.errands[number], b"", math.inf, session=session, is_chore=True)
    m.admit(chore, now)
