"""A decision: what was seen, proposed, changed by the guard, chosen and why, and what came of it. Journal entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from millpond.core import SizingRule
from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.policies.policy import Candidate
from millpond.optimizer.rules import change

# A rule was changed, its plan brought its numbers up to date, the guard kept one from being changed, a change was taken
# back, a person asked for it, or nothing of that.
Kind = Literal["change", "refreshed", "hold", "taken back", "command", "none"]
UNENTERED = frozenset({"refreshed", "none"})  # kinds that the journal is spared: there would be one every interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One look and what followed. `rule` is the one in force from then on; `at` seconds of the pool's clock."""

    number: int
    at: float
    kind: Kind
    before: SizingRule
    rule: SizingRule
    proposed: SizingRule
    reason: str  # one plain sentence
    policy: str = ""
    plan: str = ""  # that the rule in force comes from, of a policy that has plans
    guard: tuple[str, ...] = ()  # what the guard changed, and why
    inputs: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    outcome: str = ""  # what the check found, once it has
    wall: float = 0.0  # Unix time, where there is any

    @property
    def is_change(self) -> bool:
        """Whether another rule is in force."""
        return self.rule != self.before

    @property
    def change(self) -> str:
        """What differs between the rule before and the one in force."""
        return change(self.before, self.rule)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an earlier decision, of that number. `is_worse`: it is to be taken back."""

    number: int
    sentence: str
    is_worse: bool = False
