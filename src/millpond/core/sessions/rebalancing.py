"""Rebalancing: a session whose worker has no room for its call goes where there is some.

Worth it when the wait there is expected to be longer than a move takes. The state is asked for by a concurrent export:
an internal call that takes no slot and that the worker's control thread carries out. What cannot be taken out that way
(a hook of the handler's, an interpreter whose lock is held) waits for its worker. Decides no order of calls.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from millpond.core.assignment import endings
from millpond.core.assignment.dispatch import STALL_S
from millpond.core.records.call import QUEUED, RUNNING, TRANSITIONS
from millpond.core.records.orders import Send
from millpond.core.records.states import move
from millpond.core.sessions import moving
from millpond.core.sessions.durability import NEVER_BEGAN

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.seams import AnswerKind

EXPORT_S = 1.0  # seconds a concurrent export may wait for its worker's control thread
LOOKED_AT = 8  # calls that are looked at, at a time, whether they had better go elsewhere; the next time the next


def expected_wait(pool: Records, worker: Worker, now: float) -> float:
    """Seconds until the worker has room, as far as known; one that takes longer than expected takes as long again."""
    since = max(worker.last_progress, worker.busy_since)
    elapsed = now - since
    work = worker.expected_s / pool.concurrency
    return work - elapsed if work > elapsed else elapsed


def may_go_elsewhere(pool: Records, session: Session, now: float) -> bool:
    """Whether the session had better leave its worker, which has no room: somebody is free, and the wait is long."""
    worker = session.worker
    if worker is None or session.affinity != "hint" or not pool.may_move(session):
        return False
    if not (pool.is_kept(session) or moving.may_export_beside(pool, session)):
        return False
    is_elsewhere = any(other is not worker and pool.free.may_open(other) for other in pool.free.idle.values())
    return is_elsewhere and not pool.unbound.size and expected_wait(pool, worker, now) > pool.move_s


def go_elsewhere(pool: Records, session: Session, call: Call, now: float) -> None:
    """Take the session away from its worker for its call, which waits in front of its line meanwhile."""
    session.current = None
    session.wait_in_front(call)
    pool.unsettled.sessions[session.number] = session
    moving.take_out(pool, session, now)


def look(pool: Records, now: float) -> None:
    """Rebalance, and look again while any call waits behind a busy worker and another worker is free."""
    rebalance(pool, now)
    pool.look_for_room(now + STALL_S)


def rebalance(pool: Records, now: float) -> None:
    """Let calls of sessions go elsewhere that wait for busy workers, while anybody is free.

    Whoever cannot go now lets the others pass, so that all are looked at in turn; whoever never can is looked at once.
    """
    for call in list(itertools.islice(pool.candidates.values(), LOOKED_AT)):
        session = call.session
        assert session is not None
        is_waiting = call.state == QUEUED and session.worker is not None and call.line is session.worker.queue
        if not is_waiting or not pool.is_candidate(session):
            del pool.candidates[call.id]
        elif may_go_elsewhere(pool, session, now):
            assert session.worker is not None
            del pool.candidates[call.id]
            session.worker.queue.remove(call)
            go_elsewhere(pool, session, call, now)
        else:
            pool.candidates.move_to_end(call.id)


# Concurrent exports


def send(pool: Records, worker: Worker, call: Call, now: float) -> None:
    """Give an export to the worker's control thread."""
    move(call, RUNNING, TRANSITIONS)
    call.worker = worker
    call.attempts += 1
    call.sent_at = now
    call.deadline = now + EXPORT_S
    pool.wheel.add(call)
    worker.exports[call.id] = call
    pool.outbox.append(Send(worker, call))


def answered(pool: Records, worker: Worker, call: Call, kind: AnswerKind, value: Any, now: float) -> None:
    """The control thread came back from an export; one that it did not begin is given up."""
    del worker.exports[call.id]
    if kind in NEVER_BEGAN:
        _give_up(pool, call, now)
        return
    endings.finish(pool, call, "ok" if kind == "ok" else "failed", value, now)
    endings.leave_session(pool, call, now)


def withdrawn(pool: Records, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
    """Its time is over: given up, unless the control thread is at it, which is waited for."""
    if is_proven and worker.exports.get(call.id) is call:
        del worker.exports[call.id]
        _give_up(pool, call, now)


def lost(pool: Records, worker: Worker, now: float) -> None:
    """The worker is dead, and its control thread with it; its sessions are seen to elsewhere."""
    for call in worker.exports.values():
        endings.finish(pool, call, "lost", None, now)
    worker.exports.clear()


def _give_up(pool: Records, call: Call, now: float) -> None:
    endings.finish(pool, call, "cancelled", None, now)
    endings.leave_session(pool, call, now)
