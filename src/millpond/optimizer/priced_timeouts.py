"""Idle timeouts learned at a price: what they would have cost on the gaps seen, if a missing worker costs so much.

A worker that idles costs its time; one that is missed costs its start and the price. A gap in progress counts as far as
it has come, and no worker idles for longer than missing it would cost.
"""

from __future__ import annotations

import numpy as np

from millpond.optimizer.level_gaps import Floats, LevelGaps
from millpond.optimizer.observation import Observation

TIMEOUTS_S: Floats = np.concatenate([[0.0], np.geomspace(0.25, 3600.0, 60)])
NEWS = 0.01  # of the calls: so many more may make a difference


class PricedTimeouts:
    """The timeouts of each level at each of the prices, in worker-seconds."""

    def __init__(self, prices_s: tuple[float, ...]) -> None:
        self._prices_s = np.array(prices_s)
        self._gaps = LevelGaps(TIMEOUTS_S, fade_s=np.inf, fade_calls=np.inf)
        self._came: list[Floats] = []  # since the gaps were noted
        self._left: list[Floats] = []
        self._fresh_calls = self._calls = 0  # that came since the timeouts were learned, and until then
        self._learned: Floats = np.zeros((len(prices_s), 1))
        self._learned_for_s = 0.0

    def note(self, seen: Observation) -> None:
        """What came and ended since the last observation."""
        if len(seen.arrivals):
            self._came.append(seen.arrivals)
            self._fresh_calls += len(seen.arrivals)
        if len(seen.ended):
            self._left.append(np.minimum(seen.ended.sum(axis=1), seen.now))  # arrival, service and wait

    def at(self, now: float, start_s: float) -> Floats:
        """(prices, levels): the cheapest timeout of each. The same array as before while hardly anything came since."""
        if self._fresh_calls > NEWS * self._calls or start_s != self._learned_for_s:
            if self._came or self._left:
                empty = np.empty(0)
                self._gaps.note(now, np.concatenate([empty, *self._came]), np.concatenate([empty, *self._left]), 0.0)
            self._calls += self._fresh_calls
            self._came, self._left, self._fresh_calls, self._learned_for_s = [], [], 0, start_s
            self._learned = self._learn(now, start_s)
        return self._learned

    def _learn(self, now: float, start_s: float) -> Floats:
        """A worker idles as long at least as those above it: they go first."""
        idle_s, missed = self._gaps.costs(now)
        prices_s = start_s + self._prices_s
        best = (idle_s + missed * prices_s[:, None, None]).argmin(axis=2)
        found = np.minimum(TIMEOUTS_S[best], prices_s[:, None])
        learned: Floats = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
        return learned
