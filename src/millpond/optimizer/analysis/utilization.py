"""How the load uses the workers: its level, its trend, whether it comes again, and how it comes in bursts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.analysis.series import Series, autocorrelation, resampled, trend
from millpond.optimizer.load_history import COARSE_S, Columns, LoadHistory

STEP_S = 15.0
LEAST_STEPS = 24
ROUNDS = 3  # a period has to have come so often
SURE = 0.95


def find_utilization(history: LoadHistory) -> Iterator[Finding]:
    """The findings `utilization`, `trend`, `periodicity` and `burstiness`."""
    fine = history.fine()
    if not len(fine):
        return
    yield level(fine)
    if found := rising(fine):
        yield found
    if found := period(history):
        yield found
    if found := burstiness(fine):
        yield found


def level(fine: Columns) -> Finding:
    """How much of the ready workers' time was used: calls at work on average, over workers."""
    seconds = float(fine["elapsed_s"].sum())
    ready = float((fine["ready"] * fine["elapsed_s"]).sum()) / seconds
    at_work = float(fine["in_system_s"].sum()) / seconds
    share = at_work / ready if ready else 0.0
    sentence = f"{at_work:.2f} calls were at work or waiting on average, for {ready:.1f} ready workers."
    numbers = {"calls": at_work, "ready_workers": ready, "utilization": share}
    return Finding("utilization", sentence, numbers, confidence=min(1.0, len(fine) / LEAST_STEPS))


def rising(fine: Columns) -> Finding | None:
    """Whether the load grows or falls over the hours that are remembered."""
    found = trend(fine["at"], fine.rate("in_system_s"))
    if found.confidence < SURE:
        return None
    an_hour = found.slope * 3600.0
    word = "grows" if an_hour > 0 else "falls"
    numbers = {"calls_an_hour": an_hour, "seconds": found.seconds}
    return Finding("trend", f"The load {word} by {abs(an_hour):.2f} calls at work an hour.", numbers, found.confidence)


def period(history: LoadHistory) -> Finding | None:
    """The strongest recurrence of the load, looked for in the last hours and in the last weeks."""
    found = [_period(history.fine(), STEP_S), _period(history.coarse(), COARSE_S)]
    return max((one for one in found if one), key=lambda one: one.confidence, default=None)


def _period(columns: Columns, step_s: float) -> Finding | None:
    if len(columns) < LEAST_STEPS:
        return None
    values = _without_line(resampled(columns, "in_system_s", step_s))
    lags = len(values) // ROUNDS
    if lags < 3:
        return None
    like = autocorrelation(values, min(2 * lags, len(values) - 1))
    lag = _first_peak(like, lags)
    # White noise has a correlation of 1 / sqrt(n) at any lag; the best of many is larger (Bonferroni's bound).
    bound = math.sqrt(2.0 * math.log(max(2, 20 * lags)) / len(values))
    if not lag or like[lag] < bound or like[min(2 * lag, len(like) - 1)] < bound / 2:
        return None
    seconds, strength = lag * step_s, float(like[lag])
    sentence = f"The load repeats every {_span(seconds)} (correlation {strength:.2f})."
    return Finding("periodicity", sentence, {"period_s": seconds, "correlation": strength}, min(1.0, strength / 0.8))


def _without_line(values: Series) -> Series:
    """What is left without the straight line through the values, which correlates with itself at any lag."""
    at = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(at @ values) / max(float(at @ at), 1e-12)
    left: Series = values - values.mean() - slope * at
    return left if left @ left > 1e-12 * (values @ values) else np.zeros_like(left)


def _first_peak(like: Series, lags: int) -> int:
    """The first lag about as good as the best beyond the first dip below zero; 0 for none. The others are multiples."""
    below = np.flatnonzero(like[: lags + 1] < 0)
    if not len(below):
        return 0
    inner = like[below[0] : lags + 1]
    if not len(inner) or inner.max() <= 0:
        return 0
    near = np.flatnonzero(inner >= 0.85 * inner.max())
    run = near[: 1 + int(np.argmax(np.append(np.diff(near) > 1, True)))]
    return int(below[0] + run[np.argmax(inner[run])])


def burstiness(fine: Columns) -> Finding | None:
    """The variance of the arrivals per step over their mean: 1 for independent arrivals, more for bursts."""
    counts = resampled(fine, "arrivals", STEP_S) * STEP_S if len(fine) >= LEAST_STEPS else np.empty(0)
    if len(counts) < LEAST_STEPS or counts.mean() < 0.2:
        return None
    dispersion = float(counts.var(ddof=1) / counts.mean())
    word = "in bursts" if dispersion > 2 else "evenly" if dispersion < 0.5 else "independently of each other"
    peak = float(counts.max() / counts.mean())
    sentence = f"Calls come {word}: the busiest {STEP_S:.0f} s had {peak:.1f} times the mean."
    numbers = {"dispersion": dispersion, "peak_over_mean": peak}
    return Finding("burstiness", sentence, numbers, min(1.0, len(counts) / 120))


def _span(seconds: float) -> str:
    """A span of time as people say it."""
    for unit, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"
