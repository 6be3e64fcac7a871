"""What the collector still does: it gives detail up before it costs the pool too much.

First the histograms of operations go, then all histograms; counters and gauges stay. Detail comes back when a fold has
been cheap for a minute, and after longer each time it had to go again.
"""

from __future__ import annotations

FULL, NO_OPERATIONS, COUNTERS_ONLY = "full", "no operations", "counters only"
LEVELS = (FULL, NO_OPERATIONS, COUNTERS_ONLY)

TOO_MUCH = 0.05  # of a core
CHEAP = 0.01
WEIGHT = 0.2  # of the newest fold in the moving average
SETTLE_FOLDS = 10  # between two steps down
QUIET_FOLDS, QUIET_FOLDS_MOST = 60, 3_600  # cheap folds before a step up
MOST_BYTES = 48 * 1024 * 1024


class Shedder:
    """Decides from what folds cost; `detail` is one of `LEVELS`."""

    __slots__ = ("_level", "_patience", "_quiet", "_share", "_since_step")

    def __init__(self) -> None:
        self._level = 0
        self._share = 0.0  # of a core, moving average
        self._since_step = SETTLE_FOLDS
        self._quiet = 0  # folds in a row that were cheap
        self._patience = QUIET_FOLDS

    @property
    def detail(self) -> str:
        """What is still done."""
        return LEVELS[self._level]

    def note(self, fold_s: float, elapsed_s: float, memory_bytes: int) -> None:
        """A fold took `fold_s` seconds of the processor, `elapsed_s` after the one before."""
        share = fold_s / elapsed_s if elapsed_s > 0 else 0.0
        self._share += (share - self._share) * WEIGHT
        self._since_step += 1
        is_fat = memory_bytes > MOST_BYTES
        self._quiet = self._quiet + 1 if self._share < CHEAP and not is_fat else 0
        if self._is_too_much(is_fat):
            self._step(1)
        elif self._level and self._quiet >= self._patience:
            self._step(-1)

    def _is_too_much(self, is_fat: bool) -> bool:
        """Whether more has to go; what takes memory is gone after the first step."""
        if is_fat and not self._level:
            return True
        is_dear = self._share > TOO_MUCH and self._since_step >= SETTLE_FOLDS
        return is_dear and self._level < len(LEVELS) - 1

    def _step(self, by: int) -> None:
        if by > 0:
            self._patience = min(2 * self._patience, QUIET_FOLDS_MOST)
        self._level += by
        self._since_step = self._quiet = 0
