"""How one pool is to be optimized: objective, mode, policy, bounds and pace, checked when they are put together."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.optimizer.guarding import Limits
from millpond.optimizer.policies.policy import Mode, Policy
from millpond.settings import check_choice, check_policy
from millpond.slo import Slo

LEAST_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How one pool is to be optimized: its settings of the same names, and the bounds of its workers.

    Raises `TypeError` or `ValueError` for what is no objective, mode, policy or interval.
    """

    slo: Slo
    mode: Mode
    policy: str | type[Policy]
    low: int
    high: int
    longest_idle_s: float | None = None
    interval_s: float | None = None  # between looks; without it the policy's

    def __post_init__(self) -> None:
        if not isinstance(self.slo, Slo):
            raise TypeError(f"slo must be an Slo, not {self.slo!r}")
        check_choice("mode", self.mode)
        check_policy(self.policy)
        if self.interval_s is not None and not self.interval_s >= LEAST_INTERVAL_S:
            raise ValueError(f"interval_s must be {LEAST_INTERVAL_S:.0f} or more, not {self.interval_s!r}")

    @property
    def limits(self) -> Limits:
        """What the guard makes of it."""
        return Limits() if self.longest_idle_s is None else Limits(longest_idle_s=self.longest_idle_s)
