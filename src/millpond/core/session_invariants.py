"""What must hold of sessions between any two stimuli: their bindings, their lines, and where their states are.

Reads everything and changes nothing; a part of `invariants`, which calls it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond.core import lifetime
from millpond.core.session import CLOSED, CLOSING, LOST, OPEN
from millpond.core.whereabouts import BOUND, IN_HAND, IN_WORKER, LEAVING, STORED, WAKING
from millpond.core.whereabouts import GONE as OVER
from millpond.core.worker import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session


def contradictions(m: Machine, calls: Iterable[Call]) -> Iterator[str]:
    """Everything that does not hold; `calls` are all there are."""
    yield from _counts(m)
    yield from _bindings(m, calls)
    yield from _whereabouts(m)


def _counts(m: Machine) -> Iterator[str]:
    """What is kept so that nobody has to walk is what a walk would find."""
    asleep = sum(session.where in STORED for session in sessions_of(m))
    if m.asleep != asleep:
        yield f"{m.asleep} sessions are asleep, counted {asleep}"
    pinned = {session.number for session in m.book if session.pinned}
    if set(m.pinned) != pinned:
        yield f"sessions are noted as pinned {set(m.pinned)}, and are {pinned}"
    noted = {number for _, number, _ in m.expiring}
    unseen = {s.number for s in m.book if s.state == OPEN} - noted
    if m.settings.session_ttl is not None and (unseen or (m.expiring and not m.is_watching_idle)):
        yield f"sessions {unseen} never expire, and whether anybody looks: {m.is_watching_idle}"


def sessions_of(m: Machine) -> Iterable[Session]:
    """Open and closing sessions, and those that are over but still at a worker or on their way to their closing."""
    found = {session.number: session for session in m.book} | m.waking
    for worker in m.workers.values():
        found |= worker.sessions
    return found.values()


def _bindings(m: Machine, calls: Iterable[Call]) -> Iterator[str]:
    """Sessions and workers agree, and one call of a session at most is outside its line."""
    for worker in m.workers.values():
        if m.is_private and len(worker.sessions) > 1:
            yield f"{worker!r} is private and has {len(worker.sessions)} sessions"
        for number, session in worker.sessions.items():
            if session.worker is not worker or session.number != number:
                yield f"{session!r} is not bound to {worker!r}, which has it"
    for session in m.book:
        if session.state not in (OPEN, CLOSING):
            yield f"{session!r} is in the book"
    for session in sessions_of(m):
        yield from itertools.chain(_binding(session), _line(session))
    for call in calls:
        if (
            call.session is not None
            and call.id not in m.committing
            and (call.session.current is call) is (call.place is call.session)
        ):
            yield f"{call!r} is of {call.session!r}, which does not know it"


def _binding(session: Session) -> Iterator[str]:
    worker = session.worker
    if worker is None:
        return
    if worker.sessions.get(session.number) is not session or worker.state == GONE or session.state == CLOSED:
        yield f"{session!r} cannot be at {worker!r}"


def _whereabouts(m: Machine) -> Iterator[str]:
    """The state of a session is in one place, and who may sleep or is read from the store is known."""
    for session in sessions_of(m):
        where, is_in_worker = session.where, session.where in IN_WORKER
        if (is_in_worker and session.worker is None) or (where in STORED and session.worker is not None):
            yield f"{session!r} is {where} and its worker is {session.worker!r}"
        if (where == IN_HAND) is not (session.baggage is not None) and not (is_in_worker and m.is_durable):
            yield f"{session!r} is {where}, and its state in hand is {session.baggage!r}"
        if session.where == OVER:
            yield f"{session!r} is over and still here"
        if session.withheld and session.is_unstored:
            yield f"{session!r} has answers that wait for a commit that nobody ordered"
        if (where == WAKING) is not (session.number in m.waking):
            yield f"{session!r} is {where}, and whether it is being read: {session.number in m.waking}"
        if session.storing is not None and (where != IN_HAND or session.storing.lease != session.lease):
            yield f"{session!r} is {where} and is being put to sleep"
        if where in (BOUND, IN_HAND) and _may_sleep(m, session) and session.number not in m.by_use:
            yield f"{session!r} rests, and will never sleep"
    if m.by_use and not m.is_watching_sleep:
        yield f"{len(m.by_use)} sessions may sleep, and nobody looks"


def _may_sleep(m: Machine, session: Session) -> bool:
    is_free = session.is_idle and session.state == OPEN and not (session.pinned or session.storing or m.is_private)
    return is_free and m.settings.sleep_after is not None and m.state != lifetime.CLOSING


def _line(session: Session) -> Iterator[str]:
    current = session.current
    waiting = [call for call in (session.waiting or {}).values() if not call.is_chore]
    if waiting and ((current is None and session.where != WAKING) or session.state == LOST):
        yield f"{session!r} has calls waiting, and none before them"
    if current is not None and current.place is None and not (current.worker is session.worker is not None):
        yield f"{session!r} waits for {current!r}"
    if (session.where == LEAVING) is not (
        current is not None and current.is_chore and current.op.name == "export_session"
    ):
        yield f"{session!r} is {session.where}, with {current!r}"
