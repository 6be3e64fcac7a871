"""Sessions in the pool: opening and joining, whose call is next, closing, and what a worker's end means for them.

A session's calls run in order, one at a time. When one has left, `serve` gives the next its turn, or lets the session
rest or end; it runs when a stimulus is settled, once for each session that was touched, so that nothing here calls
itself. Where a session's state goes meanwhile is in `moving`, `durability` and `sleeping`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch, endings, overload, refusals
from millpond.core.records import states
from millpond.core.records.call import QUEUED
from millpond.core.records.session import ASLEEP, CLOSING, OPEN, STORED, STORED_RECORD, TRANSITIONS, Session
from millpond.core.records.states import move
from millpond.core.records.worker import DRAINING, GONE
from millpond.core.sessions import durability, loss, moving, rebalancing, sleeping
from millpond.core.workers import fleet
from millpond.errors import CLASSES
from millpond.seams import EXPORT_CONCURRENT

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.worker import Worker
    from millpond.seams import SessionRecord


LONGEST_WAIT_S = 30.0  # before it is worth to ask again whether there is room
EVACUATED_AT_ONCE = 64  # sessions of a draining worker that are asked to leave in one turn of the loop


def open_session(
    pool: Records,
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
    if pool.state != states.SERVING:
        raise refusals.closed(pool.state)
    before = pool.sessions.find(session_id)
    if before is not None and before.state == OPEN:
        before.last_used = now
        before.on_restore = on_restore or before.on_restore
        if before.number in pool.by_use:
            pool.by_use.move_to_end(before.number)
        return before
    if before is not None and not reopen:
        raise refusals.session_lost(before, before.lost_because)
    _check_cap(pool, now)
    session = pool.sessions.open(session_id, affinity or pool.settings.affinity, now)
    session.on_restore = on_restore or pool.settings.on_restore
    if record is not None and before is None:
        _go_on_from(session, record)
        pool.asleep += 1
    sleeping.watch_expiry(pool, session, now)
    pool.counters.sessions_opened += 1
    pool.emit(events.SessionOpened, session.number, session.generation)
    return session


def _go_on_from(session: Session, record: SessionRecord) -> None:
    """It was stored by a program that is gone: it sleeps, and its first call is told that it was restored."""
    session.generation, session.lease, session.version = record.age
    session.committed = record.version
    session.record = STORED_RECORD
    session.restored_because = "an earlier program left it" if session.on_restore == "raise" else ""
    session.location = ASLEEP


def _check_cap(pool: Records, now: float) -> None:
    cap = min(pool.settings.max_sessions, pool.sizing.high) if pool.is_private else pool.settings.max_sessions
    if len(pool.sessions) >= cap:
        raise CLASSES["too_many_sessions"](
            f"{len(pool.sessions)} sessions are open, the cap is {cap}; close some, lower session_ttl, or raise "
            + ("max_sessions and max_workers" if pool.is_private else "max_sessions"),
            retry_after=round(max(0.05, min(sleeping.next_expiry_at(pool) - now, LONGEST_WAIT_S)), 3),
        )


# The order of its calls


def place(pool: Records, session: Session, call: Call, now: float) -> None:
    """Send a queued call of a session at once, or put it where it waits."""
    if session.current is not None:
        session.wait_behind(call)
        return
    if session.location in STORED:
        sleeping.wait_for_state(pool, session, call)
        return
    if call.deadline <= now:
        endings.expire_queued(pool, call, now)
        return
    # From here to its ending the call is the session's only one outside its line, wherever it is: in a queue, at a
    # worker, or at a worker with nobody waiting for it. So the calls of a session never run beside each other.
    session.current = call
    worker = session.worker
    if call.operation == EXPORT_CONCURRENT:
        assert worker is not None
        rebalancing.send(pool, worker, call, now)
        return
    is_elsewhere_as_good = session.affinity == "hint" and not session.is_in_worker  # nothing of it is there yet
    if worker is not None and is_elsewhere_as_good and not dispatch.has_room(pool, worker, call):
        dispatch.release(pool, session)
        worker = None
    if worker is None:
        dispatch.place_unbound(pool, session, call, now)
    elif dispatch.is_next(pool, worker) and dispatch.has_room(pool, worker, call):
        dispatch.send(pool, worker, call, now)
    elif call.continuation is None and rebalancing.may_go_elsewhere(pool, session, now):
        rebalancing.go_elsewhere(pool, session, call, now)
    else:
        dispatch.wait_for_worker(pool, worker, call, now)


def serve(pool: Records, session: Session, now: float) -> None:
    """Nothing of the session is outside its line: its next call is that is not too late, or it rests, or ends."""
    if session.current is not None:
        return  # it was placed meanwhile
    worker = session.worker
    if worker is not None and worker.state == DRAINING and _maybe_export(pool, session, now):
        return  # the export is in front of its line, and the session unsettled again
    following = None
    if session.waiting:
        _drop_hopeless(pool, session, now)
        following = session.next_waiting()
    while following is not None and following.deadline <= now:
        endings.expire_queued(pool, following, now)
        following = session.next_waiting()
    if following is not None:
        place(pool, session, following, now)
    elif session.state == CLOSING:
        loss.end(pool, session, now)
    else:
        durability.rest(pool, session, now)


def _drop_hopeless(pool: Records, session: Session, now: float) -> None:
    """Calls in front of the line that cannot be answered in time make way for those behind; the last one stays."""
    while (line := session.waiting) is not None and len(line) > 1:
        call = next(iter(line.values()))
        if not overload.is_hopeless(pool, call, now):
            return
        endings.end_queued(pool, call, "rejected", overload.dropped(pool, call, now), now)


def close_session(pool: Records, session: Session, now: float) -> None:
    """End a session: calls already made come first, then its closing hook, then it is forgotten."""
    if session.state == OPEN:
        move(session, CLOSING, TRANSITIONS)
        pool.sessions.closing(session)
        if session.is_idle:
            loss.end(pool, session, now)


# When its worker goes


def _maybe_export(pool: Records, session: Session, now: float) -> bool:
    """Take an idle session out of its worker. False if that is done, or it has to stay to its end."""
    if session.worker is None or pool.state == states.CLOSING:
        return False
    if not session.is_in_worker:
        _leave_unused(pool, session, now)
        return False
    return moving.take_out(pool, session, now)


def evacuate(pool: Records, worker: Worker, now: float) -> None:
    """Let the sessions of a draining worker leave, some in each turn of the loop; those at work leave after that."""
    if worker.state != DRAINING:
        return
    if worker.unasked is None:
        worker.unasked = len(worker.sessions)
    for session in list(itertools.islice(worker.sessions.values(), min(worker.unasked, EVACUATED_AT_ONCE))):
        worker.unasked -= 1
        _maybe_export(pool, session, now)
        if session.worker is worker:  # behind those that were not asked yet
            worker.sessions[session.number] = worker.sessions.pop(session.number)
    worker.unasked = min(worker.unasked, len(worker.sessions))
    if worker.unasked:
        pool.agenda.add(now, "evacuate", worker)
    dispatch.fill(pool, worker, now)
    fleet.maybe_stop(pool, worker, now)


def worker_gone(pool: Records, worker: Worker, death: str, now: float) -> None:
    """Its sessions go on from what was kept of them, or are lost at once; one that never ran there goes on."""
    for session in list(worker.sessions.values()):
        if not session.is_in_worker:
            _leave_unused(pool, session, now)
        elif moving.will_restore(pool, session):
            moving.restore(pool, session, f"its worker ended with {death}", now)
        else:
            why = "the pool closed" if pool.state == states.CLOSING else f"its worker ended with {death}"
            loss.lose_with_worker(pool, session, why, now)


def _leave_unused(pool: Records, session: Session, now: float) -> None:
    """Nothing of the session is in its worker: its call, unless it is being sent or given up, waits for another."""
    # A call that is being sent, or whose caller gave it up, is still with the worker: the session stays bound until it
    # comes back. From a dead worker nothing does: the call was judged before, and the session's next has its turn.
    current, worker = session.current, session.worker
    assert worker is not None
    if worker.state == GONE or current is None or current.state == QUEUED:
        dispatch.release(pool, session)
    if current is not None and current.line is not None:
        current.line.remove(current)
        pool.unbound.push(current)
        pool.note_waiting(now)
    elif current is not None and worker.state == GONE:
        endings.leave_session(pool, current, now)
