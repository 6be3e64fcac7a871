"""What the peers share: an average of the load over a window, and the rule that keeps a size they chose."""

from __future__ import annotations

from collections import deque

from millpond.core import SizingRule
from millpond.optimizer.observation import Observation

NEVER = 1e9  # seconds: an idle worker stays
SETTLED_S = 60.0  # after its windows have passed, nothing changes any more where nothing happens


class LoadWindow:
    """The mean number of calls in the system, at work or waiting, over the last seconds.

    Whoever was not asked for longer than a tick was not, because nothing was in the system until the last of them.
    """

    def __init__(self, longest_s: float, tick_s: float) -> None:
        self._longest_s, self._tick_s = longest_s, tick_s
        self._parts: deque[tuple[float, float, float]] = deque()  # from, until, call-seconds
        self._seen = 0.0

    def add(self, seen: Observation) -> None:
        if seen.now > self._seen:
            since = max(self._seen, seen.now - self._tick_s)
            if since > self._seen:
                self._parts.append((self._seen, since, 0.0))
            self._parts.append((since, seen.now, seen.in_system_s))
            self._seen = seen.now
        while self._parts and self._parts[0][1] <= seen.now - self._longest_s:
            self._parts.popleft()

    def mean(self, window_s: float) -> float:
        """Over the window, or as much of it as was seen; a part that began before counts by its share."""
        first = self._seen - window_s
        call_s = covered_s = 0.0
        for since, until, amount in reversed(self._parts):
            if until <= first:
                break
            inside_s = until - max(since, first)
            call_s += amount * inside_s / (until - since)
            covered_s += inside_s
        return call_s / covered_s if covered_s else 0.0


def rule(floor: int, ceiling: int, idle_s: float, spares: int = 0) -> SizingRule:
    """A worker for each call that finds none, and so many in any case."""
    return SizingRule(floor=floor, ceiling=ceiling, spares=spares, idle_timeouts=(idle_s,), drain_s=0.0)


def kept(size: int) -> SizingRule:
    """So many workers; what is too much goes as soon as it is idle."""
    return rule(size, size, 0.0)


def asleep(tick_s: float) -> SizingRule:
    """None, and the first call wakes one up, which is there at the next look."""
    return rule(0, 1, tick_s)
