"""What a worker's answer means for the call it belongs to, its session and its worker; and what a withdrawal came to.

An answer that matches no call the worker holds is counted and dropped: it is given to nobody. Comes after the wire, and
ends calls through `endings`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from millpond.core.assignment import cancellation, dispatch, endings, refusals
from millpond.core.records.call import RUNNING, TAKEN_BACK
from millpond.core.records.worker import READY
from millpond.core.sessions import durability, rebalancing
from millpond.core.sessions.durability import NEVER_BEGAN
from millpond.core.workers import fleet
from millpond.seams import EXPORT_CONCURRENT

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.seams import AnswerKind

SESSION_FAILED = 4  # answer flag: the session's opening hook failed, it is not open in the worker


def slot_is_free(pool: Records, worker: Worker, now: float) -> None:
    """The worker gave something back: what waits may have the slot."""
    if len(worker.inflight) < worker.slots or worker.id not in pool.open_windows:
        dispatch.note_free(pool, worker, now)
    if worker.queue.size or pool.queue.size or pool.unbound.size:
        dispatch.fill(pool, worker, now)
    pool.look_for_room(now)


def passed_over(pool: Records, worker: Worker, now: float) -> None:
    """The worker need not pass over a withdrawn call: it never had it."""
    worker.skips -= 1
    slot_is_free(pool, worker, now)
    fleet.go_if_free(pool, worker, now)


def unmatched(pool: Records, worker: Worker, call_id: int, kind: AnswerKind, value: Any, now: float) -> None:
    """A concurrent export came back, the worker passed over a withdrawn call, or its answer is nobody's."""
    export = worker.exports.get(call_id)
    if export is not None:
        rebalancing.answered(pool, worker, export, kind, value, now)
    elif kind in NEVER_BEGAN and worker.skips:
        worker.skips -= 1
    else:
        pool.late_answers += 1


def answered_in_session(pool: Records, session: Session, call: Call, kind: AnswerKind, flags: int) -> None:
    """Note where the session's state is now: there, unless the call never began or the session did not open."""
    if flags & SESSION_FAILED and not session.is_in_worker:
        dispatch.release(pool, session)
    elif kind not in NEVER_BEGAN:
        durability.began(pool, session, call)


def did_not_begin(pool: Records, call: Call, kind: AnswerKind, now: float) -> None:
    """The worker gave a call back that somebody waits for: passed over, or found late."""
    if kind == "skipped" or call.continuation is not None:
        _give_up_or_put_back(pool, call, now)
    else:
        endings.expire(pool, call, refusals.not_begun(call.attempts - 1), now)


def judge_late(pool: Records, worker: Worker, call: Call, kind: AnswerKind, now: float) -> None:
    """The answer of a call its caller gave up is dropped; whether the worker is still trusted is a setting."""
    if kind in ("ok", "failed"):
        pool.late_answers += 1
    if call.is_interrupted and pool.settings.on_interrupt == "replace" and worker.state == READY:
        fleet.drain(pool, worker, "interrupted", now)


# Withdrawals


def withdrawn(pool: Records, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
    """What came of an order to withdraw: proven that the call did not start, or not."""
    if call.operation == EXPORT_CONCURRENT:
        rebalancing.withdrawn(pool, worker, call, is_proven, now)
        return
    # Between the order and its carrying out the answer may have been read, and the call has ended; or the worker has
    # died, and the call may even run in another by now. Both are seen here: it is not with this worker any more.
    # Proven means that the worker will pass over the call when it comes to it, and say so without naming it: until
    # then the slot counts as taken (`skips`). Not proven means that it has begun or will: its answer is awaited.
    if call.state != RUNNING or worker.inflight.get(call.id) is not call:
        return
    if is_proven:
        del worker.inflight[call.id]
        worker.rested(now)
        worker.expected_s -= call.expected
        worker.skips += 1
        _give_up_or_put_back(pool, call, now)
    elif call.cancel_reason == TAKEN_BACK:
        call.cancel_reason = ""
    elif call.cancel_reason:
        _give_up_running(pool, call, now)


def _give_up_or_put_back(pool: Records, call: Call, now: float) -> None:
    """A call came back from its worker not begun: it ends if its caller gave it up, else it waits again.

    An internal call whose time was over before it began is not to blame either: it waits again, too.
    """
    code = call.cancel_reason
    if call.continuation is not None and call.session is None:  # a warm-up command, which has to begin in time
        code = call.cancel_reason = code or "deadline_exceeded"
    elif code in ("", TAKEN_BACK) or (call.continuation is not None and code == "deadline_exceeded"):
        dispatch.put_back(pool, call, now)
        dispatch.fill_free(pool, now)
        if call.session is not None and call.session.worker is not None:
            dispatch.fill(pool, call.session.worker, now)
        return
    endings.give_up(pool, call, code, refusals.not_begun(call.attempts - 1), now)
    if call.session is not None:
        endings.leave_session(pool, call, now)


def _give_up_running(pool: Records, call: Call, now: float) -> None:
    """The caller goes while the operation runs. An internal call has none: its answer is awaited, late as it is."""
    code = call.cancel_reason
    if call.continuation is None:
        if code == "deadline_exceeded":
            run_s = now - _began_at(pool, call)
            endings.overran(pool, call, run_s, now)
            if not pool.stood_still_at(call.deadline, now):
                call.op.service.cut_off(run_s)
        endings.give_up(pool, call, code, "unknown", now)
    if code == "cancelled" and call.on_cancel == "abandon":
        if call.deadline != math.inf:
            pool.agenda.add(max(call.deadline, now), "overdue", call)
    elif code != "pool_closing":  # then its worker is killed anyway
        cancellation.stop(pool, call, now)


def _began_at(pool: Records, call: Call) -> float:
    """When it began, as far as can be told here: what was sent ahead of others did so when they were answered."""
    if call.is_stream or pool.concurrency > 1 or call.worker is None:
        return call.sent_at
    return max(call.sent_at, call.worker.last_progress)
