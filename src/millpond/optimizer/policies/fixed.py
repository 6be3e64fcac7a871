"""The policy `fixed`: as many workers as were set, whatever the load; without that, as many as there may be."""

from __future__ import annotations

from typing import ClassVar

from millpond.core import SizingRule
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Mode, Proposal
from millpond.slo import Slo

INTERVAL_S = 15.0


def fixed_rule(size: int) -> SizingRule:
    """The rule that keeps exactly so many workers."""
    return SizingRule(floor=size, ceiling=size)


def size_in_force(seen: Observation) -> int:
    """The size that was set; where none was, the workers that are there or on their way."""
    rule = seen.rule
    return rule.floor if rule.floor == rule.ceiling else seen.ready + seen.starting


class Fixed:
    """Keeps the size. `scale_up` and `scale_down` set another."""

    name: ClassVar[str] = "fixed"

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int) -> None:
        self.interval_s = INTERVAL_S

    def propose(self, seen: Observation) -> Proposal:
        """The size in force, within bounds; where none was set, `max_workers`."""
        rule = seen.rule
        wanted = rule.floor if rule.floor == rule.ceiling else seen.high
        size = min(max(wanted, seen.low), seen.high)
        return Proposal(fixed_rule(size), f"The size is fixed at {size}.")
