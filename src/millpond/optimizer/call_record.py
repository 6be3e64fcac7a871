"""The calls that came, each with its service time once that is known: what the rules are rehearsed on.

It hands out in order what can be rehearsed, and tells how many calls there were at once on average. Calls are counted
as if none waited: a queue before workers that start is no load to start more for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from millpond.optimizer.observation import Observation

Floats = NDArray[np.float64]

UNKNOWN = np.nan
LONGEST_S, LONGEST_CALLS = 60.0, 10.0  # what takes longer, in seconds and in mean service times, is not waited for


class CallRecord:
    """One pool's calls of late. Keeps those of the last `kept_s` seconds and those that were not handed out."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._came: Floats = np.empty(0)  # ascending
        self._took: Floats = np.empty(0)  # service seconds of each, or unknown
        self._given = 0  # how many of them were handed out

    def note(self, seen: Observation) -> None:
        """What came and ended since the last observation."""
        self._forget(seen.now)
        if len(seen.arrivals):
            self._came = np.concatenate([self._came, seen.arrivals])
            self._took = np.concatenate([self._took, np.full(len(seen.arrivals), UNKNOWN)])
        if len(seen.ended):
            self._note_ended(seen.ended)

    def _note_ended(self, ended: Floats) -> None:
        """Those that came at the same time are alike: the service time goes to the first that has none."""
        for at, came, took in zip(
            np.searchsorted(self._came, ended[:, 0]).tolist(), ended[:, 0].tolist(), ended[:, 1].tolist(), strict=True
        ):
            place = at
            while place < len(self._came) and self._came[place] == came:
                if np.isnan(self._took[place]):
                    self._took[place] = took
                    break
                place += 1

    def known(self, now: float, service_s: float) -> tuple[Floats, Floats]:
        """Arrival and service seconds of the next calls, in order, up to the first whose service is not known yet.

        A call that takes very long, or was refused and never ends, is taken to last as long as others.
        """
        came, took = self._came[self._given :], self._took[self._given :]
        patience_s = max(LONGEST_S, LONGEST_CALLS * service_s)
        is_known = ~np.isnan(took) | (came < now - patience_s)
        count = len(came) if is_known.all() else int(is_known.argmin())
        self._given += count
        return came[:count], np.where(np.isnan(took[:count]), service_s, took[:count])

    @property
    def next_at(self) -> float:
        """When the first call came that was not handed out; infinite if all were."""
        return float(self._came[self._given]) if self._given < len(self._came) else np.inf

    def means(self, seen: Observation, since: float, windows_s: tuple[float, ...]) -> Floats:
        """How many calls there were at once on average in each window until now, or since `since` if that is later."""
        until = np.minimum(self._came + self._taken_to_last(seen), seen.now)
        means = np.zeros(len(windows_s))
        for row, window_s in enumerate(windows_s):
            begin = max(seen.now - window_s, since)
            if begin < seen.now:
                means[row] = np.maximum(until - np.maximum(self._came, begin), 0.0).sum() / (seen.now - begin)
        return means

    def _taken_to_last(self, seen: Observation) -> Floats:
        """Of the calls without an end the newest wait, those before them are at work, and what else there is was lost:
        what waits or was lost counts as one that takes as long as others.
        """
        unknown = np.flatnonzero(np.isnan(self._took))
        if not unknown.size:
            return self._took
        took = self._took.copy()
        age_s = seen.now - self._came[unknown]
        at_work = np.arange(len(unknown)) >= len(unknown) - seen.waiting - seen.busy
        at_work[max(0, len(unknown) - seen.waiting) :] = False
        took[unknown] = np.where(at_work, age_s, np.minimum(age_s, seen.service_s))
        return took

    def _forget(self, now: float) -> None:
        """Those that were handed out and are over before what is kept."""
        if not self._given or now - self._came[0] < 1.5 * self._kept_s:
            return
        came, took = self._came[: self._given], self._took[: self._given]
        is_kept = ~(came + np.nan_to_num(took, nan=np.inf) < now - self._kept_s)
        is_kept &= came > now - 10.0 * self._kept_s  # what never ends
        self._came = np.concatenate([came[is_kept], self._came[self._given :]])
        self._took = np.concatenate([took[is_kept], self._took[self._given :]])
        self._given = int(is_kept.sum())
