"""Celery's `--autoscale=max,min`: processes for all reserved tasks at once; fewer only some time after the last growth.

Source: `celery/worker/autoscale.py` of Celery 5 (`_maybe_scale`, `scale_up`, `scale_down`). With q reserved tasks and p
processes: q > p grows by q - p, at each message; q < p shrinks by p - max(q, min) if the last growth is longer ago
than `AUTOSCALE_KEEPALIVE` (30 s), and only idle processes go. Shrinking does not count as growth. Here it looks each
second, as the thread of a worker without event loop does. The limit of prefetched tasks is left out, in its favour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import NEVER, SETTLED_S, rule
from millpond.optimizer import Mode, Observation, Proposal, Slo

TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryKnobs:
    keepalive_s: float = 30.0
    minimum: int = 0  # the user names it, and the maximum


class Celery:
    """Growth is the core's (a worker for each call that finds none); when to shrink is decided here."""

    name: ClassVar[str] = "Celery"
    interval_s = TICK_S

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: CeleryKnobs | None = None) -> None:
        self._knobs = knobs or CeleryKnobs()
        self._floor, self._high = max(low, self._knobs.minimum), high
        self._processes, self._grew_at = 0, 0.0
        self.quiet_s = self._knobs.keepalive_s + SETTLED_S

    def propose(self, seen: Observation) -> Proposal:
        processes, reserved = seen.ready + seen.starting, seen.busy + seen.waiting
        if processes > self._processes or seen.starting:
            self._grew_at = seen.now
        self._processes = processes
        if reserved < processes and seen.now - self._grew_at > self._knobs.keepalive_s:
            floor = max(reserved, self._floor)
            # Idle for a second, not at once: what starts before the next look is growth, and stays.
            reason = f"{processes - floor} too many, and none was added for long"
            return Proposal(rule(floor, self._high, TICK_S), reason)
        return Proposal(rule(self._floor, self._high, NEVER), "as they come")
