"""What the rehearsal has shown of each rule, what was really met, and which rule follows from both.

The cheapest rule is chosen that would have kept the objective; one that would have missed it pays for that in the
score. What happened counts by the square of when it happened, so that the last half of any history weighs seven times
the first; a surge that came once is believed for about as long again as it is ago. The aim itself is corrected by what
was really met: who met more than was asked for may meet less for a while.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

RECENCY = 2.0  # power of the time by which evidence counts
CAUTION = 0.5  # standard deviations of the late calls, which come together, on top of them
LEAST_CALLS = 20.0
AIM = 0.95  # of the share that may be late
CORRECTION, LEAST_AIM, MOST_AIM = 3.0, 0.2, 2.0  # of the aim by what was met; it stays between these
LEAST_MET_CALLS = 300.0
GAIN = 0.03  # of the score for which another rule is worth a change
LEAST_SHARE = 1e-4  # that may be late


class Evidence:
    """Of some rules, from `at` on; recency counts from `since`. `late_share`: of the calls that may be late."""

    def __init__(self, rules: int, since: float, at: float, late_share: float) -> None:
        self._aim = AIM * max(late_share, LEAST_SHARE)
        self._since, self._at = since, at
        self.worker_s = np.zeros(rules)
        self.late = np.zeros(rules)
        self._late_squares = np.zeros(rules)  # of each look's, added up
        self.calls = self.seconds = 0.0
        self._met_at = at
        self._met_calls = self._met_late = 0.0
        self.chosen = -1
        self.scores = np.zeros(rules)

    def note(self, at: float, worker_s: Floats, late: Counts, calls: int, seconds: float) -> None:
        """What each rule cost since the last time, how many calls it let wait too long, and how many there were, in so
        many seconds that were rehearsed.
        """
        fade = self._fade(self._at, at)
        self.worker_s = fade * self.worker_s + worker_s
        self.late = fade * self.late + late
        self._late_squares = fade * self._late_squares + late.astype(np.float64) ** 2
        self.calls = fade * self.calls + calls
        self.seconds = fade * self.seconds + seconds
        self._at = at

    def note_met(self, at: float, calls: int, late: int) -> None:
        """How many calls really began since the last time, and how many of them too late."""
        fade = self._fade(self._met_at, at)
        self._met_calls = fade * self._met_calls + calls
        self._met_late = fade * self._met_late + late
        self._met_at = at

    def choose(self, without: Iterable[int] = ()) -> None:
        """Choose the best rule but for some, or keep the one chosen if it is about as good. `scores` are those of now:
        less is better.
        """
        scores = self.scores = self._scores()
        scores[list(without)] = np.inf
        best = int(scores.argmin())
        if self.chosen < 0 or scores[best] < (1.0 - GAIN) * scores[self.chosen]:
            self.chosen = best

    def attainment(self, rule: int) -> float:
        """The share of calls that would have begun in time."""
        return 1.0 - float(self.late[rule]) / self.calls if self.calls else 1.0

    def workers(self, rule: int) -> float:
        """What it would have cost, in workers on average."""
        return float(self.worker_s[rule]) / self.seconds if self.seconds else 0.0

    def aim(self) -> float:
        """The share of calls that a rule may let wait too long."""
        expected = self._aim * self._met_calls
        credit = (expected - self._met_late) / (self._aim * (self._met_calls + LEAST_MET_CALLS))
        return self._aim * min(max(1.0 + CORRECTION * credit, LEAST_AIM), MOST_AIM)

    def _scores(self) -> Floats:
        reference = self.worker_s[self.chosen] if self.chosen >= 0 else np.median(self.worker_s)
        late = self.late + CAUTION * np.sqrt(self._late_squares) + 0.5
        missed = np.maximum(late / (self.calls + LEAST_CALLS) - self.aim(), 0.0) / self._aim
        scores: Floats = self.worker_s + reference * missed
        return scores

    def _fade(self, before: float, at: float) -> float:
        return ((before - self._since) / (at - self._since)) ** RECENCY if at > self._since else 1.0
