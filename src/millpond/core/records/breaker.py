"""A breaker: stops an operation that keeps killing or hanging its workers, and lets one probe find out when it is well.

Counts worker deaths and deadlines that passed while running; handler errors, cancels, refusals and expiry in the queue
never count. Asked before a call is admitted, told at each ending.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from millpond.core.records.states import Table, move

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"

TRANSITIONS: Table = {
    (CLOSED, OPEN): "enough faults in the window, and they are most of the operation's endings",
    (OPEN, HALF_OPEN): "the reset time passed and one call was let through",
    (HALF_OPEN, CLOSED): "the probe was answered",
    (HALF_OPEN, OPEN): "the probe died or hung (the reset time doubles), or told nothing",
}
LONGEST_RESET = 300.0  # seconds; doubling stops here


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a breaker opens and for how long; seconds and shares as in the settings of the same names."""

    faults: int
    share: float
    window: float
    reset: float


class Breaker:
    """One operation's breaker. Runs are counted by the operation and handed in as `ended`: a success costs nothing."""

    __slots__ = ("_baseline", "_faults", "_reset", "open_until", "probe", "rule", "state")

    def __init__(self, rule: BreakerRule) -> None:
        self.rule = rule
        self.state = CLOSED
        self.open_until = 0.0
        self.probe: int | None = None  # id of the call let through while half open
        self._reset = rule.reset
        self._faults: deque[float] = deque()  # times of the faults in the window, oldest first
        # (time, runs until then), a sample a look; the first is the newest from before the window
        self._baseline: deque[tuple[float, int]] = deque([(-math.inf, 0)])

    def wait(self, now: float) -> float | None:
        """Seconds until a call may be tried again, or `None` if it may pass now."""
        if self.state == CLOSED:
            return None
        if self.state == HALF_OPEN:
            return self._reset
        return self.open_until - now if now < self.open_until else None

    def admitted(self, call_id: int, now: float) -> None:
        """A call was let through: the first one after the reset time is the probe."""
        if self.state == OPEN and now >= self.open_until:
            move(self, HALF_OPEN, TRANSITIONS)
            self.probe = call_id

    def sample(self, now: float, ended: int) -> None:
        """Note how many runs had ended by now, if that is news."""
        if ended != self._baseline[-1][1]:
            self._baseline.append((now, ended))
            self._forget(now - self.rule.window)

    def fault(self, call_id: int, now: float, ended: int) -> None:
        """A death or a running deadline; `ended` includes it."""
        if self.state == HALF_OPEN and call_id == self.probe:
            self._open(now, min(self._reset * 2, LONGEST_RESET))
        elif self.state == CLOSED:
            self._faults.append(now)
            self._forget(now - self.rule.window)
            runs = ended - self._baseline[0][1]
            if len(self._faults) >= max(self.rule.faults, self.rule.share * runs):
                self._open(now, self.rule.reset)

    def probe_ended(self, call_id: int, now: float, ended: int, success: bool) -> None:
        """A call came to an end that was no fault.

        A probe that neither succeeded nor failed (cancelled, expired in the queue) proves nothing: the next call is the
        next probe.
        """
        if self.state != HALF_OPEN or call_id != self.probe:
            return
        if success:
            move(self, CLOSED, TRANSITIONS)
            self._reset, self.probe = self.rule.reset, None
            self._baseline = deque([(now, ended)])  # what ended before it opened is not held against it, nor for it
        else:
            self._open(now, self._reset)
            self.open_until = now

    def _forget(self, begin: float) -> None:
        """Keep what tells of the window that begins there."""
        while self._faults and self._faults[0] < begin:
            self._faults.popleft()
        while len(self._baseline) > 1 and self._baseline[1][0] <= begin:
            self._baseline.popleft()

    def _open(self, now: float, reset: float) -> None:
        move(self, OPEN, TRANSITIONS)
        self._reset, self.open_until, self.probe = reset, now + reset, None
        self._faults.clear()
