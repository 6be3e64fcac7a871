"""What must hold of sessions between any two stimuli: their bindings, their lines, and where their states are.

Reads everything and changes nothing; a part of `invariants`, which calls it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond.core.records import states
from millpond.core.records.session import (
    BOUND,
    CLOSED,
    CLOSING,
    IN_HAND,
    IN_WORKER,
    LEAVING,
    LOST,
    OLD_RECORD,
    OPEN,
    OVER,
    PINNED,
    STORED,
    WAKING,
)
from millpond.core.records.worker import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session


def contradictions(pool: Records, calls: Iterable[Call]) -> Iterator[str]:
    """Everything that does not hold; `calls` are all there are."""
    yield from _counts(pool)
    yield from _bindings(pool, calls)
    yield from _locations(pool)


def _counts(pool: Records) -> Iterator[str]:
    """What is kept so that nobody has to walk is what a walk would find."""
    asleep = sum(session.location in STORED for session in sessions_of(pool))
    if pool.asleep != asleep:
        yield f"{pool.asleep} sessions are asleep, counted {asleep}"
    pinned = {session.number for session in pool.sessions if session.mobility == PINNED}
    if set(pool.pinned) != pinned:
        yield f"sessions are noted as pinned {set(pool.pinned)}, and are {pinned}"
    noted = {number for _, number, _ in pool.expiring}
    unseen = {s.number for s in pool.sessions if s.state == OPEN} - noted
    if pool.settings.session_ttl is not None and (unseen or (pool.expiring and "expiry" not in pool.looks)):
        yield f"sessions {unseen} never expire, and whether anybody looks: {'expiry' in pool.looks}"


def sessions_of(pool: Records) -> Iterable[Session]:
    """Open and closing sessions, and those that are over but still at a worker or on their way to their closing."""
    found = {session.number: session for session in pool.sessions} | pool.waking
    for worker in pool.workers.values():
        found |= worker.sessions
    return found.values()


def _bindings(pool: Records, calls: Iterable[Call]) -> Iterator[str]:
    """Sessions and workers agree, and one call of a session at most is outside its line."""
    for worker in pool.workers.values():
        if pool.is_private and len(worker.sessions) > 1:
            yield f"{worker!r} is private and has {len(worker.sessions)} sessions"
        for number, session in worker.sessions.items():
            if session.worker is not worker or session.number != number:
                yield f"{session!r} is not bound to {worker!r}, which has it"
    for session in pool.sessions:
        if session.state not in (OPEN, CLOSING):
            yield f"{session!r} is in the registry"
    for session in sessions_of(pool):
        yield from itertools.chain(_binding(session), _line(session))
    for call in calls:
        if (
            call.session is not None
            and call.id not in pool.committing
            and (call.session.current is call) is (call.line is call.session)
        ):
            yield f"{call!r} is of {call.session!r}, which does not know it"


def _binding(session: Session) -> Iterator[str]:
    worker = session.worker
    if worker is None:
        return
    elif worker.sessions.get(session.number) is not session or worker.state == GONE or session.state == CLOSED:
        yield f"{session!r} cannot be at {worker!r}"


def _locations(pool: Records) -> Iterator[str]:
    """The state of a session is in one place, and who may sleep or is read from the store is known."""
    for session in sessions_of(pool):
        where, is_in_worker = session.location, session.location in IN_WORKER
        if (is_in_worker and session.worker is None) or (where in STORED and session.worker is not None):
            yield f"{session!r} is {where} and its worker is {session.worker!r}"
        if (where == IN_HAND) is not (session.snapshot is not None) and not (is_in_worker and pool.is_durable):
            yield f"{session!r} is {where}, and its state in hand is {session.snapshot!r}"
        if session.location == OVER:
            yield f"{session!r} is over and still here"
        if session.deferred and session.record == OLD_RECORD:
            yield f"{session!r} has answers that wait for a commit that nobody ordered"
        if (where == WAKING) is not (session.number in pool.waking):
            yield f"{session!r} is {where}, and whether it is being read: {session.number in pool.waking}"
        if session.storing is not None and (where != IN_HAND or session.storing.lease != session.lease):
            yield f"{session!r} is {where} and is being put to sleep"
        if where in (BOUND, IN_HAND) and _may_sleep(pool, session) and session.number not in pool.by_use:
            yield f"{session!r} rests, and will never sleep"
    if pool.by_use and "sleep" not in pool.looks:
        yield f"{len(pool.by_use)} sessions may sleep, and nobody looks"


def _may_sleep(pool: Records, session: Session) -> bool:
    is_free = (
        session.is_idle
        and session.state == OPEN
        and not (session.mobility == PINNED or session.storing or pool.is_private)
    )
    return is_free and pool.settings.sleep_after is not None and pool.state != states.CLOSING


def _line(session: Session) -> Iterator[str]:
    current = session.current
    waiting = [call for call in (session.waiting or {}).values() if call.continuation is None]
    if waiting and ((current is None and session.location != WAKING) or session.state == LOST):
        yield f"{session!r} has calls waiting, and none before them"
    if current is not None and current.line is None and not (current.worker is session.worker is not None):
        yield f"{session!r} waits for {current!r}"
    if (session.location == LEAVING) is not (
        current is not None and current.continuation is not None and current.op.name == "export_session"
    ):
        yield f"{session!r} is {session.location}, with {current!r}"
