"""The policy that leaves the size alone."""

from __future__ import annotations

from millpond.core import SizingRule
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.fixed import Fixed, fixed_rule
from millpond.slo import Slo


def seen(rule: SizingRule, low: int = 0, high: int = 8) -> Observation:
    return Observation(
        now=15.0, busy=1, waiting=0, ready=2, starting=0, in_system_s=15.0, start_s=0.0, service_s=0.0, rule=rule,
        low=low, high=high,
    )  # fmt: skip


def test_a_pool_of_fixed_size_has_as_many_workers_as_it_may():
    """Where nobody set a size it is `max_workers`."""
    policy = Fixed(Slo(), "prompt", 0, 8)
    assert policy.propose(seen(SizingRule())).rule == fixed_rule(8)


def test_a_size_that_was_set_stays_within_the_bounds_of_now():
    """The size in force is kept, and moved no further than changed bounds ask for."""
    policy = Fixed(Slo(), "prompt", 0, 8)
    assert policy.propose(seen(fixed_rule(3))).rule == fixed_rule(3)
    assert policy.propose(seen(fixed_rule(3), low=4)).rule == fixed_rule(4)
    assert policy.propose(seen(fixed_rule(3), high=2)).rule == fixed_rule(2)
