"""Rules for starts that fit into the time that calls may wait, by what they do to simulated pools."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from millpond.core import SizingRule
from millpond.optimizer import Mode, Observation, Proposal
from millpond.optimizer.short_starts import ShortStarts
from millpond.simulator import Bare, Duration, Scenario, Simulation, Traffic, generate, score, settings_for
from millpond.slo import Slo
from tests.optimizer.made import calls, observed

ON_DEMAND = SizingRule(idle_timeouts=(0.0,), drain_s=0.0)


class Policy:
    """The rules for short starts alone, or always the same one; `changes` are those that were new."""

    name: ClassVar[str] = "short starts"
    interval_s, quiet_s = 15.0, 15.0

    def __init__(self, mode: Mode, always: SizingRule | None = None) -> None:
        self._short, self._always = ShortStarts(Slo(), mode), always
        self.changes: list[tuple[float, SizingRule]] = []

    def propose(self, seen: Observation) -> Proposal:
        self._short.note(seen)
        if self._always is not None or not self._short.fits(seen):
            return Proposal(self._always or seen.rule, "as it is")
        proposal = self._short.propose(seen)
        if proposal.rule != seen.rule:
            self.changes.append((seen.now, proposal.rule))
        return proposal


def scored(traffic: Traffic, mode: Mode, cold_s: float, always: SizingRule | None = None):
    policy = Policy(mode, always)
    scenario = Scenario(traffic=traffic, cold=Duration(cold_s), settings=settings_for(0, 64))
    recording = Simulation(scenario, Bare(policy)).run()
    return score(recording, policy="", mode=mode, cold_s=cold_s, objective=Slo()), policy


def poisson(rate: float, service_s: float, span: float, **given: float) -> Traffic:
    return generate("poisson", Duration(service_s, "exponential"), 5, rate=rate, span=span, **given)


def bursts(size: int, every_s: float, count: int, service_s: float) -> Traffic:
    came = np.repeat(np.arange(count) * every_s, size)
    return Traffic(came, np.full(len(came), service_s))


@pytest.mark.parametrize("cold_s", [0.02, 0.2])
@pytest.mark.parametrize(
    "traffic",
    [poisson(5, 1.0, 300), poisson(0.5, 2.0, 3000), bursts(20, 60.0, 40, 0.01)],
    ids=["busy", "rare", "bursts"],
)
def test_in_economy_it_costs_no_more_than_the_least_without_waiting_and_all_begin_in_time(traffic, cold_s):
    """Whoever knows the future but lets nobody wait pays more; and fewer workers start than on demand."""
    found, _ = scored(traffic, "economy", cold_s)
    assert found.attainment == 1.0
    assert found.worker_seconds <= found.clairvoyant_worker_seconds
    on_demand, _ = scored(traffic, "economy", cold_s, ON_DEMAND)
    assert found.starts <= on_demand.starts


@pytest.mark.parametrize("cold_s", [0.02, 0.2])
@pytest.mark.parametrize("traffic", [poisson(5, 1.0, 600), poisson(0.5, 2.0, 3000)], ids=["busy", "rare"])
def test_in_prompt_nobody_waits_longer_than_a_start_and_it_costs_little_more_than_the_least(traffic, cold_s):
    """The extra is spent on starts that are saved."""
    found, _ = scored(traffic, "prompt", cold_s)
    assert found.wait_p99 <= cold_s + 1e-9
    assert found.worker_seconds <= 1.08 * found.clairvoyant_worker_seconds
    on_demand, _ = scored(traffic, "prompt", cold_s, ON_DEMAND)
    assert found.starts <= on_demand.starts


def test_in_prompt_a_clump_of_short_calls_does_not_start_a_worker_for_each():
    """Those that a worker on its way serves before they have waited as long as a start need none of their own."""
    rng = np.random.default_rng(2)
    came = np.cumsum(np.where(np.arange(4000) % 20 == 0, 30.0, rng.exponential(0.01, 4000)))
    traffic = Traffic(came, np.full(4000, 0.01))
    found, _ = scored(traffic, "prompt", 0.2)
    on_demand, _ = scored(traffic, "prompt", 0.2, ON_DEMAND)
    assert found.starts < 0.6 * on_demand.starts
    assert found.wait_p99 <= 0.2 + 1e-3


@pytest.mark.parametrize("mode", ["prompt", "economy"])
def test_a_square_wave_does_not_make_the_rule_flap(mode):
    """At most six changes in half an hour."""
    traffic = poisson(5, 1.0, 1800)
    high = traffic.arrival_s % 60.0 < 30.0
    kept = high | (np.random.default_rng(1).random(len(high)) < 0.4)
    _, policy = scored(Traffic(traffic.arrival_s[kept], traffic.service_s[kept]), mode, 0.2)
    assert 1 <= len(policy.changes) <= 6


def test_a_worker_starts_for_a_call_that_could_not_begin_in_time_without_it():
    """The age and the start make up less than what calls may wait."""
    short = ShortStarts(Slo(wait=2.0), "economy")
    seen = observed(start_s=0.5, **calls(50, 15.0, service_s=3.0))
    short.note(seen)
    rule = short.propose(seen).rule
    assert 1.8 <= rule.patience_s + seen.start_s < 2.0
    assert rule.idle_timeouts == (0.0,)


def test_calls_that_are_short_leave_more_time_to_drain_in():
    """One worker serves several, one after another; a few long ones among them would hold up the others."""

    def rule_for(services) -> SizingRule:
        short = ShortStarts(Slo(), "economy")
        short.note(observed(**calls(100, 15.0, service_s=services)))
        return short.propose(observed()).rule

    alike, rarely_long = rule_for(0.01), rule_for(np.where(np.arange(100) % 50, 0.01, 2.0))
    assert alike.drain_s > 3 * rule_for(1.0).drain_s
    assert rarely_long.drain_s < alike.drain_s / 3


def test_where_starts_vary_and_calls_begin_too_late_workers_start_earlier():
    """The objective comes before the cost."""
    short = ShortStarts(Slo(), "economy")
    short.note(observed(**calls(50, 15.0)))
    before = short.propose(observed()).rule
    short.note(observed(**calls(50, 30.0, wait_s=1.1)))
    assert short.propose(observed()).rule.patience_s < before.patience_s


def test_until_more_is_known_a_worker_idles_as_long_as_a_start_takes():
    """That is at most twice what idling and starting must cost."""
    short = ShortStarts(Slo(), "prompt")
    seen = observed(start_s=0.1, **calls(3, 15.0))
    short.note(seen)
    assert short.propose(seen).rule == SizingRule(idle_timeouts=(0.1,))


@pytest.mark.parametrize("mode", ["prompt", "economy"])
def test_nothing_new_is_no_new_proposal(mode):
    """The last one is the answer until something differs enough."""
    short = ShortStarts(Slo(), mode)
    short.note(observed(**calls(100, 15.0)))
    first = short.propose(observed())
    short.note(observed(now=30.0))
    assert short.propose(observed(now=30.0)) is first


def test_starts_are_short_if_one_fits_into_the_time_to_wait_and_is_known():
    """By the objective of the calls at hand, and with some time left."""

    def fits(start_s: float) -> bool:
        short = ShortStarts(Slo(latency=2.0), "economy")
        seen = observed(start_s=start_s, service_s=1.0)
        short.note(seen)
        return short.fits(seen)

    assert [fits(start_s) for start_s in (0.0, 0.1, 0.79, 0.9, 5.0)] == [False, True, True, False, False]


def test_the_objective_is_met_though_starts_take_very_different_times():
    """The time that is kept unused follows what was missed."""
    traffic = poisson(1, 1.0, 4000)
    scenario = Scenario(traffic=traffic, cold=Duration(0.2, "exponential"), settings=settings_for(0, 64), seed=3)
    policy = Policy("economy")
    found = score(Simulation(scenario, Bare(policy)).run(), policy="", mode="economy", cold_s=0.2, objective=Slo())
    assert found.attainment >= 0.99
    assert len(policy.changes) <= 20


def test_in_prompt_a_backlog_that_those_at_work_surely_finish_starts_nobody():
    """Fifty callers of two milliseconds, five workers and starts of a second: none is worth one; ten long calls are."""
    short = ShortStarts(Slo(wait=2.0), "prompt")
    seen = observed(start_s=1.0, **calls(100, 15.0, service_s=0.002))
    short.note(seen)
    rule = short.propose(seen).rule
    assert rule.needed(5, 45, 45, 0.002, 1.0) == 5
    assert rule.needed(5, 10, 10, 2.0, 1.0) == 15
