"""Durability: what comes with each answer of a session is kept, and with "disk" the answer waits until it is stored.

Acknowledged means: the answer was handed to the caller. With "reply" that is after the state is in this process, with
"disk" after the store has committed it. Comes between the wire and `answers`; the state itself is opaque here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.core import answers, endings, leaving, moving
from millpond.core.whereabouts import BOUND, go
from millpond.errors import CLASSES, TABLE
from millpond.seams import SessionRecord

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.errors import PoolError
    from millpond.seams import AnswerKind


class Withheld(NamedTuple):
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


def began(m: Machine, session: Session, call: Call) -> None:
    """A call of the session ran in its worker: its state is there, and what was sent along is kept."""
    if call.is_chore or session.worker is None:
        return
    m.tally.affinity_hits += session.where == BOUND
    m.tally.affinity_misses += session.baggage is not None and session.where != BOUND
    if session.where != BOUND:
        go(m, session, BOUND)
    if m.is_durable:
        _keep(m, session, call)
    else:
        session.baggage = None
        if session.pinned:
            moving.unpin(m, session)


def _keep(m: Machine, session: Session, call: Call) -> None:
    if session.sent is None or session.sent[0] != call.id:
        session.sent = (call.id, None, "its worker sent no state along with an answer")
    _, state, reason = session.sent
    if reason:
        _pin(m, session, reason)
        return
    session.sent = None
    session.is_safe = True
    if session.pinned:
        moving.unpin(m, session)
    is_new = state is not session.baggage
    if is_new:
        session.baggage = state
        session.version += 1
    if m.is_on_disk and (is_new or session.is_unstored):
        order_storing(m, session)


def _pin(m: Machine, session: Session, reason: str) -> None:
    """Its worker has a newer state than can be kept. With "reply" it is lost with the worker, and says so.

    With "disk" the answer is refused instead, and the state before it stays the one to go on from.
    """
    if not m.is_on_disk:
        session.baggage, session.is_safe = None, False
    moving.pin(m, session, reason)


def order_storing(m: Machine, session: Session) -> SessionRecord:
    """Order the state in hand to be stored."""
    record = SessionRecord(session.id, session.generation, session.lease, session.version, session.baggage)
    session.is_stored, session.is_unstored = True, False
    m.outbox.append(("store", session, record))
    return record


# Answers that wait for the store


def withholds(m: Machine, call: Call, kind: AnswerKind, value: Any, ended: float, now: float) -> bool:
    """Whether the answer is not given now: it waits until its state is committed, or is refused as that cannot be."""
    session = call.session
    assert session is not None
    if not m.is_on_disk or call.is_chore or kind in answers.NEVER_BEGAN or ended > call.deadline:
        return False
    if session.sent is not None and session.sent[0] == call.id:
        _refuse(m, call, session.sent[2], now)
        return True
    if session.version <= session.committed:
        return False
    if session.withheld is None:
        session.withheld = deque()
    session.withheld.append(Withheld(call, session.version, kind, value, ended))
    m.committing[call.id] = call
    return True


def committed(m: Machine, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
    """The store committed a record, or failed to: the answers that waited for it are given, or said to be withheld."""
    if error is None and record.generation == session.generation:
        session.committed = max(session.committed, record.version)
    session.is_unstored = error is not None and record.version == session.version
    waiting = session.withheld
    while waiting and waiting[0].version <= record.version:
        call, _, kind, value, ended = waiting.popleft()
        if m.committing.pop(call.id, None) is None:
            continue  # its caller left meanwhile
        if error is None:
            answers.judge(m, call, kind, value, ended, now)
        else:
            _refuse(m, call, str(error), now, error.code)
    if not waiting:
        session.withheld = None


def _refuse(m: Machine, call: Call, why: str, now: float, code: str = "store_failed") -> None:
    told = f"{call.op.name!r} ran, but the state it left could not be stored, and its answer is withheld: {why}"
    endings.finish(m, call, "failed", CLASSES[code](told, outcome="completed"), now)


def leave(m: Machine, call: Call, code: str, now: float) -> None:
    """The caller of a withheld answer goes: the work was done, and may or may not be stored."""
    del m.committing[call.id]
    endings.finish(m, call, TABLE[code].ending, leaving.farewell(m, call, code, "completed", now), now)
