"""Ray Serve: ongoing requests by a target, followed when the direction has been the same for long enough.

Source: `python/ray/serve/autoscaling_policy.py` of ray (`replica_queue_length_autoscaling_policy`,
`_apply_delay_logic`) and `AutoscalingConfig` in the documentation: target_ongoing_requests 2, metrics_interval_s 10,
look_back_period_s 30, upscale_delay_s 30, downscale_delay_s 600, factors 1, min_replicas 1. Wanted is ceil(mean of
ongoing requests over the look-back / target); only what is wanted at the end of the delay counts. From 1 to 0 only; at
none, the first request wakes one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import SETTLED_S, LoadWindow, asleep, kept
from millpond.optimizer import Mode, Observation, Proposal, Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class RayKnobs:
    target: float = 2.0
    interval_s: float = 10.0
    look_back_s: float = 30.0
    up_delay_s: float = 30.0
    down_delay_s: float = 600.0
    minimum: int = 1


class RayServe:
    """A replica is a worker; it has one request at a time, and the rest wait in the handle's queue."""

    name: ClassVar[str] = "Ray Serve"

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: RayKnobs | None = None) -> None:
        self._knobs = knobs or RayKnobs()
        self.interval_s = self._knobs.interval_s
        self.quiet_s = self._knobs.look_back_s + 2 * self._knobs.down_delay_s + SETTLED_S
        self._low, self._high = max(low, self._knobs.minimum), high
        self._size = self._low
        self._load = LoadWindow(self._knobs.look_back_s, self.interval_s)
        self._direction, self._since = 0, 0.0

    def propose(self, seen: Observation) -> Proposal:
        self._load.add(seen)
        if not self._size:
            self._size = min(1, seen.ready + seen.starting)  # a request has woken one
        if self._size:
            self._follow(seen.now)
        return Proposal(kept(self._size) if self._size else asleep(self.interval_s), f"{self._size} wanted")

    def _follow(self, now: float) -> None:
        wanted = math.ceil(self._load.mean(self._knobs.look_back_s) / self._knobs.target - 1e-9)
        wanted = min(max(wanted, self._low), self._high)
        direction = (wanted > self._size) - (wanted < self._size)
        if direction != self._direction:
            self._direction, self._since = direction, now
        delay_s = self._knobs.up_delay_s if direction > 0 else self._knobs.down_delay_s
        if direction and now - self._since >= delay_s:
            self._size = wanted if self._size == 1 else max(1, wanted)
            self._direction = 0
