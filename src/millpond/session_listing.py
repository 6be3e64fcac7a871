"""A pool's sessions when asked: one frozen record each, oldest first, a page at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from millpond.core import session_states
from millpond.facts import SessionFacts, SessionState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core import Session, View

_OF_LOCATION: dict[str, SessionState] = {
    session_states.LEAVING: "moving",
    session_states.IN_HAND: "moving",
    session_states.ASLEEP: "asleep",
    session_states.WAKING: "asleep",
}


def listed(
    view: View, now: float, prefix: str, state: SessionState | None, worker: int | None, limit: int, after: int
) -> tuple[SessionFacts, ...]:
    """The sessions that fit, in the order of their numbers; nothing is kept or changed."""
    found = (
        session
        for session in sorted(view.sessions(), key=_number)
        if session.number > after
        and (not prefix or session.id.startswith(prefix))
        and (worker is None or (session.worker is not None and session.worker.id == worker))
        and (state is None or state_of(session) == state)
    )
    return tuple(_facts(found, now, limit))


def state_of(session: Session) -> SessionState:
    """The state of a session, as people are told it."""
    if session.state == session_states.OPEN:
        return _OF_LOCATION.get(session.location, "open")
    return "closing" if session.state == session_states.CLOSING else "lost"


def facts_of(session: Session, now: float) -> SessionFacts:
    """What is told of one session."""
    snapshot = session.snapshot
    return SessionFacts(
        session.id,
        session.number,
        session.generation,
        state_of(session),
        max(0.0, now - session.last_used) if session.is_idle else 0.0,
        session.worker.id if session.worker is not None else None,
        len(snapshot) if isinstance(snapshot, bytes) else None,
        len(session.waiting or ()),
    )


def _facts(sessions: Iterator[Session], now: float, limit: int) -> Iterator[SessionFacts]:
    for session in islice(sessions, limit):
        yield facts_of(session, now)


def _number(session: Session) -> int:
    return session.number
