"""Gathers what an optimizer is shown: what came, began and ended since it looked last, and how much was in the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from millpond.optimizer import Observation
from millpond.optimizer.observation import NONE_ARRIVED, NONE_ENDED, facts_of

if TYPE_CHECKING:
    from millpond.core import View


class Observer:
    """What happened since the last observation. Time comes with each fact, in order."""

    __slots__ = ("_changed_at", "_in_system", "_in_system_s", "_view", "arrivals", "ended", "errors", "waits")

    def __init__(self, view: View) -> None:
        self._view = view
        self._in_system = 0
        self._in_system_s = self._changed_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self.arrivals: list[float] = []
        self.ended: list[tuple[float, float, float]] = []  # arrival, service, wait
        self.waits: dict[str, list[float]] = {}  # by operation, of those that ended
        self.errors: dict[str, int] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in the pool and nothing happened."""
        return not (self._in_system or self.arrivals or self.ended or self.errors)

    def answered(self, operation: str, came: float, began: float, service_s: float) -> None:
        """A request has ended by itself."""
        self.ended.append((came, service_s, began - came))
        self.waits.setdefault(operation, []).append(began - came)

    def change(self, calls: int, now: float) -> None:
        """So many calls more, or fewer, are in the pool from now on."""
        self._in_system_s += self._in_system * (now - self._changed_at)
        self._in_system += calls
        self._changed_at = now

    def observe(self, now: float, service_s: float) -> Observation:
        """What there is to see now; the next observation begins here."""
        self.change(0, now)
        view = self._view
        seen = Observation(
            now=now,
            busy=sum(1 for worker in view.workers.values() if worker.inflight) if self._in_system else 0,
            waiting=view.queued,
            in_system_s=self._in_system_s,
            arrivals=np.array(self.arrivals) if self.arrivals else NONE_ARRIVED,
            ended=np.array(self.ended) if self.ended else NONE_ENDED,
            service_s=service_s,
            start_error=view.failure,
            errors=self.errors,
            waits={name: np.array(waits) for name, waits in self.waits.items()},
            oldest_wait_s=view.oldest_wait(now) if view.queued else 0.0,
            **facts_of(view),
        )
        self._in_system_s = 0.0
        self._begin()
        return seen
