"""The policy `target`: as many workers as keep the share of their time that is used at a target.

The tolerance and the stabilisation window are those of Kubernetes' horizontal autoscaler: a ratio within 10 % of the
target changes nothing, and it shrinks to the most that was wanted in the last five minutes.
"""

from __future__ import annotations

import math
from collections import deque
from typing import ClassVar

from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.fixed import INTERVAL_S, fixed_rule, size_in_force
from millpond.optimizer.policies.policy import Mode, Proposal
from millpond.slo import Slo

TARGETS: dict[Mode, float] = {"prompt": 0.7, "economy": 0.85}
TOLERANCE = 0.1
STABLE_S = 300.0


class Target:
    """Grows at once, shrinks to the most that was wanted in five minutes."""

    name: ClassVar[str] = "target"

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int) -> None:
        self.interval_s = INTERVAL_S
        self._target = TARGETS[mode]
        self._looked_at: float | None = None
        self._wanted: deque[tuple[float, int]] = deque()  # when, workers

    def propose(self, seen: Observation) -> Proposal:
        """The size for the load since the last look."""
        load, size = self._load(seen), size_in_force(seen)
        self._looked_at = seen.now
        wanted = max(1, math.ceil(load / self._target - 1e-9))
        if size and abs(load / size / self._target - 1.0) <= TOLERANCE:
            wanted = size
        self._wanted.append((seen.now, wanted))
        while self._wanted[0][0] < seen.now - STABLE_S:
            self._wanted.popleft()
        wanted = max(workers for _, workers in self._wanted) if wanted < size else wanted
        chosen = min(max(wanted, seen.low), seen.high)
        why = f"{load:.2f} calls were at work or waiting on average; {self._target:.0%} of the time is to be used"
        return Proposal(fixed_rule(chosen), f"{why}: {chosen} workers.")

    def _load(self, seen: Observation) -> float:
        if self._looked_at is None or seen.now <= self._looked_at:
            return float(seen.busy + seen.waiting)
        return seen.in_system_s / (seen.now - self._looked_at)
