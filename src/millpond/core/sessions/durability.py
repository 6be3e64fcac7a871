"""Durability: what comes with each answer of a session is kept, and with "disk" the reply waits until it is stored.

Acknowledged means: the answer was handed to the caller. With "reply" that is after the state is in this process, with
"disk" after the store has committed it. What rests goes to the store. Comes between the wire and `stimuli.answers`; the
state itself is opaque here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.core.assignment import endings
from millpond.core.records import states
from millpond.core.records.orders import Store
from millpond.core.records.session import BOUND, IN_HAND, NO_RECORD, OLD_RECORD, OPEN, PINNED, STORED_RECORD, UNKEPT
from millpond.core.sessions import moving
from millpond.errors import CLASSES
from millpond.seams import SessionRecord

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.errors import PoolError
    from millpond.seams import AnswerKind


NEVER_BEGAN = ("expired", "skipped")  # kinds of answers of calls that did not run


class DeferredReply(NamedTuple):
    """An answer that waits until the store has committed what came with it: `version` of the session's state."""

    call: Call
    version: int
    kind: AnswerKind
    value: Any
    ended: float


def saved(worker: Worker, call_id: int, lease: int, state: Any, reason: str) -> None:
    """The state that the call leaves, told right before its answer; `None` with a reason if it cannot be sent.

    What comes under an older lease is dropped.
    """
    call = worker.inflight.get(call_id)
    session = call.session if call is not None else None
    if session is not None and session.worker is worker and session.lease == lease:
        session.sent = (call_id, state, reason)


def began(pool: Records, session: Session, call: Call) -> None:
    """A call of the session ran in its worker: its state is there, and what was sent along is kept."""
    if call.continuation is not None or session.worker is None:
        return
    pool.counters.affinity_hits += session.location == BOUND
    pool.counters.affinity_misses += session.snapshot is not None and session.location != BOUND
    if session.location != BOUND:
        pool.relocate(session, BOUND)
    if pool.is_durable:
        _keep(pool, session, call)
    else:
        session.snapshot = None
        if session.mobility == PINNED:
            moving.unpin(pool, session)


def _keep(pool: Records, session: Session, call: Call) -> None:
    if session.sent is None or session.sent[0] != call.id:
        session.sent = (call.id, None, "its worker sent no state along with an answer")
    # The state comes in a frame of its own, right before the answer of the same call and under the same lease. One that
    # came for another call, or not at all, is no state of this answer: then the session is pinned, as its worker has
    # something newer than is kept.
    _, state, reason = session.sent
    if reason:
        _pin(pool, session, reason)
        return
    session.sent = None
    if session.mobility == PINNED:
        moving.unpin(pool, session)
    is_new = state is not session.snapshot
    if is_new:
        session.snapshot = state
        session.version += 1
    if pool.is_on_disk and (is_new or session.record == OLD_RECORD):
        order_storing(pool, session)


def _pin(pool: Records, session: Session, reason: str) -> None:
    """Its worker has a newer state than can be kept. With "reply" it is lost with the worker, and says so.

    With "disk" the answer is refused instead, and the state before it stays the one to go on from.
    """
    if not pool.is_on_disk:
        session.snapshot = UNKEPT
    moving.pin(pool, session, reason)


def order_storing(pool: Records, session: Session) -> SessionRecord:
    """Order the state in hand to be stored."""
    record = SessionRecord(session.id, session.generation, session.lease, session.version, session.snapshot)
    session.record = STORED_RECORD
    pool.outbox.append(Store(session, record))
    return record


# Replies that wait for the store


def defers(pool: Records, call: Call, kind: AnswerKind, value: Any, ended: float, now: float) -> bool:
    """Whether the answer is not given now: it waits until its state is committed, or is refused as that cannot be."""
    session = call.session
    assert session is not None
    if not pool.is_on_disk or call.continuation is not None or kind in NEVER_BEGAN or ended > call.deadline:
        return False
    if session.sent is not None and session.sent[0] == call.id:
        _refuse(pool, call, session.sent[2], now)
        return True
    if session.version <= session.committed:
        return False
    if session.deferred is None:
        session.deferred = deque()
    session.deferred.append(DeferredReply(call, session.version, kind, value, ended))
    pool.committing[call.id] = call
    return True


def committed(pool: Records, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
    """The store committed a record, or failed to: the answers that waited for it are given, or said to be withheld."""
    if error is None and record.generation == session.generation:
        session.committed = max(session.committed, record.version)
    if error is not None and record.version == session.version and session.record != NO_RECORD:
        session.record = OLD_RECORD
    # Records of a session are stored in the order of their versions, and answers wait in that order: the commit of one
    # version answers for all before it. A caller whose deadline passed meanwhile is answered already; its reply is
    # skipped here, though what it did is stored. After a failure the newest state is ordered again by the next answer.
    waiting = session.deferred
    while waiting and waiting[0].version <= record.version:
        call, _, kind, value, ended = waiting.popleft()
        if pool.committing.pop(call.id, None) is None:
            continue  # its caller left meanwhile
        if error is None:
            endings.answer(pool, call, kind, value, ended, now)
        else:
            _refuse(pool, call, str(error), now, error.code)
    if not waiting:
        session.deferred = None


def _refuse(pool: Records, call: Call, why: str, now: float, code: str = "store_failed") -> None:
    message = f"{call.op.name!r} ran, but the state it left could not be stored, and its answer is withheld: {why}"
    endings.finish(pool, call, "failed", CLASSES[code](message, outcome="completed"), now)


# Rest


def rest(pool: Records, session: Session, now: float) -> None:
    """Nothing of the session runs or waits: what is in hand goes to the store, what is in a worker may sleep later."""
    if session.state != OPEN or pool.is_private or pool.state == states.CLOSING:
        return
    if session.location == IN_HAND and session.worker is None:
        put_away(pool, session)
    elif session.location in (BOUND, IN_HAND):
        sleep_later(pool, session, now)


def sleep_later(pool: Records, session: Session, now: float) -> None:
    """The session may be put to sleep when it was not used for `sleep_after`."""
    after = pool.settings.sleep_after
    if after is not None:
        pool.by_use[session.number] = session
        pool.by_use.move_to_end(session.number)
        pool.look_at("sleep", max(session.last_used + after, now))


def put_away(pool: Records, session: Session) -> None:
    """Have the state in hand stored; it stays in hand until that is done."""
    session.storing = order_storing(pool, session)
