"""What of the hot path is told: plain flags, looked at anew whenever listeners come or go.

Nobody listens to most events, and a call has no time to ask a dozen times whether anybody does. Comes before the bus;
whoever owns the bus calls `follow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.tally import error_code

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.errors import Ending


def follow(m: Machine) -> None:
    """Note which of the hot events anybody wants."""
    m.tells_starts = m.has_listener(events.CallStarted.name)
    m.tells_checkouts = m.has_listener(events.WorkerCheckout.name)
    m.tells_checkins = m.has_listener(events.WorkerCheckin.name)
    m.tells_ends = m.has_listener(events.CallStopped.name) or m.has_listener(events.CallFailed.name)


def tell_end(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    """Say how a call ended."""
    worker = call.worker.id if call.worker is not None else None
    after = now - call.submitted_at
    if ending == "ok":
        queued = call.sent_at - call.submitted_at
        m.say(events.CallStopped, call.id, call.op.name, worker, call.attempts, after, queued, call.service_s)
    else:
        code = error_code(value)
        m.say(events.CallFailed, call.id, call.op.name, worker, ending, code, call.attempts, after)
