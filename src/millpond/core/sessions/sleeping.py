"""Sessions that nobody uses: they leave their workers for the store, come back with their next call, or expire.

Storing is asked for only when the state is in hand and nothing of the session waits; a call that comes meanwhile uses
what is in hand, and the late result changes nothing. Whoever is due to sleep is found from the front of one ordered
dictionary, whoever is due to expire by a heap whose entries are put right when their time has come.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch, endings
from millpond.core.records import states
from millpond.core.records.orders import Recall
from millpond.core.records.session import ASLEEP, BOUND, CLOSING, IN_HAND, OPEN, PINNED, STORED, WAKING
from millpond.core.sessions import durability, loss, moving
from millpond.errors import CLASSES

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.errors import PoolError
    from millpond.seams import SessionRecord

LOOKS = 16  # looks at resting sessions in one sleep_after or session_ttl
SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.01, 5.0  # between two looks for sleepers
SHORTEST_EXPIRY_LOOK_S, LONGEST_EXPIRY_LOOK_S = 0.05, 60.0  # between two looks for the expired
POSTPONED = 64  # sessions of busy workers in one look; beyond, the rest is left to the next
LEAVING_AT_ONCE = 64  # sessions that leave in one look, in about a millisecond; the rest has the next
EXPIRING_AT_ONCE = 64  # sessions in one turn of the loop; the rest has the next
SPARSE = 64  # entries of sessions that are over and may stand always


def look_for_sleepers(pool: Records, now: float) -> None:
    """Let those leave that were not used for `sleep_after`, and look again when the next is due.

    A worker that is busy, and has enough exports to make, is asked no more: its sessions have another look, soon if
    this one was of use.
    """
    after = pool.settings.sleep_after
    if after is None or pool.state == states.CLOSING:
        return
    left = postponed = way = 0
    while len(pool.by_use) > postponed and postponed < POSTPONED and left < LEAVING_AT_ONCE:
        session = next(iter(pool.by_use.values()))
        if now < session.last_used + after:
            break
        if not session.is_idle or session.state != OPEN or session.mobility == PINNED:
            del pool.by_use[session.number]  # it is noted again when it next rests
        elif session.location == BOUND and not (way := moving.way_out(pool, session)):
            pool.by_use.move_to_end(session.number)
            postponed += 1
        else:
            del pool.by_use[session.number]
            _leave(pool, session, way, now)
            left += 1
    if pool.by_use:
        is_short = left and (postponed or left == LEAVING_AT_ONCE)
        pause = SHORTEST_LOOK_S if is_short else min(max(after / LOOKS, SHORTEST_LOOK_S), LONGEST_LOOK_S)
        pool.look_at("sleep", max(next(iter(pool.by_use.values())).last_used + after, now + pause))


def _leave(pool: Records, session: Session, way: int, now: float) -> None:
    worker = session.worker
    if session.location == BOUND:
        moving.leave(pool, session, way, now)
    else:
        dispatch.release(pool, session)
    if session.location == IN_HAND:
        durability.rest(pool, session, now)
    if worker is not None:
        moving.freed(pool, worker, now)


def stored(pool: Records, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
    """What came of storing a record: it sleeps now, unless it was needed meanwhile. What failed stays in hand."""
    durability.committed(pool, session, record, error, now)
    if error is not None:
        pool.counters.store_failures += 1
        pool.emit(events.SessionUnstored, session.number, str(error))
    # While the record was on its way to the store a call may have come: it took the state that was in hand, and a later
    # record may be on its way by now. Such a late result changes nothing, but without durability what was stored is
    # erased, or a later program would find a state that is long outdated.
    if session.storing is not record:
        if session.storing is None and not pool.is_on_disk and session.location not in STORED:
            loss.erase(pool, session)  # it was needed before this was done: nobody is to find the record
        return
    session.storing = None
    if not session.is_idle or session.state != OPEN:
        return
    if error is not None:
        session.last_used = now
        durability.sleep_later(pool, session, now)
        return
    pool.relocate(session, ASLEEP)
    session.snapshot = None
    pool.counters.sessions_slept += 1
    pool.emit(events.SessionAsleep, session.number, session.generation)


def wait_for_state(pool: Records, session: Session, call: Call) -> None:
    """A call of a session that sleeps waits in the session's line until the state is back."""
    session.wait_behind(call)
    if session.location == ASLEEP:
        pool.relocate(session, WAKING)
        pool.waking[session.number] = session
        pool.outbox.append(Recall(session))


def recalled(
    pool: Records, session: Session, record: SessionRecord | None, error: PoolError | None, now: float
) -> None:
    """The store gave a session's record back, has none, or failed: then the next call tries again."""
    # The session may have been lost or closed while the store was read.
    if session.location != WAKING:
        return
    del pool.waking[session.number]
    if error is not None:
        pool.counters.store_failures += 1
        pool.emit(events.SessionUnstored, session.number, str(error))
        _back_to_sleep(pool, session, error, now)
    elif record is None or record.age < (session.generation, session.lease, session.version):
        loss.lose_stored(pool, session, "the session store does not have its state any more", now)
    else:
        _awake(pool, session, record)


def _awake(pool: Records, session: Session, record: SessionRecord) -> None:
    pool.relocate(session, IN_HAND)
    session.snapshot = record.state
    session.lease, session.version = record.lease, record.version
    pool.counters.sessions_woken += 1
    pool.emit(events.SessionAwake, session.number, session.generation)
    if not pool.is_on_disk:
        loss.erase(pool, session)
    pool.unsettled.sessions[session.number] = session


def _back_to_sleep(pool: Records, session: Session, error: PoolError, now: float) -> None:
    pool.relocate(session, ASLEEP)
    for call in list((session.waiting or {}).values()):
        message = f"session {session.number} is asleep, and its store cannot be read: {error}"
        endings.end_queued(pool, call, "failed", CLASSES[error.code](message, outcome="not_started"), now)
    if session.is_idle and session.state == CLOSING:
        loss.dismiss(pool, session, now)


# Expiry


def watch_expiry(pool: Records, session: Session, now: float) -> None:
    """The session was opened: it expires when nobody uses it for `session_ttl`, if it has one."""
    ttl = pool.settings.session_ttl
    if ttl is not None:
        _note_expiry(pool, session, session.last_used + ttl)
        pool.look_at("expiry", now + _pause(ttl))


def look_for_expired(pool: Records, now: float) -> None:
    """End the sessions nobody used for `session_ttl`; a session in use is never touched."""
    ttl = pool.settings.session_ttl
    if ttl is None:
        return
    looks = EXPIRING_AT_ONCE
    while looks and pool.expiring and pool.expiring[0][0] <= now:
        _, number, session_id = heapq.heappop(pool.expiring)
        looks -= 1
        session = _open_one(pool, number, session_id)
        if session is None:
            continue
        if not session.is_idle:
            _note_expiry(pool, session, now + ttl)  # its call ends later than now
        elif now < session.last_used + ttl:
            _note_expiry(pool, session, session.last_used + ttl)
        else:
            loss.expire(pool, session, f"it was idle longer than session_ttl ({ttl} s)", now)
    if pool.expiring:
        pool.look_at("expiry", now + _pause(ttl) if looks else now)


def next_expiry_at(pool: Records) -> float:
    """When the next session could expire, at the earliest; infinite if none does."""
    return pool.expiring[0][0] if pool.expiring else math.inf


def _pause(ttl_s: float) -> float:
    return min(max(ttl_s / LOOKS, SHORTEST_EXPIRY_LOOK_S), LONGEST_EXPIRY_LOOK_S)


def _note_expiry(pool: Records, session: Session, at: float) -> None:
    heapq.heappush(pool.expiring, (at, session.number, session.id))
    if len(pool.expiring) > 2 * len(pool.sessions) + SPARSE:
        pool.expiring = [entry for entry in pool.expiring if _open_one(pool, *entry[1:]) is not None]
        heapq.heapify(pool.expiring)


def _open_one(pool: Records, number: int, session_id: str) -> Session | None:
    """The session of an entry, unless it is over; another may have its id."""
    session = pool.sessions.find(session_id)
    return session if session is not None and session.number == number and session.state == OPEN else None
