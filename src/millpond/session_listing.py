"""A pool's sessions when asked: one frozen record each, oldest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

from millpond.core import session_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core import Session, View

SessionState = Literal["open", "moving", "asleep", "closing", "lost"]

STATES: tuple[SessionState, ...] = get_args(SessionState)
_OF_LOCATION: dict[str, SessionState] = {
    session_states.LEAVING: "moving",
    session_states.IN_HAND: "moving",
    session_states.ASLEEP: "asleep",
    session_states.WAKING: "asleep",
}


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session at one moment.

    `state` is `open`, `moving` (its state is on its way out of a worker, or kept in this process until its next call),
    `asleep` (in the store), `closing` or `lost`. `idle_s` is how long no call of it was there, in seconds; 0 while one
    is. `worker` is the id of the worker it is bound to. `size_bytes` is how large its state is, where that is known:
    it is in this process. `number` rises from session to session.
    """

    id: str
    number: int
    generation: int
    state: SessionState
    idle_s: float
    worker: int | None
    size_bytes: int | None
    waiting: int


def check_page(state: object, limit: object) -> None:
    """Raise `ValueError` for what no listing can be asked for."""
    if state is not None and state not in STATES:
        raise ValueError(f"state must be one of {', '.join(map(repr, STATES))}, not {state!r}")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(f"limit must be 1 or more, not {limit!r}")


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
