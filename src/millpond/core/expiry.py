"""Sessions that nobody uses end after `session_ttl`: found without a look at the others.

A call pays nothing for it: a session's entry says when it could expire at the earliest, and is put right when that time
has come. Called from the agenda; ends sessions through `affinity`.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from millpond.core import affinity
from millpond.core.session import OPEN

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.session import Session

LOOKS = 16  # looks at the sessions that may expire in one session_ttl
SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.05, 60.0  # between two looks
LOOKED_AT_ONCE = 64  # sessions in one turn of the loop; the rest has the next
SPARSE = 64  # entries of sessions that are over and may stand always


def watch(m: Machine, session: Session, now: float) -> None:
    """The session was opened: it expires when nobody uses it for `session_ttl`, if it has one."""
    ttl = m.settings.session_ttl
    if ttl is not None:
        _note(m, session, session.last_used + ttl)
        _look_again(m, now + min(max(ttl / LOOKS, SHORTEST_LOOK_S), LONGEST_LOOK_S))


def look(m: Machine, now: float) -> None:
    """End the sessions nobody used for `session_ttl`; a session in use is never touched."""
    m.is_watching_idle = False
    ttl = m.settings.session_ttl
    assert ttl is not None
    looks = LOOKED_AT_ONCE
    while looks and m.expiring and m.expiring[0][0] <= now:
        _, number, session_id = heapq.heappop(m.expiring)
        looks -= 1
        session = _open_one(m, number, session_id)
        if session is None:
            continue
        if not session.is_idle:
            _note(m, session, now + ttl)  # its call ends later than now
        elif now < session.last_used + ttl:
            _note(m, session, session.last_used + ttl)
        else:
            affinity.expire(m, session, f"it was idle longer than session_ttl ({ttl} s)", now)
    if m.expiring:
        _look_again(m, now + min(max(ttl / LOOKS, SHORTEST_LOOK_S), LONGEST_LOOK_S) if looks else now)


def next_at(m: Machine) -> float:
    """When the next session could expire, at the earliest; infinite if none does."""
    return m.expiring[0][0] if m.expiring else math.inf


def _look_again(m: Machine, at: float) -> None:
    if not m.is_watching_idle:
        m.is_watching_idle = True
        m.agenda.add(at, "ttl")


def _note(m: Machine, session: Session, at: float) -> None:
    heapq.heappush(m.expiring, (at, session.number, session.id))
    if len(m.expiring) > 2 * len(m.book) + SPARSE:
        m.expiring = [entry for entry in m.expiring if _open_one(m, *entry[1:]) is not None]
        heapq.heapify(m.expiring)


def _open_one(m: Machine, number: int, session_id: str) -> Session | None:
    """The session of an entry, unless it is over; another may have its id."""
    session = m.book.find(session_id)
    return session if session is not None and session.number == number and session.state == OPEN else None
