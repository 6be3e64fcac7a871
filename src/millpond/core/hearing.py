"""What of the hot path is told: plain flags and one function, chosen anew whenever listeners come or go.

Nobody listens to most events, and a call has no time to ask a dozen times whether anybody does. Comes before the bus;
whoever owns the bus calls `follow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import tally

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.errors import Ending


def follow(m: Machine) -> None:
    """Note which of the hot events anybody wants, and whether calls leave samples."""
    m.tells_starts = m.has_listener(events.CallStarted.name)
    m.tells_checkouts = m.has_listener(events.WorkerCheckout.name)
    m.tells_checkins = m.has_listener(events.WorkerCheckin.name)
    is_told = m.has_listener(events.CallStopped.name) or m.has_listener(events.CallFailed.name)
    if not is_told:
        m.note_end = tally.note_end if m.is_sampled else None
        return

    def tell(call: Call, ending: Ending, value: Any, now: float) -> None:
        if m.is_sampled:
            tally.note_end(call, ending, value, now)
        _tell_end(m, call, ending, value, now)

    m.note_end = tell


def _tell_end(m: Machine, call: Call, ending: Ending, value: Any, now: float) -> None:
    worker = call.worker.id if call.worker is not None else None
    after = now - call.submitted_at
    if ending == "ok":
        queued = call.sent_at - call.submitted_at
        m.say(events.CallStopped, call.id, call.op.name, worker, call.attempts, after, queued, call.service_s)
    else:
        code = tally.error_code(value)
        m.say(events.CallFailed, call.id, call.op.name, worker, ending, code, call.attempts, after)
