"""Calls that ended, as far as they are remembered: the last failures, and the slowest of each of the last minutes.

A record holds ids, names and numbers, and of a dead worker the end of what it wrote: nothing of a caller's, a ticket's
or a handler's is kept alive by it. Told by `endings.finish` alone; decides nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, get_args

import msgspec

from millpond.core.records.counters import error_code
from millpond.errors import Outcome, WorkerDied
from millpond.texts import is_pool_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.records.call import Call
    from millpond.errors import Ending

FAILURES = 200  # that are remembered
SLOWEST = 50  # of a minute
MINUTE_S = 60.0
REMEMBERED_S = 15 * MINUTE_S
TAIL = 2_000  # characters of what a dead worker wrote
ANY_S = -1.0  # less than any call takes

OUTCOMES = get_args(Outcome)


class EndedCall(msgspec.Struct, gc=False):
    """One call that ended; times are those of the pool's clock, and 0 is a time that never came."""

    call_id: int
    operation: str
    ending: Ending
    submitted_at: float
    sent_at: float
    ended_at: float
    service_s: float
    deadline: float
    worker: int | None
    session: str | None
    attempts: int
    priority: int
    code: str | None = None
    outcome: str | None = None
    signal: int | None = None
    exit_code: int | None = None
    stderr_tail: str | None = None

    @property
    def took_s(self) -> float:
        """Seconds from its submission to its ending."""
        return self.ended_at - self.submitted_at


class EndedCalls:
    """The memory of one pool. `slow_s`: a call that took longer is among the slowest of this minute, so far."""

    __slots__ = ("_minutes", "_slowest", "failures", "slow_s", "until")

    def __init__(self) -> None:
        self.failures: deque[EndedCall] = deque(maxlen=FAILURES)  # the newest at the end
        self.slow_s = ANY_S
        self.until = 0.0  # when this minute is over
        # Heaps of (seconds it took, call id, call), one a minute, the present one at the end
        self._minutes: deque[list[tuple[float, int, EndedCall]]] = deque(maxlen=int(REMEMBERED_S / MINUTE_S) + 1)
        self._slowest: list[tuple[float, int, EndedCall]] = []

    @property
    def is_full(self) -> bool:
        """Whether only slower calls are noted until the minute is over: somebody has to look at its end then."""
        return len(self._slowest) == SLOWEST

    def note(self, call: Call, ending: Ending, error: object, now: float) -> None:
        """Remember a call that failed or was slow; `error` is `None` if it was answered."""
        record = _record(call, ending, now)
        if error is not None:
            _add_failure(record, error)
            self.failures.append(record)
        if record.took_s > self.slow_s:
            self._add(record, now)

    def begin_minute(self, now: float) -> None:
        """From now on the slowest of another minute are looked for."""
        self._slowest = []
        self._minutes.append(self._slowest)
        self.slow_s = ANY_S
        self.until = now + MINUTE_S

    def slowest(self, now: float) -> Iterator[EndedCall]:
        """Those that ended lately and were among the slowest of their minute, in no order."""
        for minute in self._minutes:
            yield from (call for _, _, call in minute if now - call.ended_at <= REMEMBERED_S)

    def find(self, call_id: int) -> EndedCall | None:
        """The call of that id, if it is remembered."""
        known = (call for minute in self._minutes for _, _, call in minute)
        return next((one for calls in (self.failures, known) for one in calls if one.call_id == call_id), None)

    def _add(self, record: EndedCall, now: float) -> None:
        if now >= self.until:
            self.begin_minute(now)
        entry = record.took_s, record.call_id, record
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)
        if len(self._slowest) == SLOWEST:
            self.slow_s = self._slowest[0][0]


def _record(call: Call, ending: Ending, now: float) -> EndedCall:
    return EndedCall(
        call.id,
        call.op.name,
        ending,
        call.submitted_at,
        call.sent_at,
        now,
        call.service_s,
        call.deadline,
        call.worker.id if call.worker is not None else None,
        call.session.id if call.session is not None else None,
        call.attempts,
        call.priority,
    )


def _add_failure(record: EndedCall, error: object) -> None:
    """What is told of an error: a handler may have made it, so what is no code, outcome or number of ours is left."""
    record.code = error_code(error)
    record.outcome = "completed"
    if is_pool_error(error):
        record.outcome = error.outcome if error.outcome in OUTCOMES else None
    if type(error) is WorkerDied:
        record.signal = int(error.signal) if isinstance(error.signal, int) else None
        record.exit_code = int(error.exit_code) if isinstance(error.exit_code, int) else None
        record.stderr_tail = error.stderr_tail[-TAIL:] if type(error.stderr_tail) is str else None
