"""How much of the time that calls may wait is left unused, since starts do not always take the same time.

More while calls wait too long, less again after many that did not. Counts only; `short_starts` asks.
"""

from __future__ import annotations

import math

LEAST, MOST = 0.05, 0.8  # share
MISSED = 3  # calls that waited too long, and half of the share that may: more is kept
FORGOTTEN_CALLS = 1_000.0  # by which a miss is forgotten to a share of 1/e
FORGIVEN_CALLS = 10_000


class Reserve:
    """`share` is what is kept; it doubles and halves. `allowed` is the share of the calls that may wait too long."""

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self.share = LEAST
        self._recent = self._missed = 0.0
        self._since = 0

    def note(self, calls: int, missed: int) -> None:
        """So many calls began, and so many of them too late."""
        fade = math.exp(-calls / FORGOTTEN_CALLS)
        self._recent, self._missed = fade * self._recent + calls, fade * self._missed + missed
        self._since += calls
        if self._missed >= MISSED and self._missed > self._allowed / 2 * self._recent:
            self._change(min(2 * self.share, MOST))
        elif self.share > LEAST and self._since >= FORGIVEN_CALLS:
            self._change(self.share / 2)

    def _change(self, share: float) -> None:
        self.share = share
        self._recent = self._missed = 0.0
        self._since = 0
