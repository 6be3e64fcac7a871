"""What the callers saw: every call is counted here by how it ended for the one who made it.

Filled by `crowd`; nothing here comes from the pool's own books.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Tally:
    """Counts of calls and sessions, and each answer's time and latency (seconds), in the order they came."""

    answered: int = 0
    right: int = 0  # agrees with the truth; the model itself misreads a few
    wrong: int = 0  # differs from the key: an answer to another question
    miscounted: int = 0  # a session's score that is not what its player kept
    lost: int = 0  # WorkerDied: may have run
    told: int = 0  # SessionLost: refused, because the session died with its worker
    reopened: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # anything else, by code
    ended: array[float] = field(default_factory=lambda: array("d"))
    latencies: array[float] = field(default_factory=lambda: array("d"))

    @property
    def calls(self) -> int:
        """Calls made that ended, however they ended."""
        return self.answered + self.lost + self.told + self.failures.total()

    @property
    def mistakes(self) -> int:
        """What must be 0."""
        return self.wrong + self.miscounted

    def answer(self, digit: int, expected: int, truth: int) -> None:
        """Check one answer and count it."""
        self.answered += 1
        self.right += digit == truth
        self.wrong += digit != expected

    def timed(self, ended: float, seconds: float) -> None:
        """Note one answer's latency."""
        self.ended.append(ended)
        self.latencies.append(seconds)

    def since(self, moment: float) -> int:
        """Index of the first answer at or after a moment."""
        return bisect_left(self.ended, moment)

    def percentiles(self, first: int = 0, last: int | None = None) -> tuple[float, float]:
        """p50 and p99 (seconds) of the answers from one index to another; 0 where there are none."""
        chosen = self.latencies[first:last]
        if not chosen:
            return 0.0, 0.0
        p50, p99 = np.percentile(chosen, (50, 99))
        return float(p50), float(p99)
