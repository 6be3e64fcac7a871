"""What the optimizer may never do to a pool, whatever the load and whoever proposes: real decisions on the core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from millpond.core import SizingRule
from millpond.optimizer import Observation, Proposal
from millpond.optimizer.decision import Decision
from millpond.simulator import Duration, Recording, Scenario, Simulation, Traffic, generate, settings_for
from millpond.simulator.steering import Bare, Decided, Steering, make_steering
from millpond.slo import Slo

HALF_HOUR_S = 1800.0
CHANGES = 6
HIGH = 16


def square_wave(low: float, high: float, period_s: float) -> Traffic:
    """Calls of a second: half an hour of the low load, then for as long high and low in turn, in calls at once."""
    came, at = [], 0.0
    while at < 2 * HALF_HOUR_S:
        is_high = at >= HALF_HOUR_S and at % period_s >= period_s / 2
        came.append(at)
        at += 1.0 / (high if is_high else low)
    return Traffic(np.array(came), np.ones(len(came)))


def decisions_of(steering: Decided) -> list[Decision]:
    """The decisions that changed the rule, as they are made."""
    decided: list[Decision] = []
    step = steering._decider.step

    def noted(*seen: Any) -> Decision:
        decision = step(*seen)
        if decision.is_change:
            decided.append(decision)
        return decision

    steering._decider.step = noted
    return decided


def simulated(traffic: Traffic, steering: Steering | None, cold_s: float, low: int = 0, **settings: Any) -> Recording:
    scenario = Scenario(traffic=traffic, cold=Duration(cold_s), settings=settings_for(low, HIGH, **settings))
    return Simulation(scenario, steering).run()


def sizes(recording: Recording, since: float, until: float) -> list[int]:
    """How many workers there were after each time at which that changed."""
    ordered, gone = recording.stays.T
    times = np.unique(np.concatenate([ordered, gone[np.isfinite(gone)]]))
    return [int(((ordered <= at) & (gone > at)).sum()) for at in times if since < at < until]


@pytest.mark.parametrize("policy", ["fixed", "target", "threshold"])
@pytest.mark.parametrize("mode", ["prompt", "economy"])
@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (1.3, 1.5), (2.6, 3.0)])
@pytest.mark.parametrize("period_s", [30.0, 120.0, 600.0])
def test_a_square_wave_at_the_threshold_moves_little(policy, mode, low, high, period_s):
    """In half an hour at most six changes of the rule and, where a start takes 10 s, of the number of workers."""
    steering = make_steering(policy, Slo(), mode, 0, HIGH)
    decided = decisions_of(steering)
    recording = simulated(square_wave(low, high, period_s), steering, cold_s=10.0)
    assert len([one for one in decided if one.at > HALF_HOUR_S]) <= CHANGES
    assert len(sizes(recording, HALF_HOUR_S, 2 * HALF_HOUR_S)) <= CHANGES


@pytest.mark.parametrize(("low", "high"), [(1.3, 1.5), (2.6, 3.0)])
def test_so_it_does_with_rehearsed_rules(low, high):
    """What was learned in the half an hour before is not learned anew with every wave."""
    steering = make_steering("rehearsal", Slo(), "prompt", 0, HIGH)
    decided = decisions_of(steering)
    recording = simulated(square_wave(low, high, 120.0), steering, cold_s=10.0)
    assert len([one for one in decided if one.at > HALF_HOUR_S]) <= CHANGES
    assert len(sizes(recording, HALF_HOUR_S, 2 * HALF_HOUR_S)) <= CHANGES


@pytest.mark.parametrize("policy", ["", "target", "threshold"])
def test_many_callers_of_short_calls_start_one_worker_at_most(policy):
    """50 callers at once, again and again, with calls of 2 ms on five warm workers: a start of 1 s is worth nothing."""
    began = np.full(50, 10.0)
    came = np.concatenate([np.full(10, 5.0), np.sort(np.tile(began, 200) + np.repeat(np.arange(200) * 0.025, 50))])
    took = np.concatenate([np.full(10, 0.1), np.full(10_000, 0.002)])  # the first tell what a start takes
    steering = make_steering(policy, Slo(), "prompt", 5, HIGH) if policy else None
    recording = simulated(Traffic(came, took), steering, cold_s=1.0, low=5)
    assert int((recording.stays[:, 0] > 9.0).sum()) <= 1


class Wild:
    """A policy that proposes anything, of what is a rule and what is none."""

    name, interval_s = "wild", 5.0

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def propose(self, seen: Observation) -> Proposal:
        random = self._random
        floor, ceiling = (int(random.choice([0, 1, 7, HIGH, 500])) for _ in range(2))
        drain_s = float(random.choice([0.0, 0.5, 60.0, math.nan, -1.0]))
        rule = SizingRule(
            floor=floor,
            ceiling=ceiling,
            spares=int(random.integers(3)),
            idle_timeouts=tuple(random.choice([0.0, 0.5, 30.0], size=3).tolist()),
            patience_s=float(random.choice([0.0, 0.3, 5.0])),
            drain_s=drain_s,
        )
        return Proposal(rule, "anything goes")


@pytest.mark.parametrize("affinity", ["strict", "hint"])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_proposed_ends_no_worker_at_work_and_loses_no_session(affinity, seed):
    """Nor are there ever more workers than the most, or fewer than the fewest once they are there."""
    thinking = generate("sessions", Duration(3.0, "exponential"), seed=seed, starts=0.05, requests=20.0, think=20.0)
    steering = Decided(Wild(seed), Slo())
    decided = decisions_of(steering)
    recording = simulated(thinking, steering, cold_s=1.0, low=2, affinity=affinity)
    assert decided
    assert (recording.busy_killed, recording.sessions_lost) == (0, 0)
    assert np.isfinite(recording.began).all()
    counts = sizes(recording, 0.0, float(thinking.arrival_s[-1]))
    assert min(counts) >= 2
    assert max(counts) <= HIGH


def test_a_session_that_cannot_leave_keeps_its_worker_from_going():
    """However low the size is set, its worker stays as long as it is open."""
    sessions = Traffic(
        np.array([0.0, 0.0, 0.0, 900.0]), np.full(4, 1.0), session=np.array([0, 1, 2, 0]), sessions=("a", "b", "c")
    )

    class Pinned(Simulation):
        def _answer(self, process, held, kind):  # no state can be taken out
            super()._answer(process, held, "failed" if held.call.continuation is not None else kind)

    class Lowering:
        name, interval_s = "lowering", 15.0

        def propose(self, seen: Observation) -> Proposal:
            return Proposal(SizingRule(floor=0, ceiling=1, idle_timeouts=(0.0,)), "as few as can be")

    settings = settings_for(0, HIGH, affinity="strict", sleep_after=None)
    scenario = Scenario(traffic=sessions, cold=Duration(0.2), settings=settings)
    pinned, movable = Pinned(scenario, Bare(Lowering())).run(), Simulation(scenario, Bare(Lowering())).run()
    assert (pinned.sessions_lost, pinned.busy_killed) == (0, 0)
    assert (pinned.began[3], movable.began[3]) == (900.0, 900.2)  # the worker of the other had gone


@pytest.mark.parametrize("policy", ["target", "threshold"])
def test_each_decision_says_what_it_was_made_from_and_why(policy):
    """In plain words and with the numbers it saw."""
    steering = make_steering(policy, Slo(), "prompt", 0, HIGH)
    decided = decisions_of(steering)
    simulated(generate("bursty", Duration(0.5, "exponential"), seed=1), steering, cold_s=2.0)
    assert decided
    for decision in decided:
        assert decision.reason.endswith(".")
        assert {"busy_workers", "waiting_calls", "ready_workers", "service_s", "start_s"} <= decision.inputs.keys()
        assert all(math.isfinite(value) for value in decision.inputs.values())
