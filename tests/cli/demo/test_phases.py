"""The plan of the demo's traffic."""

from __future__ import annotations

import pytest

from millpond.cli.demo.phases import BETWEEN, CYCLE_S, DIGITS, KILLS, LASTS, PHASES, PLAIN, Plan

QUIET, BURSTS, OVERLOAD = PHASES


def test_the_phases_follow_each_other_for_ever():
    """In their order, each as long as its share of the cycle, and numbered from the beginning."""
    plan = Plan(100.0)
    places = [plan.at(seconds) for seconds in (0.0, 19.9, 20.1, 54.9, 55.1, 99.9, 100.1, 1020.1)]
    assert [place.phase.name for place in places] == [
        *("quiet", "quiet", "bursts", "bursts", "overload", "overload", "quiet", "bursts")
    ]
    assert [place.number for place in places] == [0, 0, 1, 1, 2, 2, 3, 31]
    assert places[2].elapsed_s == pytest.approx(0.1)
    assert [place.length_s for place in places[1:7:2]] == pytest.approx([20.0, 35.0, 45.0])


def test_the_shares_are_the_whole_cycle():
    """No moment is without a phase."""
    assert sum(phase.share for phase in PHASES) == pytest.approx(1.0)


def test_bursts_come_and_go_within_their_phase():
    """As many as the phase has, with a tenth of the load in between."""
    plan = Plan(100.0)
    loads = [plan.load(DIGITS, 20.0 + 35.0 / 8 * half + 0.1) for half in range(8)]
    assert loads == pytest.approx([BURSTS.loads[DIGITS], BURSTS.loads[DIGITS] * BETWEEN] * 4)


def test_only_the_overload_is_more_than_the_workers_can_do():
    """And of the pool whose sessions are to survive alone: the other one shares its cores."""
    assert [phase.name for phase in PHASES if phase.loads[DIGITS] > 1] == [OVERLOAD.name]
    assert all(phase.loads[PLAIN] < 0.5 for phase in PHASES)
    assert QUIET.loads[DIGITS] < 0.2


@pytest.mark.parametrize("seconds", [3.0, 30.0, 60.0, 3600.0])
def test_a_demo_that_ends_has_every_phase_and_both_kills(seconds):
    """However short it is; a long one has phases no longer than one without an end."""
    plan = Plan.lasting(seconds)
    assert plan.cycle_s * LASTS <= seconds
    assert plan.cycle_s <= CYCLE_S
    assert all(plan.kill_s(pool) + plan.wait_s < seconds for pool in KILLS)


def test_workers_are_killed_among_bursts():
    """Sessions are with them then, and whoever watches has seen the pool quiet; not both in the same cycle."""
    plan = Plan(100.0)
    moments = [plan.kill_s(pool) + wait_s for pool in (DIGITS, PLAIN) for wait_s in (0.0, plan.wait_s)]
    assert [plan.at(moment).phase for moment in moments] == [BURSTS] * 4
    assert plan.kill_s(PLAIN) - plan.kill_s(DIGITS) > 0.5 * plan.cycle_s
