"""How many workers: wanted, asked for, alive; when to grow for a backlog, and how fast to start again after failures.

Pure arithmetic on values; the fleet carries it out. Whoever wants another size (a person, an optimizer) goes through
`Sizing.want`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.core.records.timing import backoff

if TYPE_CHECKING:
    from millpond.settings import Settings

EARLY = 1.0  # seconds of being ready within which a death without an answer counts as a failed start
SHORTEST_START = 0.05  # seconds; a backlog that drains sooner is not worth a worker
GROW_AFTER = 0.05  # seconds a call may wait before growth is considered


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRule:
    """How many workers a load is worth: one function of numbers and its few parameters, which an optimizer chooses.

    Workers start up to what is needed and the spares, or the floor if that is more. The one that was idle longest stops
    when it was idle longer than the timeout of its level and more are ready than that.
    """

    floor: int = 0  # workers kept whatever the load
    ceiling: int = 1024  # workers at most, whatever the load
    spares: int = 0  # workers beyond what the load needs
    idle_timeouts: tuple[float, ...] = (60.0,)  # seconds; [j - 1] is the j-th ready worker's, the last that of the rest
    patience_s: float = 0.0  # how old a waiting call may grow before a worker is started for it
    drain_s: float = 0.0  # a backlog is worth as many workers as drain it in that time; 0: one a call

    def needed(self, busy: int, waiting: int, overdue: int, service_s: float) -> int:
        """Workers that the load needs: those at work, and those worth starting for the calls that wait.

        `overdue` of the waiting calls are older than `patience_s`; a call takes `service_s` seconds on average.
        """
        if not waiting:
            return busy
        wanted = busy + overdue
        if self.drain_s:
            wanted = min(wanted, math.ceil(waiting * service_s / self.drain_s))
        return max(busy, wanted)

    def target(self, needed: int) -> int:
        """Workers to be there or on their way when the load needs so many."""
        return min(max(needed + self.spares, self.floor), self.ceiling)

    def timeout(self, level: int) -> float:
        """Seconds after which an idle worker stops while so many are ready."""
        timeouts = self.idle_timeouts
        return timeouts[min(level, len(timeouts)) - 1]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits and who is there to serve it: all waiting work in seconds, and how long the oldest call has waited.

    `spares` could serve at once.
    """

    calls: int
    expected_s: float
    waited_s: float
    serving: int
    starting: int
    concurrency: int
    spares: int = 0


@dataclass(slots=True)
class TurnedAway:
    """Calls refused because others would have kept them waiting, as if they waited until their deadlines.

    Without them a pool that refuses would look as if it had no more to do than what it lets in.
    """

    calls: int = 0
    expected_s: float = 0.0
    since: float = 0.0
    until: float = 0.0  # the last of their deadlines

    def add(self, expected_s: float, deadline: float, now: float) -> None:
        """One more."""
        self.forget_old(now)
        if not self.calls:
            self.since = now
        self.calls += 1
        self.expected_s += expected_s
        self.until = max(self.until, deadline)

    def forget_old(self, now: float) -> None:
        """All their deadlines have passed: nobody would wait any more."""
        if self.calls and now >= self.until:
            self.clear()

    def clear(self) -> None:
        """They were acted upon."""
        self.calls, self.expected_s, self.until = 0, 0.0, 0.0


@dataclass(slots=True, eq=False, repr=False)
class Sizing:
    """The three numbers' first: `wanted`, kept within bounds; the spares beyond it; and the budget of starts."""

    settings: Settings
    wanted: int = field(init=False)
    fails: int = 0  # starts that failed since the last that did not
    next_start_at: float = 0.0
    start_s: float = 0.0  # how long starting takes, a moving average; 0 while unknown

    def __post_init__(self) -> None:
        self.wanted = self.low

    @property
    def low(self) -> int:
        """The fewest that may be wanted."""
        return self.settings.min_workers

    @property
    def high(self) -> int:
        """The most that may be wanted."""
        return self.settings.max_workers

    @property
    def spares(self) -> int:
        """Workers to be kept warm beyond those that serve."""
        return self.settings.spare_workers

    @property
    def most(self) -> int:
        """How many may be alive."""
        return self.high + self.spares

    def want(self, workers: int) -> int:
        """Set the wanted number, within bounds, and return it."""
        self.wanted = min(max(workers, self.low), self.high)
        return self.wanted

    def short(self, serving: int) -> int:
        """How many more should serve."""
        return max(0, self.wanted - serving)

    def behind(self, serving: int) -> int:
        """How many should be there or on their way beyond those that serve."""
        return self.short(serving) + self.spares

    def grow_for(self, backlog: Backlog) -> int:
        """How many more workers the backlog is worth: none if it drains before a worker could start.

        The policy of not starting workers for a backlog that drains first is the largest single saving known for
        short cold starts. A call that has waited as long as a start takes belies it: whoever serves is stuck. A spare
        need not be waited for.
        """
        worth = self._worth(backlog, max(self.start_s, SHORTEST_START))
        return max(worth, min(self._worth(backlog, SHORTEST_START), backlog.spares))

    def _worth(self, backlog: Backlog, start_s: float) -> int:
        """As many workers as the work is starts of so many seconds, if it does not drain within one."""
        slots = backlog.serving * backlog.concurrency
        if slots and backlog.expected_s / slots <= start_s and backlog.waited_s <= start_s:
            return 0
        by_work = math.ceil(min(backlog.expected_s / start_s, backlog.calls))
        by_calls = math.ceil(backlog.calls / backlog.concurrency)
        return max(0, min(by_work, by_calls) - backlog.starting)

    def allowed(self, missing: int, starting: int, now: float) -> int:
        """How many starts may begin now: all that are missing, or one at a time while starts fail."""
        if not self.fails:
            return missing
        return 1 if not starting and now >= self.next_start_at and missing else 0

    def start_failed(self, now: float, chance: float, is_one_more: bool = True) -> float:
        """Note a failed start; returns when the next may begin. One of a batch that failed already is not one more."""
        self.fails += is_one_more or not self.fails
        s = self.settings
        self.next_start_at = now + backoff(s.restart_backoff, self.fails, chance, s.restart_backoff_max)
        return self.next_start_at

    def start_succeeded(self, seconds: float) -> None:
        """Learn how long a start takes."""
        self.start_s = seconds if not self.start_s else self.start_s + 0.3 * (seconds - self.start_s)

    def proved_well(self) -> None:
        """A worker answered, or lived long enough: starts are not failing any more."""
        self.fails = 0
