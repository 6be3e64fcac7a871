"""Which policy a setting names."""

from __future__ import annotations

import pytest

from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.chosen import LIGHT, POLICIES, make_policy, policy_class
from millpond.optimizer.policies.fixed import Fixed, fixed_rule
from millpond.optimizer.policies.policy import Proposal
from millpond.slo import Slo


class Mine:
    """A policy of a user's own."""

    name = "mine"

    def __init__(self, slo, mode, low, high):
        self.interval_s = 5.0

    def propose(self, seen: Observation) -> Proposal:
        return Proposal(fixed_rule(2), "It is two.")


def test_each_policy_of_ours_is_found_by_its_name():
    """And says so itself."""
    for name in POLICIES:
        assert policy_class(name).name == name
    assert set(POLICIES) >= LIGHT


def test_a_user_gives_a_class_or_says_where_it_is():
    """A class as it is, or as module:Class."""
    assert policy_class(Mine) is Mine
    assert policy_class("millpond.optimizer.policies.fixed:Fixed") is Fixed
    assert make_policy(Mine, Slo(), "prompt", 0, 4).interval_s == 5.0


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("clever", "there are fixed"),
        ("nowhere:Policy", "nowhere"),
        ("math:pi", "no method propose"),
        ("math:tau2", "tau2"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(named, why):
    """Whether it is unknown, not to be found, or something else."""
    with pytest.raises(ValueError, match=why):
        policy_class(named)
