"""Callers leave: a call is cancelled, its deadline passes, or the pool closes around it.

A waiting call simply ends. One that was sent is withdrawn first; where that is too late the caller goes with outcome
`unknown`, and the call stays with its worker until it comes back, or the grace ends and the worker with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from millpond.core import affinity, aside, dispatch, endings, fleet, keeping
from millpond.core.call import QUEUED, RUNNING, TAKEN_BACK
from millpond.core.worker import OVERRAN
from millpond.errors import CLASSES, TABLE
from millpond.seams import EXPORT_ASIDE

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Outcome, PoolError

NAG_S = 0.1  # seconds between interrupts of an operation that swallows them


def leave(m: Machine, call: Call, code: str, now: float) -> None:
    """The caller goes; `code` is cancelled, deadline_exceeded, pool_closing or internal_error. Ended ones stay so."""
    if call.state == QUEUED:
        endings.end_queued(m, call, TABLE[code].ending, farewell(m, call, code, unbegun(call.attempts), now), now)
    elif call.id in m.committing:
        keeping.leave(m, call, code, now)
    elif call.state == RUNNING and call.leaving in ("", TAKEN_BACK):
        if not call.leaving:
            m.outbox.append(("withdraw", call.worker, call))
        call.leaving = code


def unbegun(attempts: int) -> Outcome:
    """The outcome of a call that is not with a worker: unknown if one it was given to before died with it."""
    return "unknown" if attempts else "not_started"


def withdrawn(m: Machine, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
    """What came of an order to withdraw: proven that the call did not start, or not."""
    if call.operation == EXPORT_ASIDE:
        aside.withdrawn(m, worker, call, is_proven, now)
        return
    if call.state != RUNNING or worker.inflight.get(call.id) is not call:
        return
    if is_proven:
        _take_out(m, worker, call, now)
    elif call.leaving == TAKEN_BACK:
        call.leaving = ""
    elif call.leaving:
        _leave_running(m, call, now)


def _take_out(m: Machine, worker: Worker, call: Call, now: float) -> None:
    del worker.inflight[call.id]
    worker.rested(now)
    worker.expected_s -= call.expected
    worker.skips += 1
    give_up_or_put_back(m, call, now)


def give_up_or_put_back(m: Machine, call: Call, now: float) -> None:
    """A call came back from its worker not begun: it ends if its caller left, else it waits again.

    An errand whose time was over before it began is not to blame either: it waits again, too.
    """
    code = call.leaving
    if call.is_chore and call.session is None:  # a warm-up command, which has to begin in time
        code = call.leaving = code or "deadline_exceeded"
    elif code in ("", TAKEN_BACK) or (call.is_chore and code == "deadline_exceeded"):
        dispatch.put_back(m, call, now)
        dispatch.pump_idle(m, now)
        if call.session is not None and call.session.worker is not None:
            dispatch.pump(m, call.session.worker, now)
        return
    error = farewell(m, call, code, unbegun(call.attempts - 1), now)
    endings.finish(m, call, TABLE[code].ending, error, now)
    if call.session is not None:
        affinity.call_left(m, call.session, call, now)


def _leave_running(m: Machine, call: Call, now: float) -> None:
    """The caller goes while the operation runs. An errand has no caller: its answer is awaited, late as it is."""
    code = call.leaving
    if not call.is_chore:
        if code == "deadline_exceeded":
            run_s = now - _began_at(m, call)
            endings.outran(m, call, run_s, now)
            if not m.stood_still_at(call.deadline, now):
                call.op.service.cut_off(run_s)
        endings.finish(m, call, TABLE[code].ending, farewell(m, call, code, "unknown", now), now)
    if code == "cancelled" and call.on_cancel == "abandon":
        if call.deadline != math.inf:
            m.agenda.add(max(call.deadline, now), "overdue", call)
    elif code != "pool_closing":  # then its worker is killed anyway
        stop(m, call, now)


def _began_at(m: Machine, call: Call) -> float:
    """When it began, as far as can be told here: what was sent ahead of others did so when they were answered."""
    if call.is_stream or m.concurrency > 1 or call.worker is None:
        return call.sent_at
    return max(call.sent_at, call.worker.last_progress)


def stop(m: Machine, call: Call, now: float) -> None:
    """Interrupt an operation, again and again, and end its worker if that does not help."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        call.is_interrupted = True
        m.tally.interrupts += 1
        m.agenda.allow(m.settings.cancel_grace, "grace", call, now)
        nag(m, call, now)


def nag(m: Machine, call: Call, now: float) -> None:
    """Interrupt an operation, once more if it swallowed the first."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call and not worker.is_killed:
        m.outbox.append(("interrupt", worker, call))
        m.agenda.add(now + NAG_S, "nag", call)


def end_grace(m: Machine, call: Call, now: float) -> None:
    """The operation did not come back: its worker goes."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        fleet.kill(m, worker, f"{call.op.name!r} did not stop within cancel_grace", OVERRAN, now)


def farewell(m: Machine, call: Call, code: str, outcome: Outcome, now: float) -> PoolError:
    """The error a leaving caller gets, with the numbers."""
    after = now - call.submitted_at
    told = {
        "deadline_exceeded": f"operation {call.op.name!r} was not answered within its deadline: {after:.3f} s after "
        f"submission, with {m.queued} calls queued and {m.ready_count} workers ready",
        "cancelled": f"operation {call.op.name!r} was given up {after:.3f} s after submission",
        "pool_closing": f"the pool closed while {call.op.name!r} ran, and its drain time is over",
        "internal_error": f"{getattr(call, 'failure', '')} (operation {call.op.name!r})",
    }
    return CLASSES[code](told[code], outcome=outcome)
