"""Rules in shadow pools, against the simulator that runs the core itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from millpond.core import SizingRule
from millpond.optimizer import Proposal
from millpond.optimizer.shadow_pools import ShadowPools
from millpond.simulator import Bare, Duration, Scenario, Simulation, generate, parse_duration, settings_for

RULES = [
    SizingRule(spares=1, idle_timeouts=(60.0, 20.0, 5.0), drain_s=0.0),
    SizingRule(spares=3, idle_timeouts=(0.0,), drain_s=0.0),
    SizingRule(idle_timeouts=(200.0,), drain_s=0.0),
    SizingRule(floor=5, idle_timeouts=(20.0,)),
    SizingRule(floor=3, idle_timeouts=(60.0, 60.0, 60.0, 10.0), drain_s=0.0),
    SizingRule(spares=2, idle_timeouts=(30.0,)),
]
LEVELS = 16
BEGIN_S = 60.0  # from then on costs count: until a call has ended a pool does not know how long calls take


class Given:
    """One rule from the beginning."""

    name: ClassVar[str] = "given"
    interval_s = 1e9

    def __init__(self, rule: SizingRule) -> None:
        self.rule = rule

    def propose(self, _seen):
        return Proposal(self.rule, "given")


def shadowed(traffic, start_s):
    """Worker-seconds and late calls of each rule, in shadow pools."""
    pools = ShadowPools(
        np.array([rule.spares for rule in RULES]),
        np.array([rule.drain_s is None for rule in RULES]),
        most=16, wait_s=1.0, now=0.0,
    )  # fmt: skip
    pools.starts_take(start_s)
    timeouts = np.array([[rule.timeout(level) for rule in RULES] for level in range(1, LEVELS + 1)])
    pools.set(0.0, np.array([rule.floor for rule in RULES]), timeouts)
    first = int(np.searchsorted(traffic.arrival_s, BEGIN_S))
    pools.calls_came(traffic.arrival_s[:first], traffic.service_s[:first])
    pools.advance(BEGIN_S)
    worker_s, late = pools.worker_s.copy(), pools.late.copy()
    pools.calls_came(traffic.arrival_s[first:], traffic.service_s[first:])
    return pools.worker_s - worker_s, pools.late - late


def simulated(traffic, rule, start_s):
    """The same by the core."""
    scenario = Scenario(traffic=traffic, cold=Duration(start_s), settings=settings_for(0, 16))
    recording = Simulation(scenario, Bare(Given(rule))).run()
    begin, gone = np.clip(recording.stays, BEGIN_S, traffic.arrival_s[-1]).T
    is_late = recording.began - recording.came > 1.0 + 1e-9
    return float((gone - begin).sum()), int(is_late[recording.came >= BEGIN_S].sum())


@pytest.mark.parametrize("start_s", [2.0, 10.0])
@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ("poisson", {"rate": 1.0, "span": 1_800.0}),
        ("onoff", {"rate": 2.0, "span": 1_800.0}),
    ],
)
def test_a_shadow_pool_costs_what_a_pool_costs(shape, given, start_s):
    """Within 2 % of worker-seconds, and within half a percent of late calls, for each rule."""
    traffic = generate(shape, parse_duration("lognormal:1:0.4"), 3, **given)
    worker_s, late = shadowed(traffic, start_s)
    for number, rule in enumerate(RULES):
        cost_s, missed = simulated(traffic, rule, start_s)
        assert worker_s[number] == pytest.approx(cost_s, rel=0.02), rule
        assert late[number] == pytest.approx(missed, abs=0.005 * len(traffic)), rule
