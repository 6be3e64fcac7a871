"""When the pool did not run: its loop was blocked, or the whole program stopped or suspended.

Whoever is judged by how long they were silent, slow or stopped is judged by time in which the pool ran: the judge was
not there for the rest. Values only; `machine` notes a standstill when a wake-up comes late.
"""

from __future__ import annotations

from collections import deque

LATE_S = 0.1  # a wake-up that comes later than this, and the pool stood still; what is shorter, loops have all the time
KEPT = 64  # standstills that are remembered; time before the oldest counts as time in which the pool ran


class Standstills:
    """The last standstills, each from when the pool should have been awake to when it was."""

    __slots__ = ("_past",)

    def __init__(self) -> None:
        self._past: deque[tuple[float, float]] = deque(maxlen=KEPT)  # (begin, end), ascending, none overlaps another

    def note(self, begin: float, end: float) -> None:
        """The pool was to be awake at `begin` and was so at `end`."""
        self._past.append((begin, end))

    def covers(self, at: float, until: float) -> bool:
        """Whether the pool stood still at some time between the two."""
        return any(begin <= until and at <= end for begin, end in self._past)

    def within(self, since: float, now: float) -> float:
        """Seconds between the two times in which the pool stood still."""
        still_s = 0.0
        for begin, end in reversed(self._past):
            if end <= since:
                break
            still_s += max(0.0, min(end, now) - max(begin, since))
        return still_s
