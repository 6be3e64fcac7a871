"""An operation as the core knows it: how long it takes, how its runs end, and its breaker.

One record an operation of the handler, one for each function given to `run` (at most 64, then one for the rest), and
one for each kind of internal call on sessions. Its service times are a mean and two high quantiles over its last
hundred runs or so (more of short ones), asked for before a call waits, before a waiting call is sent, and before
a deadline is held against the operation's breaker. Decides nothing.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections import deque
from dataclasses import dataclass, field
from operator import mul
from typing import TYPE_CHECKING

from millpond.core.records.breaker import Breaker
from millpond.core.records.counters import Samples

if TYPE_CHECKING:
    from millpond.seams import OperationFacts

UNKNOWN = 1.0  # seconds assumed of an operation never seen: far above the millisecond a window may hold
WEIGHT = 0.2  # of the newest sample in the moving average
OVERHEAD = 1e-5  # seconds a worker spends on a call beside the operation; keeps windows finite
SHORT_S = 2e-4  # of operations that take less, one run in `THINNED` is among the service times: there are thousands
THINNED = 8
FEWEST = 10  # answers below which nothing is said
WINDOW = 99  # runs looked at, at least: as few as leave one beyond the 98th percentile out
RECENT = 49  # the fewest of which the longest is exceeded with a probability of 2 %
PART, LARGEST_PART = 15, 400  # runs that leave the window together
TAKEN = 100  # of a part's runs about so many are looked at, evenly spaced
PART_S = 0.025  # seconds of work in a part, as far as that makes it no larger than the largest
LIMIT_SHARE, USUAL_SHARE = 0.02, 0.05  # of the runs that take longer
WAY_S = 0.001  # seconds from the order to send a call until its operation begins, at most as a rule


@dataclass(frozen=True, slots=True)
class _Part:
    """Runs in a row: how many were answered and their seconds, the longest of them, and those cut off when too long."""

    answers: int
    seconds: float
    squares: float
    longest: list[float]
    missed: list[float]

    @property
    def runs(self) -> int:
        return self.answers + len(self.missed)


@dataclass(slots=True, eq=False, repr=False)
class ServiceTimes:
    """One operation's. `mean_s` and `limit_s` are 0 until there are 10 answers, and so is `usual_s`.

    `limit_s` is what a call must have left to be begun: the 98th percentile, and a little for the way. `usual_s` is the
    95th. Both are order statistics: of n runs that are exchangeable the next one exceeds the k-th largest with
    probability k / (n + 1) whatever their distribution (David and Nagaraja, Order Statistics, 3rd edition, 2.2 and
    7.3), so that k is the largest with k / (n + 1) <= 0.02, or 0.05. A window rather than a decaying estimate (P2,
    stochastic approximation): after a slow spell it is forgotten within some 60 answers, where a decay of the same
    precision takes several hundred. A run is an append; a part is sorted when it is full, in microseconds.

    A run cut off by its deadline took at least as long as it ran. If that is beyond `limit_s` it counts so: without it
    the limit would be that of the runs that happened to be in time, and sink. One cut off sooner says nothing.
    """

    answers: int = 0  # since the first, those of `newest` not counted
    mean_s: float = 0.0
    variance: float = 0.0
    limit_s: float = 0.0
    usual_s: float = 0.0
    upper_s: float = math.inf  # `limit_s` without the way
    alarm_s: float = math.inf  # an answer beyond it is counted in at once, not when the part is full
    # Answers since the last part; in a list each would keep a float alive
    newest: array[float] = field(default_factory=lambda: array("d"))
    doubted: tuple[float, float] | None = None  # the last refusal: when, and until when it is looked back at
    _missed: list[float] = field(default_factory=list)
    _parts: deque[_Part] = field(default_factory=deque)
    _runs: int = 0
    size: int = FEWEST  # answers that make the next part

    def answered(self, seconds: float) -> None:
        """A run came to its end by itself."""
        newest = self.newest
        newest.append(seconds)
        if seconds > self.alarm_s or len(newest) >= self.size:
            self.fold()

    def cut_off(self, seconds: float) -> None:
        """A run was given up at its deadline, so long after it began."""
        if seconds > self.upper_s:
            self._missed.append(seconds)
            self.fold()

    def fold(self) -> None:
        """Close the newest part, forget the oldest as far as the others suffice, and look anew."""
        stride = max(1, len(self.newest) // TAKEN)
        newest, missed = (
            sorted(self.newest[::-stride], reverse=True),
            self._missed,
        )  # with the last: it may be the cause
        kept = int(USUAL_SHARE * len(newest)) + 3
        seconds = newest + missed
        part = _Part(len(newest), sum(seconds), sum(map(mul, seconds, seconds)), newest[:kept], missed)
        self.newest, self._missed = array("d"), []
        self.answers += part.answers
        self._parts.append(part)
        self._runs += part.runs
        while self._runs - self._parts[0].runs >= max(WINDOW, 4 * min(self.size, TAKEN)):
            self._runs -= self._parts.popleft().runs
        self._forget_slower()
        if self.answers >= FEWEST:
            self._look()

    def _forget_slower(self) -> None:
        """After a slow spell: forget what is older than the newest runs, if these are enough and all far shorter."""
        runs = parts = 0
        for part in reversed(self._parts):
            if max(part.longest[:1] + part.missed, default=0.0) > self.upper_s / 2:
                return
            runs += part.runs
            parts += 1
            if runs >= RECENT:
                break
        else:
            return
        while len(self._parts) > parts:
            self._runs -= self._parts.popleft().runs

    def _look(self) -> None:
        parts = self._parts
        self.mean_s = sum(part.seconds for part in parts) / self._runs
        self.variance = max(0.0, sum(part.squares for part in parts) / self._runs - self.mean_s**2)
        longest = sorted(itertools.chain.from_iterable(part.longest for part in parts), reverse=True)
        self.usual_s = _exceeded(longest, sum(part.answers for part in parts), USUAL_SHARE)
        missed = [seconds for part in parts for seconds in part.missed]
        if missed:
            longest = sorted(longest + missed, reverse=True)
        self.upper_s = _exceeded(longest, self._runs, LIMIT_SHARE)
        self.limit_s = self.upper_s + WAY_S
        self.size = min(max(PART, int(PART_S / max(self.mean_s, 1e-9))), LARGEST_PART)
        self.alarm_s = self.upper_s if self.size == PART else max(self.upper_s, PART_S)


def _exceeded(longest: list[float], runs: int, share: float) -> float:
    """The value that the next run exceeds with a probability of `share` at most, if the largest of so many are these.

    Fewer runs than 1 / share cannot tell: the largest of all.
    """
    if not longest:
        return 0.0
    return longest[min(max(1, int(share * (runs + 1))), len(longest)) - 1]


@dataclass(slots=True, eq=False)
class Operation:
    """One operation: `number` on the wire, `expected` seconds a call (a moving average).

    `ended` counts runs: answers, deaths and deadlines that passed while running. Calls that never began, and those
    their callers gave up, say nothing about the operation and are not in it.
    """

    name: str
    number: int
    facts: OperationFacts | None
    breaker: Breaker
    is_entered: bool = True  # among those the machine keeps; a function's not before its first call
    expected: float = UNKNOWN
    ended: int = 0
    service: ServiceTimes = field(default_factory=ServiceTimes)
    samples: Samples = field(default_factory=Samples)
    is_stream: bool = field(init=False)
    session_required: bool = field(init=False)

    def __post_init__(self) -> None:
        self.learn_facts(self.facts)

    def learn_facts(self, facts: OperationFacts | None) -> None:
        """What the handler's code says of it now."""
        self.facts = facts
        self.is_stream = facts is not None and facts.kind in ("stream", "async_stream")
        self.session_required = facts is not None and facts.session and not facts.session_optional

    def learn(self, seconds: float) -> None:
        """Take one more measured duration into the moving average, and among the service times."""
        expected = self.expected
        if expected > SHORT_S or not self.ended % THINNED:
            self.service.answered(seconds)
        if expected == UNKNOWN:
            self.expected = seconds + OVERHEAD
        else:
            self.expected = expected + (seconds + OVERHEAD - expected) * WEIGHT

    def __repr__(self) -> str:
        return f"<Operation {self.name}, {self.expected * 1e3:.3f} ms, breaker {self.breaker.state}>"
