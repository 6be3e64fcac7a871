"""How long a start takes at most, as a rule: the mean of what was measured lately, and twice how far it strayed.

As round-trip times are estimated (RFC 6298); where each start takes as long as the last it is just that.
"""

from __future__ import annotations

WEIGHT = 1 / 16  # of the newest measurement; a measurement is a moving average itself
DEVIATIONS = 2.0


class StartTime:
    """`seconds` is 0 while nothing is known."""

    def __init__(self) -> None:
        self._measured = self._mean = self._deviation = 0.0

    @property
    def seconds(self) -> float:
        """What a start is expected to take at most."""
        return self._mean + DEVIATIONS * self._deviation

    def note(self, measured_s: float) -> None:
        """What is measured by now; the same as before is nothing new."""
        if measured_s == self._measured:
            return
        off = measured_s - self._mean if self._measured else 0.0
        self._mean = self._mean + WEIGHT * off if self._measured else measured_s
        self._deviation += WEIGHT * (abs(off) - self._deviation)
        self._measured = measured_s
