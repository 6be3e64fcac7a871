"""The policy `threshold`: one look at the utilization and the queue, and a step up or down."""

from __future__ import annotations

from typing import ClassVar

from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.fixed import INTERVAL_S, fixed_rule, size_in_force
from millpond.optimizer.policies.policy import Mode, Proposal
from millpond.slo import Slo

HIGH, LOW = 0.9, 0.3  # utilization
CALLS_A_WORKER = 5  # waiting calls for which one worker more is added, beyond the first
MOST_MORE = 3
LONG_WAIT_S = 0.1


class Threshold:
    """Up by 1 + min(queue / 5, 3) over 90 % with a queue, down by 1 under 30 %.

    Where calls wait longer than 100 ms and there is a queue all the same, one more overflow worker, at most as many as
    the base size; these go first.
    """

    name: ClassVar[str] = "threshold"

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int) -> None:
        self.interval_s = INTERVAL_S
        self._overflow = 0
        self._looked_at: float | None = None

    def propose(self, seen: Observation) -> Proposal:
        """The size in force, or a step from it."""
        size = size_in_force(seen)
        self._overflow = min(self._overflow, size // 2)
        step, why = self._step(seen, size)
        size = min(max(size + step, seen.low, 1), seen.high)
        return Proposal(fixed_rule(size), f"{why}: {size} workers.")

    def _step(self, seen: Observation, size: int) -> tuple[int, str]:
        used = self._utilization(seen)
        self._looked_at = seen.now
        if seen.waiting and used > HIGH:
            more = 1 + int(min(seen.waiting / CALLS_A_WORKER, MOST_MORE))
            return more, f"{used:.0%} of the workers' time is used and {seen.waiting} calls wait"
        if seen.waiting and longest_wait(seen) > LONG_WAIT_S and self._overflow < size - self._overflow:
            self._overflow += 1
            return 1, f"{seen.waiting} calls wait, longer than {LONG_WAIT_S * 1000:.0f} ms"
        if used < LOW:
            self._overflow = max(0, self._overflow - 1)
            return -1, f"only {used:.0%} of the workers' time is used"
        return 0, f"{used:.0%} of the workers' time is used"

    def _utilization(self, seen: Observation) -> float:
        """Share of the ready workers' time since the last look that calls used; 1 where calls wait for the first."""
        if not seen.ready:
            return 1.0 if seen.waiting else 0.0
        if self._looked_at is None or seen.now <= self._looked_at:
            return seen.busy / seen.ready
        return min(1.0, seen.in_system_s / (seen.now - self._looked_at) / seen.ready)


def longest_wait(seen: Observation) -> float:
    """The mean wait of the operation that waited longest, or of the oldest call that waits."""
    means = (float(waits.mean()) for waits in seen.waits.values() if len(waits))
    return max(means, default=0.0) if not seen.oldest_wait_s else seen.oldest_wait_s
