"""Kubernetes' HorizontalPodAutoscaler on a metric of its user's: calls in the system, so many a pod.

Source: `pkg/controller/podautoscaler/replica_calculator.go` (`GetExternalPerPodMetricReplicas`) and `horizontal.go`,
and the page "Horizontal Pod Autoscaling" of the documentation. With a total t and a target a for each of n replicas:
wanted is ceil(t / a), or n if t / (a n) is within 10 % of 1. Every 15 s; up at once, at most to the larger of 2 n and
n + 4; down to the most that was wanted within 300 s; never to none. The default target is 80 % (of processor time, for
which calls stand here, as a worker at work is one in use).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import SETTLED_S, LoadWindow, kept
from millpond.optimizer import Mode, Observation, Proposal, Slo

SYNC_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaKnobs:
    target: float = 0.8
    down_window_s: float = 300.0
    tolerance: float = 0.1
    minimum: int = 1


class Hpa:
    """A replica is a worker."""

    name: ClassVar[str] = "Kubernetes HPA"
    interval_s = SYNC_S

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: HpaKnobs | None = None) -> None:
        self._knobs = knobs or HpaKnobs()
        self._low, self._high = max(low, self._knobs.minimum, 1), high
        self._size = self._low
        self.quiet_s = self._knobs.down_window_s + SETTLED_S
        self._load = LoadWindow(SYNC_S, SYNC_S)
        self._wanted: deque[tuple[float, int]] = deque()  # (when, size) within the window

    def propose(self, seen: Observation) -> Proposal:
        self._load.add(seen)
        wanted = self._want(self._load.mean(SYNC_S))
        self._wanted.append((seen.now, wanted))
        while self._wanted[0][0] < seen.now - self._knobs.down_window_s:
            self._wanted.popleft()
        upper = max(size for _, size in self._wanted)
        fastest = max(2 * self._size, self._size + 4)
        self._size = min(max(min(max(self._size, wanted), upper, fastest), self._low), self._high)
        return Proposal(kept(self._size), f"wanted {wanted}, at most {upper} lately")

    def _want(self, total: float) -> int:
        ratio = total / (self._knobs.target * self._size)
        if abs(1 - ratio) <= self._knobs.tolerance:
            return self._size
        return math.ceil(total / self._knobs.target - 1e-9)
