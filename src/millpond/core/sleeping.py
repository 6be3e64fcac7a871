"""Sleep: sessions nobody uses leave their workers for the store, and come back with their next call.

Storing is asked for only when the state is in hand and nothing of the session waits; a call that comes meanwhile uses
what is in hand, and the late result changes nothing. Whoever is due is found from the front of one ordered dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core import affinity, dispatch, endings, keeping, lifetime, moving
from millpond.core.session import CLOSING, LOST, OPEN
from millpond.core.whereabouts import ASLEEP, BOUND, IN_HAND, WAKING, go
from millpond.errors import CLASSES
from millpond.seams import SessionRecord

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.errors import PoolError

LOOKS = 16  # looks at resting sessions in one sleep_after
SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.01, 5.0  # between two looks
POSTPONED = 64  # sessions of busy workers in one look; beyond, the rest is left to the next
LEAVING_AT_ONCE = 64  # sessions that leave in one look, in about a millisecond; the rest has the next


def rest(m: Machine, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: what is in hand goes to the store, what is in a worker may sleep later."""
    if session.state != OPEN or m.is_private or m.state == lifetime.CLOSING:
        return
    if session.where == IN_HAND and session.worker is None:
        put_away(m, session)
    elif session.where in (BOUND, IN_HAND):
        _may_sleep_later(m, session, now)


def _may_sleep_later(m: Machine, session: Session, now: float) -> None:
    after = m.settings.sleep_after
    if after is not None:
        m.by_use[session.number] = session
        m.by_use.move_to_end(session.number)
        if not m.is_watching_sleep:
            m.is_watching_sleep = True
            m.agenda.add(max(session.last_used + after, now), "sleep")


def look_for_sleepers(m: Machine, now: float) -> None:
    """Let those leave that were not used for `sleep_after`, and look again when the next is due.

    A worker that is busy, and has enough errands, is asked no more: its sessions have another look, soon if this one
    was of use.
    """
    m.is_watching_sleep = False
    after = m.settings.sleep_after
    if after is None or m.state == lifetime.CLOSING:
        return
    left = postponed = 0
    while len(m.by_use) > postponed and postponed < POSTPONED and left < LEAVING_AT_ONCE:
        session = next(iter(m.by_use.values()))
        if now < session.last_used + after:
            break
        if not session.is_idle or session.state != OPEN or session.pinned:
            del m.by_use[session.number]  # it is noted again when it next rests
        elif session.where == BOUND and not moving.can_leave_now(m, session):
            m.by_use.move_to_end(session.number)
            postponed += 1
        else:
            del m.by_use[session.number]
            _leave(m, session, now)
            left += 1
    if m.by_use:
        pause = SHORTEST_LOOK_S if left else min(max(after / LOOKS, SHORTEST_LOOK_S), LONGEST_LOOK_S)
        m.is_watching_sleep = True
        m.agenda.add(max(next(iter(m.by_use.values())).last_used + after, now + pause), "sleep")


def _leave(m: Machine, session: Session, now: float) -> None:
    worker = session.worker
    if session.where == BOUND:
        moving.take_out(m, session, now)
    else:
        dispatch.release(m, session)
    if session.where == IN_HAND:
        rest(m, session, now)
    if worker is not None:
        moving.freed(m, worker, now)


def put_away(m: Machine, session: Session) -> None:
    """Have the state in hand stored; it stays in hand until that is done."""
    session.storing = keeping.order_storing(m, session)


def stored(m: Machine, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
    """What came of storing a record: it sleeps now, unless it was needed meanwhile. What failed stays in hand."""
    keeping.committed(m, session, record, error, now)
    if error is not None:
        m.tally.store_failures += 1
        m.say(events.SessionUnstored, session.number, str(error))
    if session.storing is not record:
        if session.is_stored and session.storing is None and not m.is_on_disk and session.where not in (ASLEEP, WAKING):
            erase(m, session)  # it was needed before this was done: nobody is to find the record
        return
    session.storing = None
    if not session.is_idle or session.state != OPEN:
        return
    if error is not None:
        session.last_used = now
        _may_sleep_later(m, session, now)
        return
    go(m, session, ASLEEP)
    session.baggage = None
    m.tally.sessions_slept += 1
    m.say(events.SessionAsleep, session.number, session.generation)


def wait_for_state(m: Machine, session: Session, call: Call) -> None:
    """A call of a session that sleeps waits in the session's line until the state is back."""
    session.wait_behind(call)
    if session.where == ASLEEP:
        go(m, session, WAKING)
        m.waking[session.number] = session
        m.outbox.append(("recall", session, None))


def recalled(m: Machine, session: Session, record: SessionRecord | None, error: PoolError | None, now: float) -> None:
    """The store gave a session's record back, has none, or failed: then the next call tries again."""
    if session.where != WAKING:
        return
    del m.waking[session.number]
    if error is not None:
        m.tally.store_failures += 1
        m.say(events.SessionUnstored, session.number, str(error))
        _back_to_sleep(m, session, error, now)
    elif record is None or record.age < (session.generation, session.lease, session.version):
        affinity.lose_stored(m, session, "the session store does not have its state any more", now)
    else:
        _awake(m, session, record, now)


def _awake(m: Machine, session: Session, record: SessionRecord, now: float) -> None:
    go(m, session, IN_HAND)
    session.baggage = record.state
    session.lease, session.version = record.lease, record.version
    m.tally.sessions_woken += 1
    m.say(events.SessionAwake, session.number, session.generation)
    if not m.is_on_disk:
        erase(m, session)
    affinity.serve_next(m, session, now)


def _back_to_sleep(m: Machine, session: Session, error: PoolError, now: float) -> None:
    go(m, session, ASLEEP)
    for call in list((session.waiting or {}).values()):
        told = f"session {session.number} is asleep, and its store cannot be read: {error}"
        endings.end_queued(m, call, "failed", CLASSES[error.code](told, outcome="not_started"), now)
    if session.is_idle and session.state == CLOSING:
        affinity.dismiss(m, session, now)


def erase(m: Machine, session: Session) -> None:
    """Have the store forget the session."""
    if session.is_stored:
        session.is_stored = False
        m.outbox.append(("erase", session, None))


def forgotten(m: Machine, session: Session) -> None:
    """The session is over: nothing here and nothing in the store remembers it, unless it ends with its pool."""
    session.storing = None
    m.by_use.pop(session.number, None)
    m.pinned.pop(session.number, None)
    m.waking.pop(session.number, None)
    if m.state != lifetime.CLOSING or session.state != LOST:
        erase(m, session)
