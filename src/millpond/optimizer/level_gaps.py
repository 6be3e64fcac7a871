"""How long the pool does without its j-th worker: what a worker of each level would idle for, and how often it is
missed.

The worker that was used last serves first, so the j-th is idle just while fewer than j calls are in the pool: from the
end that leaves fewer to the arrival that makes them j again. Each such gap goes into the histogram of its level, in
which the old fades; from them follows what any idle timeout would have cost. Numbers only; `learned_timeouts` chooses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIMEOUTS_S: Floats = np.concatenate([[0.0], np.geomspace(0.004, 600.0, 51)])
FADE_S, FADE_CALLS = 3_600.0, 2_000.0  # to a share of 1/e, on whichever is the slower
MOST_LEVELS = 256  # the levels above are taken as the last


class LevelGaps:
    """The gaps of each level, weighted by how lately they ended; row j - 1 is level j. Infinite numbers: none fades."""

    def __init__(self, timeouts_s: Floats = TIMEOUTS_S, fade_s: float = FADE_S, fade_calls: float = FADE_CALLS) -> None:
        self._timeouts_s, self._fade_s, self._fade_calls = timeouts_s, fade_s, fade_calls
        self._counts = np.zeros((8, len(timeouts_s) + 1))  # (levels, gap up to that timeout): the last are longer
        self._seconds = np.zeros_like(self._counts)  # of those gaps, added up
        self._empty_since = np.full(8, np.nan)  # level -> when it became empty; none while it is not, or never was
        self._in_pool = 0
        self._noted_at: float | None = None
        self.calls = 0.0  # weight of the calls that came
        self.busy_s = 0.0  # of those that ended
        self.elapsed_s = 0.0

    def note(self, now: float, arrivals: Floats, left: Floats, busy_s: float, in_pool_s: float | None = None) -> None:
        """The times at which calls came and left since the last note, and how long those that left were at work.

        `in_pool_s` is how long all calls were in the pool since then, added up: by it calls are missed that left, or
        came, without being told.
        """
        before = now if self._noted_at is None else self._noted_at
        self._fade(now - before, len(arrivals))
        self.calls += len(arrivals)
        self.busy_s += busy_s
        self.elapsed_s += now - before
        self._noted_at = now
        if in_pool_s is not None and now > before:
            known_s = self._in_pool * (now - before) + (now - arrivals).sum() - (now - left).sum()
            untold = round((known_s - in_pool_s) / (now - before))
            left = np.append(left, np.full(max(0, untold), now))
            arrivals = np.append(arrivals, np.full(max(0, -untold), now))
        if not len(arrivals) + len(left):
            return
        # An end before an arrival at the same time: that worker is free for it.
        ends = np.sort(left)
        times = np.concatenate([ends, arrivals])
        steps = np.concatenate([np.full(len(ends), -1), np.ones(len(arrivals), int)])
        order = np.argsort(times, kind="stable")
        times, steps = times[order], steps[order]
        in_pool = self._in_pool + np.cumsum(steps)
        self._in_pool = max(0, int(in_pool[-1]))
        levels = np.clip(np.where(steps > 0, in_pool, in_pool + 1), 1, MOST_LEVELS) - 1
        self._grow(int(levels.max()) + 1)
        order = np.argsort(levels, kind="stable")
        self._note_crossings(levels[order], times[order], steps[order] > 0)

    def _note_crossings(self, levels: NDArray[np.int64], times: Floats, is_filled: NDArray[np.bool_]) -> None:
        """Sorted by level, then time. A level becomes empty and is filled in turn."""
        is_first = np.diff(levels, prepend=-1) > 0
        is_last = np.diff(levels, append=MOST_LEVELS) > 0
        emptied_at = np.roll(np.where(is_filled, np.nan, times), 1)
        emptied_at[is_first] = self._empty_since[levels[is_first]]
        gaps = times - emptied_at
        is_gap = is_filled & (gaps >= 0)
        width = len(self._timeouts_s) + 1
        cells = levels[is_gap] * width + np.searchsorted(self._timeouts_s, gaps[is_gap])
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._counts.shape)
        self._seconds += np.bincount(cells, gaps[is_gap], self._counts.size).reshape(self._counts.shape)
        self._empty_since[levels[is_last]] = np.where(is_filled[is_last], np.nan, times[is_last])

    def costs(self, now: float) -> tuple[Floats, Floats]:
        """(levels, timeouts) each: the seconds that a worker of the level would idle with a timeout, and how often one
        would be missed. A gap in progress counts as far as it has come.
        """
        within = np.cumsum(self._counts, axis=1)[:, :-1]
        missed = self._counts.sum(axis=1, keepdims=True) - within
        idle_s = np.cumsum(self._seconds, axis=1)[:, :-1] + missed * self._timeouts_s
        age_s = np.nan_to_num(now - self._empty_since)[:, None]
        return idle_s + np.minimum(age_s, self._timeouts_s), missed + (age_s > self._timeouts_s)

    def seen(self) -> Floats:
        """(levels,): the weight of the gaps that ended."""
        found: Floats = self._counts.sum(axis=1)
        return found

    def _fade(self, elapsed_s: float, calls: int) -> None:
        left = max(np.exp(-elapsed_s / self._fade_s), np.exp(-calls / self._fade_calls))
        self._counts *= left
        self._seconds *= left
        self.calls *= left
        self.busy_s *= left
        self.elapsed_s *= left

    def _grow(self, levels: int) -> None:
        more = levels - len(self._counts)
        if more > 0:
            self._counts = np.pad(self._counts, ((0, more), (0, 0)))
            self._seconds = np.pad(self._seconds, ((0, more), (0, 0)))
            self._empty_since = np.pad(self._empty_since, (0, more), constant_values=np.nan)
