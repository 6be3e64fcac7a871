"""From observations to decisions: what is held, checked and taken back, and that little happens for little."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from millpond.core import SizingRule
from millpond.optimizer.decider import Decider
from millpond.optimizer.policies.fixed import fixed_rule
from millpond.optimizer.policies.policy import Candidate, Proposal
from millpond.optimizer.policies.target import Target
from millpond.optimizer.policies.threshold import Threshold
from millpond.slo import Slo
from tests.optimizer.made import STEP_S, calls, observed

SMALL, LARGE = SizingRule(floor=2, ceiling=64), SizingRule(floor=4, ceiling=64)


class Says:
    """A policy that proposes what it was told last."""

    name, interval_s = "says", STEP_S

    def __init__(self, rule):
        self.rule = rule
        self.asked = 0
        self.candidates = ()
        self.plan = ""

    def propose(self, seen):
        self.asked += 1
        return Proposal(self.rule, "I was told so.", self.candidates, self.plan)


class Run:
    """A pool that does what is decided, look by look."""

    def __init__(self, policy, rule=SMALL):
        self.policy, self.rule, self.now = policy, rule, 0.0
        self.decider = Decider(Slo(), interval_s=STEP_S)
        self.look(count=0)

    def look(self, count=30, wait_s=0.0, **fields):
        self.now += STEP_S
        given = calls(count, self.now, wait_s=wait_s) | {"in_system_s": 1.0 * STEP_S, "ready": 2} | fields
        decision = self.decider.step(observed(now=self.now, rule=self.rule, **given), self.policy)
        self.rule = decision.rule
        return decision


def test_a_proposal_becomes_a_decision_with_its_reason_inputs_and_findings():
    """Each says what it was made from."""
    policy = Says(SMALL)
    run = Run(policy)
    for _ in range(8):
        run.look()
    policy.rule, policy.candidates = LARGE, (Candidate("four", LARGE, 4.0, 0.999),)
    decision = run.look()
    assert (decision.kind, decision.rule, decision.before) == ("change", LARGE, SMALL)
    assert decision.reason == "I was told so."
    assert decision.inputs["calls_a_second"] == pytest.approx(2.0)
    assert decision.inputs["share_met"] == 1.0
    assert decision.candidates == policy.candidates
    assert "utilization" in [one.name for one in decision.findings]


def test_new_numbers_of_the_plan_in_force_are_no_new_decision():
    """A floor that follows the load is neither counted, nor paced, nor checked; within the bounds it is done."""
    policy = Says(replace(SMALL, floor=1))
    policy.plan = "mean of a minute"
    run = Run(policy)
    for _ in range(8):
        run.look()
    number = run.decider.step(observed(now=run.now + 1.0, rule=run.rule), policy).number
    floors = []
    for floor in (2, 1, 3, 99, *[2] * 5):
        policy.rule = replace(SMALL, floor=floor)
        decision = run.look()
        floors.append(decision.rule.floor)
        assert decision.kind in ("refreshed", "none")
        assert decision.number == number
    high = observed(now=0.0).high  # nothing is lowered within a minute of a raise
    assert floors == [2, 2, 3, high, high, high, high, 2, 2]
    policy.plan, policy.rule = "mean of an hour", replace(SMALL, floor=5)
    assert run.look().kind == "change"


@pytest.mark.parametrize("fields", [{"waiting": math.nan}, {"in_system_s": -1.0}, {"start_s": math.inf}])
def test_absurd_input_means_hold(fields):
    """The policy is not even asked, and the reason names the number."""
    policy = Says(LARGE)
    run = Run(policy, LARGE)
    asked = policy.asked
    decision = run.look(**fields)
    assert decision.kind == "hold"
    assert decision.rule == LARGE
    assert next(iter(fields)) in decision.reason
    assert policy.asked == asked


def test_time_that_goes_backwards_is_absurd():
    """No observation is older than the one before."""
    run = Run(Says(LARGE), LARGE)
    run.now -= 10 * STEP_S
    assert "time went from" in run.look().reason


def test_nothing_is_decided_from_what_was_measured_across_a_stall():
    """The next observation counts again."""
    policy = Says(SMALL)
    run = Run(policy)
    policy.rule = LARGE
    decision = run.look(stalled_s=4.0)
    assert decision.kind == "hold"
    assert "stood still for 4.0 s" in decision.reason
    assert run.look().rule == LARGE


def test_a_change_that_makes_things_worse_is_taken_back_and_not_tried_again_for_longer_each_time():
    """Calls met the objective before it and miss it afterwards, under the same load."""
    policy = Says(SMALL)
    run = Run(policy)
    for _ in range(10):
        run.look()
    policy.rule = LARGE
    taken_back = []
    for _ in range(120):
        decision = run.look(wait_s=3.0 if run.rule == LARGE else 0.0)
        if decision.kind == "taken back":
            taken_back.append(run.now)
            assert run.rule == SMALL
            assert "0.0% of the calls met the objective, 100.0% before" in decision.reason
    assert [round(b - a) for a, b in pairwise(taken_back)] == [435, 735]
    assert run.decider.verdicts[0].is_worse


def test_a_change_under_another_load_is_not_judged():
    """Twice the calls are not compared with half of them."""
    policy = Says(SMALL)
    run = Run(policy)
    for _ in range(10):
        run.look()
    policy.rule = LARGE
    for _ in range(12):
        assert run.look(count=90, wait_s=3.0).kind != "taken back"
    assert run.decider.verdicts[0].sentence.startswith("Not judged: the load went from")


def test_a_change_that_costs_more_than_predicted_for_nothing_is_taken_back():
    """The objective was met before, and six workers stand where three were predicted."""
    policy = Says(SMALL)
    run = Run(policy)
    for _ in range(10):
        run.look()
    policy.rule, policy.candidates = LARGE, (Candidate("four", LARGE, 3.0, 0.999),)
    kinds = [run.look(ready=6).kind for _ in range(12)]
    assert kinds.count("taken back") == 1
    assert "dearer for nothing" in run.decider.verdicts[0].sentence


def test_a_change_that_does_as_it_should_stays():
    """And the check says so, with the figures."""
    policy = Says(SMALL)
    run = Run(policy)
    for _ in range(10):
        run.look()
    policy.rule = LARGE
    assert all(run.look(ready=4).rule == LARGE for _ in range(20))
    (verdict,) = run.decider.verdicts
    assert verdict.sentence.startswith("As expected: 100.0% of the calls met the objective, 100.0% before")


def test_the_same_question_has_the_same_answer():
    """Deciding changes nothing; only adopting does."""
    run = Run(Says(SMALL))
    seen = observed(now=run.now + STEP_S, rule=SMALL)
    run.decider.take(seen)
    first, second = (run.decider.decide(seen, Proposal(LARGE, "why")) for _ in range(2))
    assert (first.number, first.rule, first.guard) == (second.number, second.rule, second.guard)


def test_pressure_is_a_call_that_has_waited_for_half_of_what_it_may():
    """And is not told again for five seconds."""
    decider = Decider(Slo(wait=1.0))
    assert not decider.is_pressed(10.0, 0.4, 0.1)
    assert decider.is_pressed(10.0, 0.6, 0.1)
    assert not decider.is_pressed(14.0, 0.9, 0.1)
    assert decider.is_pressed(15.0, 0.9, 0.1)


def test_a_person_is_only_bound_by_the_bounds():
    """A wish beyond max_workers gets max_workers; no step and no pause holds it up."""
    run = Run(Says(SMALL))
    seen = observed(now=run.now, rule=SMALL, high=8)
    assert run.decider.command(seen, replace(SMALL, floor=20), "scale_up(18)").rule.floor == 8


@pytest.mark.parametrize("make", [Threshold, Target])
@pytest.mark.parametrize("period", [2, 4, 8, 20])
def test_a_square_wave_at_the_threshold_changes_the_rule_six_times_at_most(make, period):
    """For 30 minutes the load jumps between just below and just above what the size is right for."""
    policy, rule, now = make(Slo(), "prompt", 1, 64), fixed_rule(10), 0.0
    decider, changes = Decider(Slo()), 0
    for i in range(120):
        now += STEP_S
        is_high = i // period % 2
        load = 9.5 if is_high else 6.0
        busy, waiting = min(rule.floor, round(load)), max(0, round(load) - rule.floor) + 3 * is_high
        seen = observed(
            now=now, rule=rule, ready=rule.floor, busy=busy, waiting=waiting, in_system_s=load * STEP_S, low=1,
            **calls(60, now, wait_s=0.2 if waiting else 0.0),
        )  # fmt: skip
        decision = decider.step(seen, policy)
        changes += decision.is_change
        rule = decision.rule
    assert changes <= 6
