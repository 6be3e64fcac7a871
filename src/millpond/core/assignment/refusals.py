"""The errors by which the pool itself ends calls: each text with its numbers and its remedy. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core.records import states
from millpond.core.records.session import OPEN
from millpond.errors import CLASSES

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.errors import Outcome, PoolError


def not_begun(attempts: int) -> Outcome:
    """The outcome of a call that is not with a worker: unknown if one it was given to before died with it."""
    return "unknown" if attempts else "not_started"


def end_error(pool: Records, call: Call, code: str, outcome: Outcome, now: float) -> PoolError:
    """The error of a call that is given up: `code` is cancelled, deadline_exceeded, pool_closing or internal_error."""
    after = now - call.submitted_at
    texts = {
        "deadline_exceeded": f"operation {call.op.name!r} was not answered within its deadline: {after:.3f} s after "
        f"submission, with {pool.queued} calls queued and {pool.ready_count} workers ready",
        "cancelled": f"operation {call.op.name!r} was given up {after:.3f} s after submission",
        "pool_closing": f"the pool closed while {call.op.name!r} ran, and its drain time is over",
        "internal_error": f"{getattr(call, 'failure', '')} (operation {call.op.name!r})",
    }
    return CLASSES[code](texts[code], outcome=outcome)


def closed(state: str) -> PoolError:
    """Why a pool in this state, which does not serve, refuses a call."""
    if state == states.DRAINING:
        return CLASSES["pool_closing"]("the pool is draining and takes no more calls")
    if state == states.NEW:
        return CLASSES["pool_closed"]("the pool was never opened; use `async with` or `await pool.open()`")
    if state == states.FORKED:
        return CLASSES["pool_closed"](
            "the pool belongs to the process that this one was forked from; make another here"
        )
    return CLASSES["pool_closed"]("the pool is closed")


# Sessions


def of_session(session: Session) -> PoolError:
    """Why a call of this session is refused."""
    if session.state == OPEN:
        return session_busy(session)
    return session_lost(session, session.lost_because or "it was closed")


def session_busy(session: Session) -> PoolError:
    """The error of fail-fast affinity."""
    return CLASSES["session_busy"](f"session {session.number}'s worker is busy, and its affinity is fail_fast")


def session_lost(session: Session, because: str) -> PoolError:
    """The error of a session whose state is gone."""
    return CLASSES["session_lost"](
        f"session {session.number} (generation {session.generation}) is gone: {because}; "
        "open it anew with pool.session(id, reopen=True)"
    )


def session_restored(session: Session) -> PoolError:
    """The error that tells of a restoration, once."""
    session.restored_because = ""
    return CLASSES["session_restored"](
        f"session {session.number} (generation {session.generation}) was restored to the state of its last "
        "acknowledged answer, because what held it died; a call whose outcome was unknown may have left nothing. "
        "The next call runs on the restored state"
    )
