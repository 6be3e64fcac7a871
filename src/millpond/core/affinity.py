"""Sessions in the pool: opening and joining, the errands on them, closing, expiry, and loss that is loud.

Works on the machine's records; the order of one session's calls and its binding to a worker are decided here and in
`dispatch`. Where a session's state goes meanwhile is in `moving`, `sleeping` and `keeping`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import dispatch, endings, expiry, fleet, leaving, lifetime, moving, overload, sleeping
from millpond.core.call import QUEUED, Call
from millpond.core.session import CLOSED, CLOSING, LOST, OPEN, TRANSITIONS, Session
from millpond.core.transitions import move
from millpond.core.whereabouts import ASLEEP, GONE, NEW, go
from millpond.core.worker import DRAINING, READY
from millpond.core.worker import GONE as DEAD
from millpond.errors import CLASSES
from millpond.seams import CLOSE_SESSION, EXPORTS

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Ending, PoolError
    from millpond.seams import SessionRecord


LONGEST_WAIT_S = 30.0  # before it is worth to ask again whether there is room


def open_session(
    m: Machine,
    session_id: str,
    affinity: str | None,
    reopen: bool,
    now: float,
    on_restore: str | None = None,
    record: SessionRecord | None = None,
) -> Session:
    """Join the open session of that id, or open one; with a `record` of an earlier program, as it was left there.

    Raises `SessionLost` for one that was lost unless `reopen`, `TooManySessions` at the cap, and `PoolClosed`.
    """
    if m.state != lifetime.SERVING:
        raise lifetime.closed_error(m)
    before = m.book.find(session_id)
    if before is not None and before.state == OPEN:
        before.last_used = now
        before.on_restore = on_restore or before.on_restore
        if before.number in m.by_use:
            m.by_use.move_to_end(before.number)
        return before
    if before is not None and not reopen:
        raise lost(before, before.lost_because)
    _check_cap(m, now)
    session = m.book.open(session_id, affinity or m.settings.affinity, now)
    session.on_restore = on_restore or m.settings.on_restore
    if record is not None and before is None:
        _go_on_from(session, record)
        m.asleep += 1
    expiry.watch(m, session, now)
    m.tally.sessions_opened += 1
    m.say(events.SessionOpened, session.number, session.generation)
    return session


def _go_on_from(session: Session, record: SessionRecord) -> None:
    """It was stored by a program that is gone: it sleeps, and its first call is told that it was restored."""
    session.generation, session.lease, session.version = record.age
    session.committed = record.version
    session.is_stored = True
    session.is_restored = session.on_restore == "raise"
    session.where = ASLEEP


def _check_cap(m: Machine, now: float) -> None:
    cap = min(m.settings.max_sessions, m.sizing.high) if m.is_private else m.settings.max_sessions
    if len(m.book) >= cap:
        raise CLASSES["too_many_sessions"](
            f"{len(m.book)} sessions are open, the cap is {cap}; close some, lower session_ttl, or raise max_sessions"
            + (" and max_workers" if m.is_private else ""),
            retry_after=round(max(0.05, min(expiry.next_at(m) - now, LONGEST_WAIT_S)), 3),
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
        if session.is_idle:  # the last that waited for its state to be read
            session.last_used = now
        return
    session.current = None
    session.last_used = now
    if session.worker is not None and session.worker.state == DRAINING and maybe_export(m, session, now):
        return
    serve_next(m, session, now)


def serve_next(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session is outside its line: its next call is that is not too late, or it rests, or ends."""
    _drop_hopeless(m, session, now)
    following = session.next_waiting()
    while following is not None and following.deadline <= now:
        leaving.leave(m, following, "deadline_exceeded", now)
        following = session.next_waiting()
    if following is not None:
        dispatch.place(m, following, now)
    elif session.state == CLOSING:
        _end(m, session, now)
    else:
        sleeping.rest(m, session, now)


def _drop_hopeless(m: Machine, session: Session, now: float) -> None:
    """Calls in front of the line that cannot be answered in time make way for those behind; the last one stays."""
    while (line := session.waiting) is not None and len(line) > 1:
        call = next(iter(line.values()))
        if not overload.is_hopeless(m, call, now):
            return
        endings.end_queued(m, call, "rejected", overload.dropped(m, call, now), now)


def maybe_export(m: Machine, session: Session, now: float) -> bool:
    """Take an idle session out of its worker. False if that is done, or it has to stay to its end."""
    if session.worker is None or m.state == lifetime.CLOSING:
        return False
    if not session.is_in_worker:
        _leave_unused(m, session, now)
        return False
    return moving.take_out(m, session, now)


def close_session(m: Machine, session: Session, now: float) -> None:
    """End a session: calls already made come first, then its closing hook, then it is forgotten."""
    if session.state == OPEN:
        move(session, CLOSING, TRANSITIONS)
        m.book.closing(session)
        if session.is_idle:
            _end(m, session, now)


def expire(m: Machine, session: Session, because: str, now: float) -> None:
    """End a session that nobody used for too long: it is lost to whoever comes back."""
    _lose(m, session, because)
    _end(m, session, now)


def _end(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: run its closing hook where its state is, or let it go at once."""
    if m.has_close_hook and session.where != NEW and m.state != lifetime.CLOSING:
        errand(m, session, CLOSE_SESSION, now)
    else:
        dismiss(m, session, now)


def chore_ended(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    """An errand came to its end."""
    session = call.session
    assert session is not None
    if call.operation in EXPORTS:
        moving.exported(m, session, call, ending, value, now)
    else:
        dismiss(m, session, now)


def dismiss(m: Machine, session: Session, now: float) -> None:
    """The session is over: its worker forgets it, and so does the store; a private worker goes with it."""
    worker = session.worker
    was_in_worker = session.is_in_worker
    dispatch.release(m, session)
    _over(m, session)
    if session.state == CLOSING:
        move(session, CLOSED, TRANSITIONS)
        session.lost_because = "it was closed"
        m.book.closed(session)
        m.tally.sessions_closed += 1
        m.say(events.SessionClosed, session.number, session.generation)
        m.outbox.append(("session_closed", session, None))
    if worker is None:
        return
    if m.is_private and worker.state == READY and was_in_worker:
        fleet.drain(m, worker, "its session ended", now)
    else:
        moving.freed(m, worker, now)


def _over(m: Machine, session: Session) -> None:
    if session.where != GONE:
        go(m, session, GONE)
    session.baggage = None
    sleeping.forgotten(m, session)


def worker_gone(m: Machine, worker: Worker, death: str, now: float) -> None:
    """Its sessions go on from what was kept of them, or are lost at once; one that never ran there goes on."""
    for session in list(worker.sessions.values()):
        if not session.is_in_worker:
            _leave_unused(m, session, now)
        elif moving.will_restore(m, session):
            moving.restore(m, session, f"its worker ended with {death}", now)
        else:
            why = "the pool closed" if m.state == lifetime.CLOSING else f"its worker ended with {death}"
            _lost_with_worker(m, session, why, now)


def _lost_with_worker(m: Machine, session: Session, because: str, now: float) -> None:
    session.unbind()
    current = session.current
    calls = [current] if current is not None and current.state == QUEUED else []
    session.current = None
    _lose_and_tell(m, session, calls, because, now)


def lose_stored(m: Machine, session: Session, because: str, now: float) -> None:
    """The store does not have the session any more: every call that waits for it is told."""
    _lose_and_tell(m, session, [], because, now)


def _lose_and_tell(m: Machine, session: Session, calls: list[Call], because: str, now: float) -> None:
    """These calls are told, and those in the session's line after them."""
    calls = [*calls, *(session.waiting or {}).values()]
    if session.state in (OPEN, CLOSING):
        _lose(m, session, because)
    _over(m, session)
    for call in calls:
        endings.end_queued(m, call, "rejected", lost(session, session.lost_because), now)


def _leave_unused(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session is in its worker: its call, unless it is being sent or given up, waits for another."""
    current, worker = session.current, session.worker
    assert worker is not None
    if worker.state == DEAD or current is None or current.state == QUEUED:
        dispatch.release(m, session)
    if current is not None and current.place is not None:
        current.place.remove(current)
        m.openers.push(current)
        m.backlog_seen(now)
    elif current is not None and worker.state == DEAD:
        call_left(m, session, current, now)


def _lose(m: Machine, session: Session, because: str) -> None:
    was_closing = session.state == CLOSING
    move(session, LOST, TRANSITIONS)
    session.lost_because = because
    m.book.bury(session)
    if m.state == lifetime.CLOSING:  # nobody wanted to keep it
        m.tally.sessions_closed += 1
        m.say(events.SessionClosed, session.number, session.generation)
    else:
        m.tally.sessions_lost += 1
        m.say(events.SessionLostEvent, session.number, session.generation, because)
    if was_closing:
        m.outbox.append(("session_closed", session, None))


def errand(m: Machine, session: Session, number: int, now: float) -> None:
    """Make one of the pool's own calls on an idle session. Its time begins when it is sent."""
    chore = Call(next(m.call_ids), m.errands[number], b"", math.inf, session=session, is_chore=True)
    m.admit(chore, now)
