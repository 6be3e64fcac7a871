"""Rehearsal where starts are long: looks made of calls whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np

from millpond.core import SizingRule
from millpond.optimizer.experts import EXPERTS
from millpond.optimizer.long_starts import HELD_LOOKS, MANY_CALLS, MOST_CALLS, LongStarts
from millpond.slo import Slo
from tests.optimizer.made import STEP_S, observed

RULE = SizingRule()


def steady(long_starts, looks, a_look=30, service_s=1.0, first=1, high=64, follows=True, late=0):
    """Show it so many looks with so many calls each, at random in them; returns all that was proposed."""
    random, rule, proposals = np.random.default_rng(7), RULE, []
    for look in range(first, first + looks):
        now = STEP_S * look
        came = now - STEP_S + np.sort(random.uniform(0.0, STEP_S - 1e-3, a_look))
        took = np.minimum(np.full(a_look, service_s), now - came)
        wait_s = np.where(np.arange(a_look) < late, 5.0, 0.0)
        seen = observed(
            now=now, start_s=2.0, service_s=service_s, arrivals=came, rule=rule, high=high,
            ended=np.stack([came, took, wait_s], axis=1),
        )  # fmt: skip
        long_starts.note(seen)
        proposals.append(long_starts.propose(seen))
        if follows:
            rule = proposals[-1].rule
    return proposals


def test_until_more_is_known_a_worker_is_ready_beyond_the_load():
    """And while nobody knows how long a start takes."""
    long_starts = LongStarts(Slo())
    seen = observed(start_s=0.0, arrivals=np.array([1.0, 2.0]))
    long_starts.note(seen)
    assert long_starts.propose(seen).rule.spares == 1


def test_what_is_proposed_would_have_kept_the_objective():
    """With its cost, its share and the next best, and the plan by its name."""
    proposal = next(one for one in reversed(steady(LongStarts(Slo()), 120)) if one.candidates)
    best = proposal.candidates[0]
    assert best.rule == proposal.rule
    assert proposal.plan == best.name in {one.name for one in EXPERTS}
    assert best.attainment > 0.98
    assert 2.0 < best.workers < 12.0
    assert best.name in proposal.reason


def test_a_looser_objective_is_cheaper():
    """Half of the calls may wait, and less is kept ready."""

    def workers(share):
        return next(one for one in reversed(steady(LongStarts(Slo(share=share)), 100)) if one.candidates).candidates[0]

    assert workers(0.5).workers < workers(0.999).workers


def test_nothing_is_done_while_nothing_happens():
    """The proposal stays the same object; the load of the windows has been looked at, ever more seldom."""
    long_starts = LongStarts(Slo())
    steady(long_starts, 40)
    proposals = []
    for look in range(41, 400):
        seen = observed(now=STEP_S * look, start_s=2.0, service_s=1.0)
        long_starts.note(seen)
        proposals.append(long_starts.propose(seen))
    assert len({id(one) for one in proposals}) < 12
    assert proposals[-1] is proposals[-150]


def test_no_more_workers_are_wanted_than_there_may_be():
    """In any of the rules."""
    for proposal in steady(LongStarts(Slo()), 60, a_look=90, high=3):
        assert all(0 <= one.rule.floor <= one.rule.ceiling <= 3 for one in proposal.candidates)
        assert proposal.rule.floor <= 3


def test_a_plan_that_is_not_followed_is_left_for_another():
    """Its numbers would be of no effect."""
    plans = [one.plan for one in steady(LongStarts(Slo()), 60, follows=False) if one.plan]
    longest = max(len(list(same)) for _, same in itertools.groupby(plans))
    assert longest <= HELD_LOOKS + 2 < len(plans) / 4
    followed = [one.plan for one in steady(LongStarts(Slo()), 60) if one.plan]
    assert max(len(list(same)) for _, same in itertools.groupby(followed)) > HELD_LOOKS + 2


def test_late_calls_make_the_aim_higher():
    """The same calls, of which some really were late."""

    def aim(late):
        long_starts = LongStarts(Slo())
        steady(long_starts, 60, late=late)
        return long_starts._evidence.aim()

    assert aim(3) < aim(0)


def test_of_very_many_calls_a_part_is_rehearsed():
    """Their time is left out, so that the cost of rules is what it was."""
    some, many = LongStarts(Slo()), LongStarts(Slo())
    steady(some, 12, a_look=MOST_CALLS, service_s=0.01)
    steady(many, 12, a_look=2 * MOST_CALLS, service_s=0.01)
    assert many._shadows.calls <= some._shadows.calls
    assert many._shadows.lived_s < 0.6 * some._shadows.lived_s


def test_with_much_evidence_every_second_run_of_looks_is_rehearsed():
    """And the others cost nothing."""
    long_starts = LongStarts(Slo())
    steady(long_starts, 2)
    before = long_starts._shadows.calls
    long_starts._calls = MANY_CALLS
    steady(long_starts, 64, first=3)
    assert 0.3 < (long_starts._shadows.calls - before) / (64 * 30) < 0.7
