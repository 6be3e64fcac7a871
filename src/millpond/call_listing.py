"""A pool's calls when asked: those that wait or run, and of those that ended the slowest and the last failures.

The first are read from the core's records as they are, the others from what it remembers. Nothing is kept or changed.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.core import QUEUED
from millpond.facts import CallFacts, CallListing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.core import Call, EndedCall, View
    from millpond.facts import Show


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are asked for; `None` asks for any."""

    operation: str | None = None
    worker: int | None = None
    session: str | None = None
    code: str | None = None

    def fits(self, call: EndedCall) -> bool:
        """Whether a call that ended is one of them."""
        return (self.code is None or call.code == self.code) and self._is_of(call.operation, call.worker, call.session)

    def fits_unended(self, call: Call) -> bool:
        """Whether one that waits or runs is."""
        if self.code is not None:
            return False
        session = call.session.id if call.session is not None else None
        return self._is_of(call.op.name, worker_of(call), session)

    def _is_of(self, operation: str, worker: int | None, session: str | None) -> bool:
        return (
            self.operation in (None, operation)
            and (self.worker is None or self.worker == worker)
            and (self.session is None or self.session == session)
        )


def listed(
    view: View, now: float, show: Show, chosen: CallFilter, limit: int, wall_clock: Callable[[], float] = time.time
) -> CallListing:
    """Those that are to be shown: running and waiting ones longest first, the slowest first, or the newest failures."""
    if show in ("running", "waiting"):
        return _unended(view, now, show == "waiting", chosen, limit)
    if show == "slowest":
        slowest = [call for call in view.ended_calls.slowest(now) if chosen.fits(call)]
        return _ended(heapq.nlargest(limit, slowest, key=_took), len(slowest), now, wall_clock())
    failures = [call for call in reversed(view.ended_calls.failures) if chosen.fits(call)]
    return _ended(failures[:limit], len(failures), now, wall_clock())


def facts_of(view: View, call_id: int, now: float, wall_clock: Callable[[], float] = time.time) -> CallFacts | None:
    """What is told of one call; `None` if it is not there, and not remembered."""
    unended = found(view, call_id)
    if unended is not None:
        return unended_facts(unended, now)
    ended = view.ended_calls.find(call_id)
    return None if ended is None else ended_facts(ended, now, wall_clock())


def found(view: View, call_id: int) -> Call | None:
    """The call of that id that waits or runs. Walks over all."""
    return next((call for call in view.calls() if call.id == call_id), None)


def worker_of(call: Call) -> int | None:
    """The worker that has it, or has its session; of one that waits to be tried again none."""
    worker = call.session.worker if call.state == QUEUED and call.session is not None else call.worker
    return worker.id if worker is not None and (call.state != QUEUED or call.session is not None) else None


def unended_facts(call: Call, now: float) -> CallFacts:
    """What is told of a call that waits or runs."""
    is_waiting = call.state == QUEUED
    has_begun = not is_waiting and not _is_behind(call)
    return CallFacts(
        call.id,
        call.op.name,
        "waiting" if is_waiting else "running",
        None,
        None,
        None,
        age_s=now - call.submitted_at,
        wait_s=(call.sent_at if has_begun else now) - call.submitted_at,
        run_s=now - call.sent_at if has_begun else None,
        deadline_left_s=_finite(call.deadline - now),
        worker=worker_of(call),
        session=call.session.id if call.session is not None else None,
        attempts=call.attempts,
        priority=call.priority,
    )


def ended_facts(call: EndedCall, now: float, wall: float) -> CallFacts:
    """What is told of a call that ended; it is `wall` now by the clock on the wall."""
    was_sent = call.attempts > 0
    return CallFacts(
        call.call_id,
        call.operation,
        "ended",
        call.ending,
        call.code,
        call.outcome,
        age_s=call.took_s,
        wait_s=(call.sent_at if was_sent else call.ended_at) - call.submitted_at,
        run_s=call.ended_at - call.sent_at if was_sent else None,
        deadline_left_s=_finite(call.deadline - call.ended_at),
        worker=call.worker,
        session=call.session,
        attempts=call.attempts,
        priority=call.priority,
        wall=round(wall - (now - call.ended_at), 3),
        signal=call.signal,
        exit_code=call.exit_code,
        stderr_tail=call.stderr_tail,
    )


def _unended(view: View, now: float, are_waiting: bool, chosen: CallFilter, limit: int) -> CallListing:
    fit = [call for call in view.calls() if (call.state == QUEUED) is are_waiting and chosen.fits_unended(call)]
    first = heapq.nsmallest(limit, fit, key=_age)
    return CallListing(tuple(unended_facts(call, now) for call in first), len(fit))


def _ended(calls: Iterable[EndedCall], of: int, now: float, wall: float) -> CallListing:
    return CallListing(tuple(ended_facts(call, now, wall) for call in calls), of)


def _is_behind(call: Call) -> bool:
    """Whether its worker has as many calls before it as it runs at a time."""
    worker = call.worker
    if worker is None or len(worker.inflight) <= worker.slots:
        return False
    return call.id in list(worker.inflight)[worker.slots :]


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _age(call: Call) -> tuple[float, int]:
    return call.submitted_at, call.id


def _took(call: EndedCall) -> float:
    return call.took_s
