"""Series of numbers at regular times, and what they have in common: the arithmetic that several findings share.

Series of a load are not independent from one moment to the next, so that two of them look alike by chance far more
often than independent numbers would. The test of a correlation therefore counts the effective number of samples
(Bartlett, Journal of the Royal Statistical Society 98, 1935), and several tests at once are corrected (Holm,
Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from millpond.metrics.snapshot import Trend
from millpond.metrics.trend import judge
from millpond.optimizer.load_history import Columns

Series = NDArray[np.float64]
MEMORY_LAGS = 20  # of a series' own past, as far as its effective length is concerned
TREND_POINTS = 60


def resampled(columns: Columns, name: str, step_s: float) -> Series:
    """A sum of the rows as its rate in even steps of `step_s` seconds (n,), whatever the times of the looks were."""
    ends = columns["at"]
    began = ends[0] - columns["elapsed_s"][0]
    times = np.concatenate(([began], ends))
    total = np.concatenate(([0.0], np.cumsum(columns[name])))
    steps = int((ends[-1] - began) / step_s + 1e-9)
    grid = ends[-1] - step_s * np.arange(steps, -1, -1)
    rates: Series = np.diff(np.interp(grid, times, total)) / step_s
    return rates


def trend(times: Series, values: Series) -> Trend:
    """The slope (per second) and how sure it is, of at most sixty means of neighbours."""
    groups = min(len(values), TREND_POINTS)
    if not groups:
        return Trend()
    pairs = zip(np.array_split(times, groups), np.array_split(values, groups), strict=True)
    return judge(deque((float(at.mean()), float(value.mean())) for at, value in pairs))


def autocorrelation(values: Series, lags: int) -> Series:
    """Correlation with the own past at lags 0 to `lags` (lags + 1,); zeros for a constant."""
    centred = values - values.mean()
    power = float(centred @ centred)
    # A range of floats whose spread is rounding only is a constant.
    if power <= 1e-18 * float(values @ values):
        return np.zeros(lags + 1)
    spectrum = np.fft.rfft(centred, 1 << (2 * len(values) - 1).bit_length())
    found: Series = np.fft.irfft(np.abs(spectrum) ** 2)[: lags + 1] / power
    return found


def effective_length(one: Series, other: Series) -> float:
    """As many independent samples as say as much about the correlation of two series."""
    lags = min(MEMORY_LAGS, len(one) // 4)
    shared = (autocorrelation(one, lags) * autocorrelation(other, lags))[1:]
    weights = 1.0 - np.arange(1, lags + 1) / len(one)
    return float(len(one) / max(1.0, 1.0 + 2.0 * float(shared @ weights)))


def ranks(values: Series) -> Series:
    """Each value's place in the order, ties sharing theirs: what is far out counts no more than what is first."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    places: Series = (np.cumsum(counts) - (counts + 1) / 2)[where]
    return places


def correlations(one: Series, other: Series, lags: Iterable[int]) -> list[tuple[float, float]]:
    """Spearman's correlation of a series with what the other is so many lags later, and its two-sided p-value.

    The p-values are by Fisher's z of the effective length.
    """
    one, other = ranks(one), ranks(other)
    lost = len(one) - effective_length(one, other) if one.any() and other.any() else 0.0
    return [_correlation(one[: len(one) - lag], other[lag:], len(one) - lag - lost) for lag in lags]


def _correlation(one: Series, other: Series, samples: float) -> tuple[float, float]:
    one, other = one - one.mean(), other - other.mean()
    spread = math.sqrt(float(one @ one) * float(other @ other))
    if not spread or samples <= 4:
        return 0.0, 1.0
    r = float(one @ other) / spread
    z = abs(math.atanh(max(min(r, 1 - 1e-12), -1 + 1e-12))) * math.sqrt((samples - 3) / 1.06)
    return r, math.erfc(z / math.sqrt(2))


def corrected(p_values: Sequence[float]) -> list[float]:
    """The p-values of tests made together, each as if it were the only one (Holm)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found, worst = [1.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - place)))
        found[index] = worst
    return found
