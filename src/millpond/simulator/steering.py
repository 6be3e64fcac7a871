"""Who chooses the sizing rule in a simulation: the optimizer with a policy that comes with it, or a bare policy.

The optimizer's policies decide as they do in a pool, guard and checks included. A class of somebody else's is taken at
its word, so that autoscalers of other systems are simulated as they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from millpond.optimizer.decider import Decider
from millpond.optimizer.policies.chosen import POLICIES, policy_class

if TYPE_CHECKING:
    from millpond.core import SizingRule
    from millpond.optimizer import Mode, Observation, Policy, Slo

NEVER = math.inf


class Steering(Protocol):
    """Asked each `interval_s`, and in between at a whole second if `has_pressure` and `is_pressed` says so."""

    interval_s: float
    quiet_s: float  # after so long with nothing in the pool nothing new is seen until the next request
    has_pressure: bool

    def choose(self, seen: Observation) -> tuple[SizingRule, str]:
        """The rule to go by from now on, and why."""
        ...

    def is_pressed(self, now: float, oldest_wait_s: float, service_s: float) -> bool:
        """Whether it is to be asked at once."""
        ...


class Bare:
    """A policy whose proposals are followed."""

    has_pressure = False

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.interval_s = policy.interval_s
        self.quiet_s: float = getattr(policy, "quiet_s", NEVER)

    def choose(self, seen: Observation) -> tuple[SizingRule, str]:
        """What the policy proposes."""
        proposal = self._policy.propose(seen)
        return proposal.rule, proposal.reason

    def is_pressed(self, _now: float, _oldest_wait_s: float, _service_s: float) -> bool:
        """Never: it has its own pace."""
        return False


class Decided(Bare):
    """A policy behind the optimizer's guard and checks."""

    has_pressure = True

    def __init__(self, policy: Policy, slo: Slo) -> None:
        super().__init__(policy)
        self._decider = Decider(slo, interval_s=policy.interval_s, policy=policy.name, analyzes=False)

    def choose(self, seen: Observation) -> tuple[SizingRule, str]:
        """What the optimizer decides."""
        decision = self._decider.step(seen, self._policy)
        return decision.rule, decision.reason

    def is_pressed(self, now: float, oldest_wait_s: float, service_s: float) -> bool:
        """As it is asked in a pool."""
        return self._decider.is_pressed(now, oldest_wait_s, service_s)


def make_steering(named: str, slo: Slo, mode: Mode, low: int, high: int) -> Steering:
    """For a policy that comes with the package, by its name, or `module:Class`. Raises `ValueError`."""
    found = policy_class(named)
    try:
        policy = found(slo, mode, low, high)
    except Exception as error:
        raise ValueError(f"the policy {named!r} cannot be made: {error!r}") from error
    if not getattr(policy, "interval_s", 0) > 0:
        raise ValueError(f"{named!r} is no policy: it needs an interval_s above 0")
    return Decided(policy, slo) if named in POLICIES else Bare(policy)
