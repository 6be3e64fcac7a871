"""Callers give calls up: a call is cancelled, its deadline passes, or the pool closes around it.

A waiting call simply ends. One that was sent is withdrawn first; where that is too late its caller is answered with
outcome `unknown`, and the call stays with its worker until it comes back, or the grace ends and the worker with it
(`stimuli.answers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core.assignment import endings, refusals
from millpond.core.records.call import QUEUED, RUNNING, TAKEN_BACK
from millpond.core.records.orders import Interrupt, Withdraw
from millpond.core.records.worker import KILLED
from millpond.errors import TABLE

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records

INTERRUPT_AGAIN_S = 0.1  # seconds between interrupts of an operation that swallows them


def cancel(pool: Records, call: Call, code: str, now: float) -> None:
    """Give a call up; `code` is cancelled, deadline_exceeded, pool_closing or internal_error. Ended ones stay so."""
    if call.state == QUEUED:
        error = refusals.end_error(pool, call, code, refusals.not_begun(call.attempts), now)
        endings.end_queued(pool, call, TABLE[code].ending, error, now)
    elif call.id in pool.committing:  # the work was done, and may or may not be stored
        del pool.committing[call.id]
        endings.give_up(pool, call, code, "completed", now)
    elif call.state == RUNNING and call.cancel_reason in ("", TAKEN_BACK):
        # Its worker may claim the call, or answer it, before the order to withdraw is carried out. The line of the call
        # in the logbook, which both processes share, decides: whoever changes it first has won, and `answers.withdrawn`
        # is told which. Until then the call stays running and its caller waits. A call that is being taken back has
        # such an order on its way already; it serves this reason, too, so that no call is withdrawn twice.
        if not call.cancel_reason:
            assert call.worker is not None
            pool.outbox.append(Withdraw(call.worker, call))
        call.cancel_reason = code


def stop(pool: Records, call: Call, now: float) -> None:
    """Interrupt an operation, again and again, and end its worker if that does not help."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        call.is_interrupted = True
        pool.counters.interrupts += 1
        pool.agenda.allow(pool.settings.cancel_grace, "grace", call, now)
        interrupt(pool, call, now)


def interrupt(pool: Records, call: Call, now: float) -> None:
    """Interrupt an operation, once more if it swallowed the first."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call and worker.state != KILLED:
        pool.outbox.append(Interrupt(worker, call))
        pool.agenda.add(now + INTERRUPT_AGAIN_S, "interrupt", call)
