"""Whether something grows: a slope that outliers cannot bend, and how sure it is.

The slope is Theil and Sen's: the median of the slopes between all pairs of samples (Sen, Journal of the American
Statistical Association 63, 1968). The confidence is that of the Mann-Kendall test, corrected for ties (Mann,
Econometrica 13, 1945; Kendall, Rank Correlation Methods, 1975): 0 for a coin's toss, 1 for a line.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from millpond.metrics.snapshot import Trend

SAMPLES = 60  # kept: all pairs of them are compared
ENOUGH = 8  # samples below which there is no trend
SPACING_S = 10.0  # between samples at first; doubles when the samples are full and every second one is dropped
LONGEST_S = 120.0  # spacing at most, so that a trend looks back two hours at most
SURE = 0.95
NO_TREND = Trend()


class TrendWatch:
    """Samples of one series, spread over its life or the last two hours."""

    __slots__ = ("_samples", "_spacing_s", "trend")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._spacing_s = SPACING_S
        self.trend = NO_TREND

    def note(self, now: float, value: float) -> None:
        """Take a sample, if it is time for one, and judge anew."""
        if self._samples and now < self._samples[-1][0] + self._spacing_s:
            return
        if len(self._samples) == SAMPLES and self._spacing_s < LONGEST_S:
            self._samples = deque(list(self._samples)[1::2], maxlen=SAMPLES)
            self._spacing_s = min(2 * self._spacing_s, LONGEST_S)
        self._samples.append((now, value))
        self.trend = judge(self._samples)


def judge(samples: deque[tuple[float, float]]) -> Trend:
    """The trend of some samples of time and value; none of fewer than eight."""
    if len(samples) < ENOUGH:
        return NO_TREND
    times, values = np.array(samples).T
    earlier, later = np.triu_indices(len(samples), 1)
    rises = values[later] - values[earlier]
    slope = float(np.median(rises / (times[later] - times[earlier])))
    return Trend(slope, _confidence(float(np.sign(rises).sum()), values), float(times[-1] - times[0]))


def _confidence(score: float, values: np.ndarray) -> float:
    """That the order of the values is no chance: 1 less the two-sided p of the Mann-Kendall score."""
    n = len(values)
    ties = np.unique(values, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - float(np.sum(ties * (ties - 1) * (2 * ties + 5)))) / 18
    if variance <= 0 or abs(score) <= 1:
        return 0.0
    return math.erf((abs(score) - 1) / math.sqrt(2 * variance))
