"""The policy that keeps the utilization at a target."""

from __future__ import annotations

from millpond.optimizer.policies.fixed import fixed_rule
from millpond.optimizer.policies.target import Target
from millpond.slo import Slo
from tests.optimizer.made import STEP_S, observed


def sizes(loads, mode="prompt", size=1):
    """The size after each look at a load."""
    target, found = Target(Slo(), mode, 0, 64), []
    target.propose(observed(now=0.0, ready=size, rule=fixed_rule(size)))
    for i, load in enumerate(loads):
        seen = observed(now=(i + 1) * STEP_S, ready=size, in_system_s=load * STEP_S, rule=fixed_rule(size))
        size = target.propose(seen).rule.floor
        found.append(size)
    return found


def test_as_many_workers_as_keep_the_share_of_their_time_at_the_target():
    """7 calls at work are 70 % of ten; in economy 85 % of nine."""
    assert sizes([7.0])[-1] == 10
    assert sizes([7.0], "economy")[-1] == 9


def test_a_load_within_a_tenth_of_the_target_changes_nothing():
    """The ratio has a tolerance in which the size stays."""
    assert set(sizes([7.5, 6.5, 7.0, 7.6] * 20, size=10)) == {10}


def test_it_shrinks_to_the_most_of_five_minutes():
    """One quiet look among busy ones takes nothing away; a quiet five minutes do."""
    found = sizes([7.0, *[1.0] * 30])
    assert found[:20] == [10] * 20
    assert found[-1] == 2
