"""How much the pool gets done: arrivals against completions, and where more calls at once do not help any more.

The universal scalability law (Gunther, Guerrilla Capacity Planning, 2007) says what N calls at once get done:
X(N) = g N / (1 + a (N - 1) + b N (N - 1)), with a for what they queue for and b for what they coordinate. N / X is
linear in 1, N - 1 and N (N - 1), so that least squares fit it; the knee is at sqrt((1 - a) / b).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.analysis.series import Series
from millpond.optimizer.load_history import Columns, LoadHistory

RECENT_S = 300.0
LEAST_LEVELS = 5  # numbers of calls at once that have to have been seen
WORTH = 0.9  # of the error that has to be left for another term to be worth it
PRECISION = 0.003  # relative; what fits better is exact
LEAST_FIT = 0.5  # share of the spread of N / X that the law has to explain


def find_throughput(history: LoadHistory) -> Iterator[Finding]:
    """The findings `throughput` and `knee`."""
    fine = history.fine()
    if not len(fine) or history.last is None:
        return
    yield balance(fine.since(history.last.now - RECENT_S) if len(fine) > 1 else fine)
    if found := knee(fine):
        yield found


def balance(recent: Columns) -> Finding:
    """Whether as many calls ended as came, and whether every ready worker is at work."""
    seconds = max(float(recent["elapsed_s"].sum()), 1e-9)
    came, done = float(recent["arrivals"].sum()) / seconds, float(recent["ended"].sum()) / seconds
    served = np.minimum(recent.rate("in_system_s"), recent["ready"])
    full = float(np.mean(served >= 0.95 * np.maximum(recent["ready"], 1.0))) if len(recent) else 0.0
    numbers = {"arrivals_a_second": came, "completions_a_second": done, "saturated_share": full}
    sentence = f"{came:.2f} calls a second came and {done:.2f} ended"
    if full > 0.5:
        sentence += f"; every ready worker was at work in {full:.0%} of the looks"
    return Finding("throughput", sentence + ".", numbers, min(1.0, (came + done) * seconds / 40))


def knee(fine: Columns) -> Finding | None:
    """How many calls at once get most done; beyond it another worker slows the others down by more than it does."""
    at_once, done = _levels(fine)
    if len(at_once) < LEAST_LEVELS or at_once[-1] < 1.5 * at_once[0]:
        return None
    gain, queueing, coordination, fit = fit_scalability(at_once, done)
    if fit < LEAST_FIT or gain <= 0:
        return None
    numbers = {"calls_a_second_of_one": gain, "queueing": queueing, "coordination": coordination, "fit": fit}
    if coordination < 1e-9:
        if queueing < 0.02:
            return Finding("knee", "Throughput grows with the calls at once, as far as was seen.", numbers, fit)
        limit = gain / queueing
        numbers["limit_a_second"] = limit
        return Finding("knee", f"Throughput nears {limit:.1f} calls a second, however many workers.", numbers, fit)
    numbers["knee"] = at = math.sqrt(max(1.0 - queueing, 0.0) / coordination)
    numbers["limit_a_second"] = scalability(at, gain, queueing, coordination)
    reached = "" if at <= at_once[-1] else ", more than was seen yet"
    sentence = f"Throughput is highest with {at:.1f} calls at once{reached}."
    return Finding("knee", sentence, numbers, fit * min(1.0, float(at_once[-1]) / at))


def scalability(at_once: float, gain: float, queueing: float, coordination: float) -> float:
    """Calls a second by the law."""
    return gain * at_once / (1.0 + queueing * (at_once - 1.0) + coordination * at_once * (at_once - 1.0))


def _levels(fine: Columns) -> tuple[Series, Series]:
    """Mean calls at work and completions a second of the looks, averaged over those with about as many at work."""
    busy = np.minimum(fine.rate("in_system_s"), np.maximum(fine["ready"], 1e-9))
    done = fine.rate("ended")
    used = (fine["ended"] >= 5) & (busy > 0.5)
    busy, done = busy[used], done[used]
    if not len(busy):
        return busy, done
    steps = np.round(np.log(busy) / math.log(1.15)).astype(int)
    _, where, counts = np.unique(steps, return_inverse=True, return_counts=True)
    mean_busy: Series = np.bincount(where, busy) / counts
    mean_done: Series = np.bincount(where, done) / counts
    return mean_busy, mean_done


def fit_scalability(at_once: Series, done: Series) -> tuple[float, float, float, float]:
    """Gain, queueing and coordination of the law by least squares, neither of them below 0, and the share explained."""
    inverse = at_once / np.maximum(done, 1e-12)
    # Relative errors of `done` are alike: a residual counts by its share of N / X.
    terms = np.stack([np.ones_like(at_once), at_once - 1.0, at_once * (at_once - 1.0)], axis=1) / inverse[:, None]
    best: tuple[float, Series] | None = None
    exact = PRECISION**2 * len(at_once)
    for kept in ((0,), (0, 1), (0, 2), (0, 1, 2)):  # a term that explains little is left out
        solution, *_ = np.linalg.lstsq(terms[:, kept], np.ones(len(at_once)), rcond=None)
        if (solution < 0).any() or solution[0] <= 0:
            continue
        weights = np.zeros(3)
        weights[list(kept)] = solution
        error = float(np.square(terms @ weights - 1.0).sum())
        if best is None or error + exact < WORTH * (best[0] + exact):
            best = error, weights
    if best is None:
        return 0.0, 0.0, 0.0, 0.0
    error, weights = best
    gain = 1.0 / float(weights[0])
    fitted = np.array([scalability(n, gain, *(weights[1:] * gain)) for n in at_once])
    spread = float(np.square(done - done.mean()).sum())
    explained = 1.0 - float(np.square(done - fitted).sum()) / spread if spread else 0.0
    return gain, float(weights[1]) * gain, float(weights[2]) * gain, max(0.0, explained)
