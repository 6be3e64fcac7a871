"""Knative's autoscaler (KPA): the mean concurrency over a minute by a target, and over six seconds in a panic.

Source: `pkg/autoscaler/scaling/autoscaler.go` (`Scale`), `config/core/configmaps/autoscaler.yaml` of knative/serving:
container-concurrency-target-percentage 70, stable-window 60 s, panic-window-percentage 10, panic-threshold-percentage
200, max-scale-up-rate 1000, max-scale-down-rate 2, tick 2 s, scale-down-delay 0. From r ready pods (at least 1 in what
follows), a stable mean s and a panic mean p: wanted is ceil(s / target), and in a panic the most of it and of
ceil(p / target) since the panic began. A panic begins when ceil(p / target) >= 2 r and ends when a stable window has
passed without. Both are kept from floor(r / 2) to ceil(1000 r). At none, the activator wakes one at once. The grace
period before the last pod goes is left out, in its favour.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import SETTLED_S, LoadWindow, asleep, kept
from millpond.optimizer import Mode, Observation, Proposal, Slo

TICK_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnativeKnobs:
    target: float = 0.7  # of a container concurrency of 1
    stable_s: float = 60.0
    panic_share: float = 0.1  # of the stable window
    panic_threshold: float = 2.0
    up_rate: float = 1000.0
    down_rate: float = 2.0
    down_delay_s: float = 0.0
    minimum: int = 0


class Knative:
    """Concurrency 1 for each pod, which is a worker."""

    name: ClassVar[str] = "Knative KPA"
    interval_s = TICK_S

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: KnativeKnobs | None = None) -> None:
        self._knobs = knobs or KnativeKnobs()
        self._low, self._high = max(low, self._knobs.minimum), high
        self._load = LoadWindow(self._knobs.stable_s, TICK_S)
        self.quiet_s = self._knobs.stable_s + self._knobs.down_delay_s + SETTLED_S
        self._panic_at: float | None = None
        self._panic_size = 0
        self._delayed: deque[tuple[float, int]] = deque()  # (when, size) within the delay

    def propose(self, seen: Observation) -> Proposal:
        self._load.add(seen)
        knobs, ready = self._knobs, max(1, seen.ready)
        most, fewest = math.ceil(knobs.up_rate * ready), math.floor(ready / knobs.down_rate)
        stable = math.ceil(self._load.mean(knobs.stable_s) / knobs.target - 1e-9)
        panic = math.ceil(self._load.mean(knobs.stable_s * knobs.panic_share) / knobs.target - 1e-9)
        self._look_for_panic(panic / ready >= knobs.panic_threshold, seen.now)
        size = min(max(stable, fewest), most)
        if self._panic_at is not None:
            size = self._panic_size = max(size, min(max(panic, fewest), most), self._panic_size)
        size = min(max(self._delay(size, seen.now), self._low), self._high)
        return Proposal(
            kept(size) if size else asleep(TICK_S), f"{'panic' if self._panic_at is not None else 'stable'}: {size}"
        )

    def _look_for_panic(self, is_over: bool, now: float) -> None:
        if is_over:
            self._panic_at = now
        elif self._panic_at is not None and self._panic_at + self._knobs.stable_s < now:
            self._panic_at, self._panic_size = None, 0

    def _delay(self, size: int, now: float) -> int:
        """The most of the last `down_delay_s` seconds."""
        self._delayed.append((now, size))
        while self._delayed[0][0] < now - self._knobs.down_delay_s:
            self._delayed.popleft()
        return max(size for _, size in self._delayed)
