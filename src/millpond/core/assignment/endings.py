"""How calls end: one step by which all of them do, and what their operation's breaker hears of it.

Comes after every decision that ends a call (an answer, a cancellation, a death, a refusal); puts `Finish` into the
outbox. An internal call is continued here by what it carries. Decides no ending itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.assignment import refusals
from millpond.core.records.call import ENDED, QUEUED, RUNNING, TRANSITIONS
from millpond.core.records.counters import error_code, note_end
from millpond.core.records.orders import Finish
from millpond.core.records.states import move
from millpond.errors import CLASSES, TABLE, HandlerError
from millpond.texts import is_pool_error

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.operation import Operation
    from millpond.core.records.pool import Records
    from millpond.errors import Ending, Outcome, PoolError
    from millpond.seams import AnswerKind


def finish(pool: Records, call: Call, ending: Ending, value: Any, now: float) -> None:
    """The one step by which every call ends; `value` is the result or the exception."""
    if call.state == RUNNING:  # which the table allows, as it does from the queue; see `dispatch.send`
        call.state = ENDED
    else:
        move(call, ENDED, TRANSITIONS)
    call.ending = ending
    tick = call.tick
    if tick is not None:  # as `Wheel.discard`, which this is the hot path of
        call.tick = None
        tick.pop(call.id, None)
    if call.continuation is not None:
        call.continuation(pool, call, ending, value, now)
        return
    pool.unended -= 1
    pool.counts[ending] += 1
    op = call.op
    if ending == "ok":
        op.ended += 1
        if now - call.submitted_at > pool.ended.slow_s:
            _remember(pool, call, ending, None, now)
    else:
        _note_failure(pool, call, value)
        _remember(pool, call, ending, value, now)
        op.ended += _has_run(ending, value)
    if pool.is_sampled:
        samples = op.samples
        if samples.left > 1 and ending == "ok" and call.attempts == 1:
            samples.left -= 1
        else:
            note_end(call, ending, value, now)
    if op.breaker.probe is not None:
        before = op.breaker.state
        op.breaker.probe_ended(call.id, now, op.ended, success=ending == "ok" or _has_run(ending, value))
        emit_if_changed(pool, op, before)
    pool.outbox.append(Finish(call, value))  # before anybody else hears of it
    if pool.emits_ends:
        _emit_end(pool, call, ending, value, now)


def _has_run(ending: Ending, error: object) -> bool:
    """Whether a call that was not answered well came back from its operation all the same."""
    if is_pool_error(error) and (error.code == "internal_error" or error.outcome == "not_started"):
        return False
    return ending == "failed"


def _note_failure(pool: Records, call: Call, error: BaseException) -> None:
    if is_pool_error(error):
        error.call_id, error.attempts = call.id, call.attempts
    code = error_code(error)
    pool.codes[code] = pool.codes.get(code, 0) + 1


def _remember(pool: Records, call: Call, ending: Ending, error: BaseException | None, now: float) -> None:
    """Keep what is told later of a call that failed or was slow."""
    pool.ended.note(call, ending, error, now)
    if pool.ended.is_full:
        pool.look_at("slowest", pool.ended.until)


def _emit_end(pool: Records, call: Call, ending: Ending, value: Any, now: float) -> None:
    worker = call.worker.id if call.worker is not None else None
    after = now - call.submitted_at
    if ending == "ok":
        queued = call.sent_at - call.submitted_at
        pool.emit(events.CallStopped, call.id, call.op.name, worker, call.attempts, after, queued, call.service_s)
    else:
        code = error_code(value)
        pool.emit(events.CallFailed, call.id, call.op.name, worker, ending, code, call.attempts, after)


def end_queued(pool: Records, call: Call, ending: Ending, error: PoolError, now: float) -> None:
    """End a call that waits, wherever it does; it may have been taken from there already."""
    if call.line is not None:
        call.line.remove(call)
    else:
        pool.delayed.pop(call.id, None)
    if call.continuation is None:
        pool.queued -= 1
        pool.queued_bytes -= call.nbytes
    finish(pool, call, ending, error, now)
    if call.session is not None:
        leave_session(pool, call, now)


def expire_queued(pool: Records, call: Call, now: float) -> None:
    """End a call that waits and whose deadline has passed."""
    error = refusals.end_error(pool, call, "deadline_exceeded", refusals.not_begun(call.attempts), now)
    end_queued(pool, call, "expired", error, now)


def refuse_closing(pool: Records, call: Call, now: float, failure: str = "") -> None:
    """End a call that waits because the pool closes; `failure` is why it could not be opened."""
    if call.state == QUEUED:
        message = f"the pool could not be opened: {failure}"
        error = CLASSES["start_failed"](message) if failure else refusals.closed(pool.state)
        error.outcome = refusals.not_begun(call.attempts)
        end_queued(pool, call, "rejected", error, now)


def leave_session(pool: Records, call: Call, now: float) -> None:
    """A call of a session is nowhere any more: its next call has its turn when the stimulus is settled."""
    session = call.session
    assert session is not None
    if session.current is call:
        session.current = None
        session.last_used = now
        pool.unsettled.sessions[session.number] = session
    elif session.is_idle:  # the last that waited for its state to be read
        session.last_used = now


# Answers


def answer(pool: Records, call: Call, kind: AnswerKind, value: Any, ended: float, now: float) -> None:
    """Answer a call that ran: `kind` is ok, failed or interrupted, `ended` is when it came back from its operation."""
    if kind == "ok":
        call.op.learn(call.service_s)
        if ended > call.deadline and call.continuation is None:
            overran(pool, call, call.service_s, now)
            expire(pool, call, "completed", now)
        else:
            finish(pool, call, "ok", value, now)
    elif kind == "failed":
        call.op.learn(call.service_s)
        finish(pool, call, "failed", value, now)
    else:
        finish(pool, call, "failed", HandlerError("the operation raised Interrupted by itself"), now)


def expire(pool: Records, call: Call, outcome: Outcome, now: float) -> None:
    """End a call that is with no worker any more, and whose deadline has passed."""
    finish(pool, call, "expired", refusals.end_error(pool, call, "deadline_exceeded", outcome, now), now)


def give_up(pool: Records, call: Call, code: str, outcome: Outcome, now: float) -> None:
    """End a call with the error of that code."""
    finish(pool, call, TABLE[code].ending, refusals.end_error(pool, call, code, outcome, now), now)


# Breakers


def overran(pool: Records, call: Call, run_s: float, now: float) -> None:
    """The call overran its deadline while it ran: its breaker is told, before the call ends.

    Only if it had run as long as 95 in 100 answers take: one that was begun with less time left says nothing either.
    A deadline that passed while the pool stood still says nothing of the operation, whose worker may have been stopped
    as well: it is no run at all.
    """
    if run_s >= call.op.service.usual_s and not pool.stood_still_at(call.deadline, now):
        fault(pool, call, now)


def fault(pool: Records, call: Call, now: float) -> None:
    """The call cost its worker, or overran its deadline: its breaker is told, before the call ends."""
    op, before = call.op, call.op.breaker.state
    op.ended += 1
    op.breaker.fault(call.id, now, op.ended)
    emit_if_changed(pool, op, before)


def emit_if_changed(pool: Records, op: Operation, before: str) -> None:
    """Emit a breaker's new state."""
    if op.breaker.state != before:
        pool.emit(events.BreakerChanged, op.name, before, op.breaker.state)
