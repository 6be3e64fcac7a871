"""How calls end: one step by which all of them leave, and what their operation's breaker is told.

Comes after every decision that ends a call (an answer, a caller who leaves, a death, a refusal); puts the `finish`
order into the outbox. Decides no ending itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import affinity, hearing, warmup
from millpond.core.call import ENDED, RUNNING, TRANSITIONS
from millpond.core.tally import error_code, note_end
from millpond.core.texts import is_pool_error
from millpond.core.transitions import move

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.operation import Operation
    from millpond.errors import Ending, PoolError


def finish(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    """The one step by which every call ends; `value` is the result or the exception."""
    if call.state == RUNNING:  # which the table allows, as it does from the queue; see `dispatch.send`
        call.state = ENDED
    else:
        move(call, ENDED, TRANSITIONS)
    call.ending = ending
    slot = call.slot
    if slot is not None:  # as `Wheel.discard`, which this is the hot path of
        call.slot = None
        slot.pop(call.id, None)
    if call.is_chore:
        chore_ended = warmup.ended if call.session is None else affinity.chore_ended
        chore_ended(m, call, ending, value, now)
        return
    m.unended -= 1
    m.counts[ending] += 1
    op = call.op
    if ending == "ok":
        op.ended += 1
    else:
        _note_failure(m, call, value)
        op.ended += _has_run(ending, value)
    if m.is_sampled:
        samples = op.samples
        if samples.left > 1 and ending == "ok" and call.attempts == 1:
            samples.left -= 1
        else:
            note_end(call, ending, value, now)
    if op.breaker.probe is not None:
        before = op.breaker.state
        op.breaker.probe_ended(call.id, now, op.ended, success=ending == "ok" or _has_run(ending, value))
        say_if_changed(m, op, before)
    m.outbox.append(("finish", call, value))  # before anybody else hears of it
    if m.tells_ends:
        hearing.tell_end(m, call, ending, value, now)


def _has_run(ending: Ending, error: object) -> bool:
    """Whether a call that was not answered well came back from its operation all the same."""
    if is_pool_error(error) and (error.code == "internal_error" or error.outcome == "not_started"):
        return False
    return ending == "failed"


def _note_failure(m: Machine, call: Call, error: BaseException) -> None:
    if is_pool_error(error):
        error.call_id, error.attempts = call.id, call.attempts
    code = error_code(error)
    m.codes[code] = m.codes.get(code, 0) + 1


def end_queued(m: Machine, call: Call, ending: Ending, error: PoolError, now: float) -> None:
    """End a call that waits, wherever it does; it may have been taken from there already."""
    if call.place is not None:
        call.place.remove(call)
    else:
        m.shelf.pop(call.id, None)
    if not call.is_chore:
        m.queued -= 1
        m.queued_bytes -= call.nbytes
    finish(m, call, ending, error, now)
    if call.session is not None:
        affinity.call_left(m, call.session, call, now)


def outran(m: Machine, call: Call, run_s: float, now: float) -> None:
    """The call outran its deadline while it ran: its breaker is told, before the call ends.

    Only if it had run as long as 95 in 100 answers take: one that was begun with less time left says nothing either.
    A deadline that passed while the pool stood still says nothing of the operation, whose worker may have been stopped
    as well: it is no run at all.
    """
    if run_s >= call.op.service.usual_s and not m.stood_still_at(call.deadline, now):
        fault(m, call, now)


def fault(m: Machine, call: Call, now: float) -> None:
    """The call cost its worker, or outran its deadline: its breaker is told, before the call ends."""
    op, before = call.op, call.op.breaker.state
    op.ended += 1
    op.breaker.fault(call.id, now, op.ended)
    say_if_changed(m, op, before)


def say_if_changed(m: Machine, op: Operation, before: str) -> None:
    """Tell of a breaker's new state."""
    if op.breaker.state != before:
        m.say(events.BreakerChanged, op.name, before, op.breaker.state)
