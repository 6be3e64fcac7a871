"""What is chosen from what rules cost and whom they kept waiting."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.evidence import Evidence


def after(looks, late, cost=(1.0, 2.0), calls=100):
    """Evidence of two rules, the first the cheaper, after so many looks with so many late calls each."""
    evidence = Evidence(2, 0.0, 0.0, 0.01)
    for look in range(1, looks + 1):
        evidence.note(15.0 * look, 15.0 * np.array(cost), np.array(late), calls, 15.0)
        evidence.choose()
    return evidence


def test_the_cheapest_that_keeps_the_objective_is_chosen():
    """A dearer one where the cheap one lets too many wait."""
    assert after(50, (0, 0)).chosen == 0
    assert after(50, (3, 0)).chosen == 1


def test_a_rule_that_is_little_cheaper_is_no_reason_to_change():
    """Three percent are."""
    evidence = after(50, (3, 0))
    evidence.note(800.0, np.array([10.0, 19.9]), np.array([0, 0]), 0, 10.0)
    chosen = evidence.chosen
    evidence.choose()
    assert evidence.chosen == chosen == 1


def test_a_surge_is_forgotten_after_about_the_time_before_it():
    """What happened counts by the square of its time."""
    evidence = Evidence(2, 0.0, 0.0, 0.01)
    chosen = []
    for look in range(1, 401):
        evidence.note(15.0 * look, np.array([15.0, 30.0]), np.array([60 * (look == 40), 0]), 100, 15.0)
        evidence.choose()
        chosen.append(evidence.chosen)
    assert chosen[38] == 0
    assert chosen[40] == 1
    assert chosen[-1] == 0


def test_who_met_more_than_was_asked_may_meet_less():
    """And the other way round, within bounds."""
    evidence = after(50, (0, 0))
    plain = evidence.aim()
    evidence.note_met(800.0, 5_000, 0)
    assert evidence.aim() > plain
    evidence.note_met(900.0, 5_000, 2_000)
    assert evidence.aim() < plain
    assert 0.0 < evidence.aim() < 0.02


def test_a_rule_that_is_left_out_is_not_chosen():
    """Nor is it kept."""
    evidence = after(50, (0, 0))
    evidence.choose(without=[0])
    assert evidence.chosen == 1


def test_what_a_rule_would_have_cost_and_met_is_told():
    """In workers on average, and as a share of the calls."""
    evidence = after(1, (1, 0), cost=(2.0, 3.0))
    assert evidence.workers(1) == pytest.approx(3.0)
    assert evidence.attainment(0) == pytest.approx(0.99)


def test_an_objective_of_all_calls_can_be_asked_for():
    """Then the rule that met it is chosen."""
    evidence = Evidence(2, 0.0, 0.0, 0.0)
    evidence.note(15.0, np.array([15.0, 30.0]), np.array([5, 0]), 100, 15.0)
    evidence.choose()
    assert evidence.chosen == 1
