"""What errors come with: load, latency, memory or the age of workers, at once or some looks later.

Of many pairs of series some look alike by chance. Each correlation is tested by its effective length and corrected for
how many were tried; what remains is a hint, not a proof of a cause.
"""

from __future__ import annotations

from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.analysis.series import Series, corrected, correlations
from millpond.optimizer.load_history import Columns, LoadHistory

LAGS = range(6)  # looks by which errors may come later
LEAST = 40  # looks
LEAST_FAILED = 5.0
CHANCE = 0.01  # of naming a cause that is none, for all tests together


def find_error_cause(history: LoadHistory) -> Finding | None:
    """The finding `error_cause`: the strongest correlation that chance does not explain."""
    fine = history.fine()
    if len(fine) < LEAST or fine["failed"].sum() < LEAST_FAILED:
        return None
    failed = fine["failed"] / _at_least_one(fine["ended"])
    step_s = float(fine["elapsed_s"].mean())
    tried = [
        (name, lag, *found)
        for name, values in causes(fine).items()
        for lag, found in zip(LAGS, correlations(values, failed, LAGS), strict=True)
    ]
    p_values = corrected([p for *_, p in tried])
    sure = [(*one, p) for one, p in zip(tried, p_values, strict=True) if p < CHANCE and one[2] > 0]
    if not sure:
        return None
    name, lag, r, _, p = max(sure, key=lambda one: one[2])
    later = f", {lag * step_s:.0f} s later" if lag else ""
    sentence = f"Errors go with {name}{later} (correlation {r:.2f}); {len(tried)} pairs were tried."
    return Finding("error_cause", sentence, {"correlation": r, "lag_s": lag * step_s, "p": p}, 1.0 - p)


def causes(fine: Columns) -> dict[str, Series]:
    """What errors may come with."""
    return {
        "the load": fine.rate("in_system_s"),
        "the service time": fine["service_sum_s"] / _at_least_one(fine["ended"]),
        "the workers' memory": fine["worker_bytes"],
        "the workers' age": fine["worker_age_s"],
    }


def _at_least_one(counts: Series) -> Series:
    found: Series = counts.clip(1.0)
    return found
