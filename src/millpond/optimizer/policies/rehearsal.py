"""The policy `rehearsal`: rules are tried on the calls that came, and the cheapest that keeps the objective is used.

How much may be left to a start decides: where a worker starts well within what a call may wait `short_starts` proposes,
else `long_starts`, which rehearses a few dozen rules in shadow pools.
"""

from __future__ import annotations

from typing import ClassVar

from millpond.optimizer.experts import WINDOWS_S
from millpond.optimizer.long_starts import LongStarts
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Mode, Proposal
from millpond.optimizer.short_starts import ShortStarts
from millpond.slo import Slo

INTERVAL_S = 15.0


class Rehearsal:
    """Measures starts and calls, and learns from them; nothing need be set but the objective."""

    name: ClassVar[str] = "rehearsal"
    quiet_s = 2.0 * max(WINDOWS_S) + INTERVAL_S  # after so long without a call nothing changes until the next

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int) -> None:
        self.interval_s = INTERVAL_S
        self._slo, self._mode = slo, mode
        self._short = ShortStarts(slo, mode)
        self._long: LongStarts | None = None  # what was rehearsed with long starts is of no use for short ones

    def propose(self, seen: Observation) -> Proposal:
        """The best rule by what was seen until now."""
        self._short.note(seen)
        if self._short.fits(seen):
            self._long = None
            return self._short.propose(seen)
        self._long = self._long or LongStarts(self._slo, self._mode)
        self._long.note(seen)
        return self._long.propose(seen)
