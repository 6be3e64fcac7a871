"""How many workers: wanted, asked for, alive; what a load is worth, and how fast to start again after failures.

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

STEP_IN_S = 0.05  # seconds of work that is worth a worker which stands by
EARLY = 1.0  # seconds of being ready within which a death without an answer counts as a failed start


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRule:
    """How many workers a load is worth: one function of numbers and its few parameters, which an optimizer chooses.

    Workers start up to what is needed and the spares, or the floor if that is more. The one that was idle longest stops
    when it was idle longer than the timeout of its level and more are ready than that.
    """

    floor: int = 0  # workers kept whatever the load
    ceiling: int = 1024  # workers at most, whatever the load; one at least
    spares: int = 0  # workers beyond what the load needs
    idle_timeouts: tuple[float, ...] = (60.0,)  # seconds; [j - 1] is the j-th ready worker's, the last that of the rest
    patience_s: float = 0.0  # how old a waiting call may grow before a worker is started for it
    # A backlog is worth as many workers as drain it in so many seconds; 0: one a call; None: the seconds of a start
    drain_s: float | None = None
    # How long a waiting call stays worth a worker of its own once it is old enough: the seconds of a call, as later the
    # worker that was started for it would be free again. With it only the calls that those at work do not finish within
    # `drain_s` are worth one. 0: for as long as it waits
    window_s: float = 0.0

    def needed(self, busy: int, waiting: int, overdue: int, service_s: float, start_s: float) -> int:
        """Workers that the load needs: those at work, and those worth starting for the calls that wait.

        `overdue` of the waiting calls are as old as `patience_s`, by no more than `window_s`; a call takes `service_s`
        seconds on average, 0 if nobody knows, and the start of a worker `start_s`.
        """
        drain_s = start_s if self.drain_s is None else self.drain_s
        if not drain_s or not service_s:
            return busy + overdue
        if self.window_s:
            return busy + max(0, min(overdue, waiting - int(min(waiting, busy * drain_s / service_s))))
        if waiting * service_s >= drain_s * (busy + overdue):
            return busy + overdue
        return max(busy, math.ceil(waiting * service_s / drain_s))

    def timeout(self, level: int) -> float:
        """Seconds after which an idle worker stops while so many are ready."""
        timeouts = self.idle_timeouts
        return timeouts[min(level, len(timeouts)) - 1]


def first_rule(settings: Settings) -> SizingRule:
    """The rule of a pool for which none was chosen."""
    longest = settings.idle_timeout
    return SizingRule() if longest is None else SizingRule(idle_timeouts=(longest,))


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do, in workers and calls: see `SizingRule.needed`. Infinite seconds a call: nobody can tell."""

    busy: int
    waiting: int
    overdue: int
    service_s: float


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
    rule: SizingRule = field(init=False)
    floor: int = field(init=False)  # of the rule, within the bounds
    ceiling: int = field(init=False)
    wanted: int = field(init=False)
    fails: int = 0  # starts that failed since the last that did not
    next_start_at: float = 0.0
    start_s: float = 0.0  # how long starting takes, a moving average; 0 while unknown

    def __post_init__(self) -> None:
        self.wanted = self.low
        self.go_by(self.settings, first_rule(self.settings))

    def go_by(self, settings: Settings, rule: SizingRule) -> None:
        """Take these settings and this rule; what is wanted is within the new bounds."""
        if rule == first_rule(self.settings):
            rule = first_rule(settings)
        self.settings, self.rule = settings, rule
        self.floor = max(self.low, min(rule.floor, self.high))
        self.ceiling = max(self.floor, min(max(rule.ceiling, 1), self.high))
        self.want(self.wanted)

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
        self.wanted = min(max(workers, self.floor), self.ceiling)
        return self.wanted

    def short(self, serving: int) -> int:
        """How many more should serve."""
        return max(0, self.wanted - serving)

    def behind(self, serving: int) -> int:
        """How many should be there or on their way beyond those that serve."""
        return self.short(serving) + self.spares

    def worth(self, load: Load, standing_by: int = 0) -> int:
        """Workers that are to be there or on their way for this load, within bounds; what stands by need not be waited
        for.
        """
        rule = self.rule
        needed = rule.needed(load.busy, load.waiting, load.overdue, load.service_s, self.start_s)
        if standing_by and load.waiting * load.service_s > STEP_IN_S:
            needed = max(needed, min(load.busy + load.overdue, self.wanted + standing_by))
        return min(max(needed + rule.spares, self.floor), self.ceiling)

    @property
    def belied_after_s(self) -> float:
        """Seconds of waiting after which no estimate keeps a worker from being started; infinite if none does.

        A call that waits longer than the backlog should take to drain, and than a start takes, belies what its
        operation is said to take: whoever serves is stuck. One that waits on purpose may be left to whoever starts when
        it is old enough, and then the backlog drains.
        """
        rule = self.rule
        drain_s = self.start_s if rule.drain_s is None else rule.drain_s
        if not drain_s and not rule.window_s:
            return math.inf
        if rule.patience_s:
            return rule.patience_s + self.start_s + drain_s + rule.window_s
        return max(drain_s, self.start_s) + rule.window_s

    def timeout(self, ready: int) -> float:
        """Seconds after which an idle worker is let go while so many are ready."""
        longest = self.settings.idle_timeout
        learned = self.rule.timeout(ready)
        return learned if longest is None else min(learned, longest)

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
