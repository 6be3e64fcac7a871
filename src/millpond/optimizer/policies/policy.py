"""What a policy must be: it sees an observation and proposes the parameters of the sizing rule, with its reason.

It does no I/O and has no clock; it may remember what it saw. Bounds, steps and pauses are the guard's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from millpond.core import SizingRule
from millpond.optimizer.observation import Observation
from millpond.slo import Slo

Mode = Literal["prompt", "economy"]  # nobody waits on purpose; calls wait within the objective


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that was considered: what it would have cost, in workers on average, and the share it would have met."""

    name: str
    rule: SizingRule
    workers: float
    attainment: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """The rule to go by, why in one plain sentence, and what else was considered, the best first.

    A policy that has plans, such as a floor that follows the load, names the one that the rule comes from: while it
    stays the same, other numbers are no new decision, and only bounds hold for them.
    """

    rule: SizingRule
    reason: str
    candidates: tuple[Candidate, ...] = ()
    plan: str = ""


class Policy(Protocol):
    """Proposes rules for one pool. `name` is shown; `interval_s` is how often it wants to look."""

    name: ClassVar[str]
    interval_s: float

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int) -> None: ...

    def propose(self, seen: Observation) -> Proposal:
        """The rule for what was seen; the one in force to leave things as they are."""
        ...
