"""Whether the collector still makes histograms: it leaves them out before it costs the pool too much.

Counters and gauges are always kept. Histograms come back once folds have been cheap for five minutes.
"""

from __future__ import annotations

FULL, COUNTERS_ONLY = "full", "counters only"

TOO_MUCH = 0.05  # of a core
CHEAP = 0.01
WEIGHT = 0.2  # of the newest fold in the moving average
QUIET_FOLDS = 300  # cheap folds in a row before histograms come back
MOST_BYTES = 48 * 1024 * 1024


class Shedder:
    """Decides from what folds cost; `detail` is `FULL` or `COUNTERS_ONLY`."""

    __slots__ = ("_quiet", "_share", "detail")

    def __init__(self) -> None:
        self.detail = FULL
        self._share = 0.0  # of a core, moving average
        self._quiet = 0  # folds in a row that were cheap

    def note(self, fold_s: float, elapsed_s: float, memory_bytes: int) -> None:
        """A fold took `fold_s` seconds of the processor, `elapsed_s` after the one before."""
        share = fold_s / elapsed_s if elapsed_s > 0 else 0.0
        self._share += (share - self._share) * WEIGHT
        is_fat = memory_bytes > MOST_BYTES
        self._quiet = self._quiet + 1 if self._share < CHEAP and not is_fat else 0
        if self._share > TOO_MUCH or is_fat:
            self.detail = COUNTERS_ONLY
        elif self._quiet >= QUIET_FOLDS:
            self.detail = FULL
