"""Which idle timeouts spend a budget best: the fewest cold starts for so much more than the least that is possible.

The least possible is what somebody who knows the future would pay: for each gap of a level the shorter of idling
through it and of a cold start. With more than that to spend, a start avoided is given a price in seconds, the highest
that the budget allows: the timeouts are those that cost least at this price (a worker never idles longer than a start
and its price are worth), and what is left goes level by level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millpond.optimizer.level_gaps import TIMEOUTS_S, Floats, LevelGaps

# Gaps of a level below which its timeout is that of a start, or of the level below: at most twice the least possible
FEW = 5.0
HALVINGS = 7
Choice = NDArray[np.int64]  # (levels,): indices of TIMEOUTS_S


@dataclass(frozen=True, slots=True)
class Costs:
    """What timeouts would have cost, by level: seconds of starting, idling and work; and the least possible."""

    idle_s: Floats
    missed: Floats
    seen: Floats
    start_s: float
    busy_s: float
    calls: float
    elapsed_s: float

    @property
    def least_s(self) -> float:
        """What somebody would have paid who knows the future."""
        return self.busy_s + float(self.idle_s[:, _index(self.start_s)].sum())

    def of(self, choice: Choice) -> float:
        """Seconds that these timeouts would have cost."""
        return self.busy_s + float(_picked(self.idle_s + self.missed * self.start_s, choice).sum())

    def starts(self, choice: Choice) -> float:
        """Cold starts with these timeouts."""
        return float(_picked(self.missed, choice).sum())

    def cheapest(self, price_s: float) -> Choice:
        """The timeouts that cost least if a start avoided is worth so many seconds beyond its own."""
        worth_s = self.start_s + price_s
        affordable = np.searchsorted(TIMEOUTS_S, worth_s, side="right")
        found: Choice = (self.idle_s + self.missed * worth_s)[:, :affordable].argmin(axis=1)
        return found

    def least_starts(self, budget_s: float, most_s: float) -> Choice:
        """The timeouts with the fewest starts that cost no more than the budget, at no more than so much a start.

        Where even the cheapest cost more than the budget, these.
        """
        choice = self.cheapest(0.0)
        if self.of(choice) < budget_s:
            choice = self._spent(choice, budget_s, most_s)
        usual = _index(self.start_s)
        for level in np.flatnonzero(self.seen < FEW):
            choice[level] = min(usual, choice[level - 1]) if level else usual
        return choice

    def _spent(self, choice: Choice, budget_s: float, most_s: float) -> Choice:
        dearer = self.cheapest(most_s)
        if self.of(dearer) <= budget_s:
            return dearer
        low, high = 0.0, most_s
        for _ in range(HALVINGS):
            price_s = (low + high) / 2
            found = self.cheapest(price_s)
            if self.of(found) <= budget_s:
                low, choice = price_s, found
            else:
                high, dearer = price_s, found
        return self._filled(choice, dearer, budget_s - self.of(choice))

    def _filled(self, choice: Choice, dearer: Choice, left_s: float) -> Choice:
        """Level by level as far towards the dearer timeouts as what is left allows."""
        choice = choice.copy()
        costs_s = self.idle_s + self.missed * self.start_s
        for level in np.flatnonzero(dearer > choice):
            first = choice[level]
            more_s = costs_s[level, first : dearer[level] + 1] - costs_s[level, first]
            step = np.flatnonzero(more_s <= left_s)[-1]
            choice[level] += step
            left_s -= more_s[step]
        return choice


def costs_of(gaps: LevelGaps, now: float, start_s: float) -> Costs:
    """What the gaps so far say of timeouts."""
    idle_s, missed = gaps.costs(now)
    return Costs(idle_s, missed, gaps.seen(), start_s, gaps.busy_s, gaps.calls, gaps.elapsed_s)


def in_levels(choice: Choice, levels: int, start_s: float) -> Choice:
    """A choice for so many levels, those that are new included."""
    usual = min(_index(start_s), int(choice[-1]))
    return np.pad(choice[:levels], (0, max(0, levels - len(choice))), constant_values=usual)


def in_seconds(choice: Choice) -> tuple[float, ...]:
    """The timeouts as a sizing rule takes them."""
    return tuple(TIMEOUTS_S[choice].round(4).tolist())


def _picked(of_timeouts: Floats, choice: Choice) -> Floats:
    return np.take_along_axis(of_timeouts, choice[:, None], axis=1)


def _index(timeout_s: float) -> int:
    """Of the shortest timeout that is as long."""
    return min(int(np.searchsorted(TIMEOUTS_S, timeout_s)), len(TIMEOUTS_S) - 1)
