"""Callers leave: a call is cancelled, its deadline passes, or the pool closes around it.

A waiting call simply ends. One that was sent is withdrawn first; where that is too late the caller goes with outcome
`unknown`, and the call stays with its worker until it comes back, or the grace ends and the worker with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core import affinity, dispatch, fleet
from millpond.core.call import QUEUED, RUNNING
from millpond.errors import CLASSES, TABLE

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Outcome, PoolError

NAG_S = 0.1  # seconds between interrupts of an operation that swallows them


def leave(m: Machine, call: Call, code: str, now: float) -> None:
    """The caller goes; `code` is cancelled, deadline_exceeded or pool_closing. Ended calls are left alone."""
    if call.state == QUEUED:
        m.end_queued(call, TABLE[code].ending, farewell(m, call, code, "not_started", now), now)
    elif call.state == RUNNING and not call.leaving:
        call.leaving = code
        m.outbox.append(("withdraw", call.worker, call))


def withdrawn(m: Machine, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
    """What came of an order to withdraw: proven that the call did not start, or not."""
    if call.state != RUNNING or worker.inflight.get(call.id) is not call:
        return
    if not is_proven:
        if call.leaving:
            _leave_running(m, worker, call, now)
        return
    del worker.inflight[call.id]
    worker.expected_s -= call.expected
    worker.skips += 1
    if call.leaving:
        code = call.leaving
        m.finish(call, TABLE[code].ending, farewell(m, call, code, "not_started", now), now)
        if call.session is not None:
            affinity.call_left(m, call.session, call, now)
    else:
        dispatch.put_back(m, call)
        dispatch.pump_idle(m, now)
        m.backlog_seen(now)


def _leave_running(m: Machine, worker: Worker, call: Call, now: float) -> None:
    code = call.leaving
    if code == "deadline_exceeded" and not call.is_chore:
        m.breaker_fault(call, now)
    m.finish(call, TABLE[code].ending, farewell(m, call, code, "unknown", now), now)
    if call.on_cancel == "interrupt":
        m.outbox.append(("interrupt", worker, call))
        m.agenda.add(now + NAG_S, "nag", call)
        m.agenda.add(now + m.settings.cancel_grace, "grace", call)


def nag(m: Machine, call: Call, now: float) -> None:
    """Interrupt once more an operation that swallowed it."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        m.outbox.append(("interrupt", worker, call))
        m.agenda.add(now + NAG_S, "nag", call)


def end_grace(m: Machine, call: Call) -> None:
    """The operation did not come back: its worker goes."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        fleet.kill(m, worker, f"{call.op.name!r} did not stop within cancel_grace")


def farewell(m: Machine, call: Call, code: str, outcome: Outcome, now: float) -> PoolError:
    """The error a leaving caller gets, with the numbers."""
    after = now - call.submitted_at
    told = {
        "deadline_exceeded": f"operation {call.op.name!r} was not answered within its deadline: {after:.3f} s after "
        f"submission, with {m.queued} calls queued and {m.ready_count} workers ready",
        "cancelled": f"operation {call.op.name!r} was given up {after:.3f} s after submission",
        "pool_closing": f"the pool closed while {call.op.name!r} ran, and its drain time is over",
    }
    return CLASSES[code](told[code], outcome=outcome)
