"""Pools that exist as numbers only: many sizing rules rehearsed at once on the calls that really came.

The array form of the core's sizing rule: a column a rule, a row a worker. Each call costs about two dozen array
operations for all rules together; nothing is done while nothing happens. A test holds the arithmetic to `SizingRule`,
and the whole to the simulator within 2 % of worker-seconds. What it leaves out: a call that waits is given the worker
that is free next when it comes, and keeps it if another starts meanwhile; idle timeouts must not grow with the level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

REMEMBERED = 128  # calls of which it is known when they began: no more can be seen to wait
LEAST_WIDTH = 8
SAME = 1e-9  # seconds that do not count


def needed(busy: Counts, waiting: Counts, overdue: Counts, service_s: float, drain_s: Floats) -> Counts:
    """`SizingRule.needed` for arrays; `drain_s` is that of a start where the rule says so."""
    most = busy + overdue
    if not service_s:
        return most
    work = waiting * service_s
    is_few = work < drain_s * most
    few = np.ceil(work / np.where(is_few, drain_s, 1.0)).astype(np.int64)
    found: Counts = np.maximum(busy, np.where(is_few, few, most))
    return found


def _count(are: NDArray[np.bool_]) -> Counts:
    """How many of the rows, in each column."""
    found: Counts = np.add.reduce(are, axis=0, dtype=np.int64)
    return found


class ShadowPools:
    """One shadow pool for each of the rules. Calls, with their service times, and settings come in the order of time.

    `worker_s` and `late` add up what each rule cost and how many calls it let wait for longer than `wait_s`.
    """

    def __init__(
        self,
        spares: Counts,
        drains: NDArray[np.bool_],
        *,
        most: int,
        wait_s: float,
        now: float,
        drain_s: float | None = None,
    ) -> None:
        rules = len(spares)
        self.now = now
        self.most = most  # workers
        self.calls = 0
        self.lived_s = 0.0  # seconds that were not left out
        self.service_s = 0.0  # mean of recent calls
        self.worker_s = np.zeros(rules)
        self.late = np.zeros(rules, np.int64)
        self._spares, self._drains, self._wait_s, self._drains_in_s = spares, drains, wait_s, drain_s
        self.starts_take(0.0)
        self._rules = np.arange(rules)
        self._alive = np.zeros(rules, np.int64)  # workers that are ready or start
        self._floors = np.zeros(rules, np.int64)
        self._given_timeouts = np.full((1, rules), 60.0)
        # Row 0 is infinite. Below it, in descending order: when each worker is free, or ready; -inf: there is none.
        self._grid = np.full((1, rules), np.inf)
        self._widen(min(LEAST_WIDTH, most))
        self._began = np.full((REMEMBERED, rules), -np.inf)  # of the last calls, a ring
        self._came = np.full(REMEMBERED, -np.inf)
        self._last_began = -np.inf  # the latest of them
        self._ready_at = np.full((most, rules), -np.inf)  # of the last starts, a ring
        self._started = np.zeros(rules, np.int64)
        self._last_ready_at = -np.inf

    def starts_take(self, start_s: float) -> None:
        """How long a worker takes to be ready from now on."""
        self._start_s = start_s
        self._drain_s = np.where(self._drains, start_s if self._drains_in_s is None else self._drains_in_s, 0.0)

    def set(self, at: float, floors: Counts, timeouts: Floats) -> None:
        """From now on each rule has this floor and these idle timeouts: `timeouts[j - 1]` those of the j-th worker, the
        last row those of the rest.
        """
        self.advance(at)
        self._floors = np.minimum(floors, self.most)
        if timeouts is not self._given_timeouts:
            self._given_timeouts = timeouts
            self._fit_timeouts()
        missing = self._floors - self._alive
        if missing.max() > 0:
            self._start(np.maximum(missing, 0))

    def advance(self, at: float) -> Counts:
        """Let time pass without a call. Returns how many workers are at work or start then."""
        free = self._grid[1:]
        busy, kept = _count(free > at), _count(free > at - self._timeouts)
        least = np.maximum(busy + self._spares, self._floors + self._starting(at))
        alive = np.minimum(self._alive, np.maximum(kept, least))
        stopped = self._alive - alive
        if stopped.any():
            self._stop(stopped, at)
        elapsed_s = at - self.now
        self.worker_s += alive * elapsed_s
        self.lived_s += elapsed_s
        self._alive, self.now = alive, at
        return busy

    def skip(self, seconds: float) -> None:
        """Leave out so much time: what is under way is under way by as much later."""
        self.now += seconds
        for times in (self._grid, self._began, self._came, self._ready_at):
            times += seconds
        self._last_began += seconds
        self._last_ready_at += seconds

    def calls_came(self, came: Floats, took: Floats) -> None:
        """Some calls, in order."""
        for at, service_s in zip(came.tolist(), took.tolist(), strict=True):
            self.call(at, service_s)

    def call(self, at: float, service_s: float) -> None:
        """A call came and takes so long."""
        busy = self.advance(at)
        idle = self._alive - busy
        if (idle <= self._spares).any():  # a worker is missing where this call and the spares want more than is idle
            busy += self._start_for(busy, idle, at)
        server = np.minimum(busy, self._alive - 1)
        begins = np.maximum(self._grid[server + 1, self._rules], at)
        self.late += begins > at + self._wait_s + SAME
        row = self.calls % REMEMBERED
        self._began[row], self._came[row] = begins, at
        self._last_began = max(self._last_began, float(begins.max()))
        self._insert(begins + service_s, server)
        self.calls += 1
        self.service_s += (service_s - self.service_s) * max(1.0 / self.calls, 0.02)

    def _insert(self, free_at: Floats, server: Counts) -> None:
        """The worker in row `server` is free again at `free_at`: in a descending order, all rows up to it move down."""
        rows = self._grid[1:]
        moved = np.minimum(self._grid[:-1], free_at)
        np.maximum(moved, rows, out=moved)
        np.copyto(rows, moved, where=self._levels <= server)

    def _start_for(self, busy: Counts, idle: Counts, at: float) -> Counts:
        """Start what the rules want with the call that comes now; returns how many. `busy` counts those that start."""
        is_served = idle > 0
        waiting = np.where(is_served, 0, 1)
        drain_s = self._drain_s
        if self._last_began > at and not is_served.all():
            queued = np.flatnonzero(~is_served)
            waiting[queued] += (self._began[:, queued] > at).sum(0)
            came = self._came[(self.calls + 1 - waiting) % REMEMBERED]
            # A call that waits for as long as a start takes belies the estimate of how soon the others are through
            drain_s = np.where((waiting > 1) & (came <= at - self._start_s), 0.0, drain_s)
        working = busy + is_served - self._starting(at)
        wanted = needed(working, waiting, waiting, self.service_s, drain_s) + self._spares
        wanted = np.minimum(np.maximum(np.maximum(wanted, self._floors), 1), self.most)
        missing: Counts = np.maximum(wanted - self._alive, 0)
        if missing.any():
            self._start(missing)
        return missing

    def _starting(self, at: float) -> Counts | int:
        if self._last_ready_at <= at:
            return 0
        return _count(self._ready_at > at)

    def _start(self, missing: Counts) -> None:
        """So many workers more for each rule: they are ready a cold start from now."""
        most = int((self._alive + missing).max())
        if most >= len(self._grid):
            self._widen(most)
        ready_at = self.now + self._start_s
        while (rules := np.flatnonzero(missing > 0)).size:
            self._ready_at[self._started[rules] % self.most, rules] = ready_at
            self._started[rules] += 1
            self._alive[rules] += 1
            missing = missing - 1
            server = np.full(len(missing), -1)
            server[rules] = self._alive[rules] - 1
            self._insert(np.full(len(missing), ready_at), server)
        self._last_ready_at = ready_at

    def _stop(self, stopped: Counts, at: float) -> None:
        """The last of each rule's workers stopped at some time until then."""
        rules = np.flatnonzero(stopped)
        many = stopped[rules]
        rule = np.repeat(rules, many)
        before = np.cumsum(many) - many
        row = self._alive[rule] - (np.arange(len(rule)) - np.repeat(before, many))
        # When its timeout was over and more were idle than the spares; row 0, where they never were, cannot be
        over = self._grid[row, rule] + self._timeouts[row - 1, rule]
        over = np.maximum(over, self._grid[np.maximum(row - self._spares[rule], 1), rule])
        np.add.at(self.worker_s, rule, np.clip(over, self.now, at) - self.now)
        self._grid[row, rule] = -np.inf

    def _widen(self, most: int) -> None:
        """More rows, for more workers."""
        width = min(max(2 * (len(self._grid) - 1), most), self.most)
        grid = np.full((1 + width, len(self._rules)), -np.inf)
        grid[: len(self._grid)] = self._grid
        self._grid, self._levels = grid, np.arange(width)[:, None]
        self._fit_timeouts()

    def _fit_timeouts(self) -> None:
        """A row for each row of workers."""
        row = np.minimum(np.arange(len(self._grid) - 1), len(self._given_timeouts) - 1)
        self._timeouts = self._given_timeouts[row]
