"""Who chooses the rule: the optimizer for its own policies, a bare policy for everybody else's."""

from __future__ import annotations

import itertools
from typing import ClassVar

import numpy as np
import pytest

from millpond.core import SizingRule
from millpond.optimizer import Proposal
from millpond.simulator import Bare, Decided, Duration, Scenario, Simulation, Traffic, make_steering, settings_for
from millpond.slo import Slo


class Absurd:
    """Proposes what no guard lets through."""

    name: ClassVar[str] = "absurd"
    interval_s = 10.0

    def __init__(self, slo, mode, low, high):
        self.looks: list[float] = []

    def propose(self, seen):
        self.looks.append(seen.now)
        return Proposal(SizingRule(floor=3, idle_timeouts=(-1.0,)), "why not")


class Broken:
    """Cannot be made."""

    name: ClassVar[str] = "broken"
    interval_s = 10.0

    def __init__(self, slo, mode, low, high):
        raise RuntimeError("not today")

    def propose(self, seen):
        raise AssertionError


class Timeless(Absurd):
    """Never wants to look."""

    interval_s = 0.0


def run(steering, *came):
    traffic = Traffic(np.array(came), np.full(len(came), 30.0))
    scenario = Scenario(traffic=traffic, cold=Duration(2.0), settings=settings_for(0, 4))
    return Simulation(scenario, steering).run()


def test_a_policy_of_ours_is_behind_the_guard():
    """As in a pool."""
    assert isinstance(make_steering("target", Slo(), "prompt", 0, 4), Decided)
    assert run(Decided(Absurd(Slo(), "prompt", 0, 4), Slo()), 0.0).rules == ()


@pytest.mark.parametrize("came", [8.5, 9.5])
def test_there_is_one_look_a_second(came):
    """A request that has waited for long when a look is due anyway is no reason for two."""
    policy = Absurd(Slo(), "prompt", 0, 4)
    run(Decided(policy, Slo(wait=1.0)), came, came + 20.0)
    assert all(later - earlier > 0.9 for earlier, later in itertools.pairwise(policy.looks))


def test_a_policy_of_somebody_else_is_taken_at_its_word():
    """And found as `module:Class`."""
    steering = make_steering(f"{__name__}:Absurd", Slo(), "prompt", 0, 4)
    assert isinstance(steering, Bare)
    assert [rule.floor for _, rule, _ in run(steering, 0.0).rules] == [3]


def test_the_optimizer_is_asked_at_once_if_a_request_waits_for_long():
    """At the first second at which it has waited for half of what it may; the next interval is counted from there."""
    policy = Absurd(Slo(), "prompt", 0, 4)
    run(Decided(policy, Slo(wait=1.0)), 11.0)
    assert policy.looks == pytest.approx([0.0, 10.0, 12.0], abs=1e-3)
    run(Decided(policy, Slo(wait=1.0)), 11.0, 40.0)
    assert policy.looks[3:] == pytest.approx([0.0, 10.0, 12.0, 22.0, 32.0, 41.0], abs=1e-3)
    bare = Absurd(Slo(), "prompt", 0, 4)
    run(Bare(bare), 11.0)
    assert not any(10.0 < at < 20.0 for at in bare.looks)


@pytest.mark.parametrize(
    ("named", "what"),
    [
        ("nothing", "there is no policy 'nothing'"),
        ("nowhere:Policy", "there is no policy 'nowhere:Policy'"),
        (f"{__name__}:run", "is no policy"),
        (f"{__name__}:Broken", "cannot be made: RuntimeError"),
        (f"{__name__}:Timeless", "interval_s above 0"),
    ],
)
def test_what_is_no_policy_is_said(named, what):
    """In a sentence."""
    with pytest.raises(ValueError, match=what):
        make_steering(named, Slo(), "prompt", 0, 4)
