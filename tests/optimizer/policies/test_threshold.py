"""The policy that steps up and down at thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.policies.fixed import fixed_rule
from millpond.optimizer.policies.threshold import Threshold
from millpond.slo import Slo
from tests.optimizer.made import observed


def policy() -> Threshold:
    return Threshold(Slo(), "prompt", 0, 64)


@pytest.mark.parametrize(("waiting", "more"), [(1, 1), (5, 2), (12, 3), (15, 4), (500, 4)])
def test_a_queue_before_busy_workers_adds_by_its_length(waiting, more):
    """Over 90 %: one, and one more for each five calls that wait, at most three."""
    seen = observed(ready=10, busy=10, waiting=waiting, rule=fixed_rule(10))
    assert policy().propose(seen).rule == fixed_rule(10 + more)


def test_workers_that_have_nothing_to_do_go_one_at_a_time():
    """Under 30 %, down to one."""
    assert policy().propose(observed(ready=10, busy=2, rule=fixed_rule(10))).rule == fixed_rule(9)
    assert policy().propose(observed(ready=1, busy=0, rule=fixed_rule(1))).rule == fixed_rule(1)


def test_between_the_thresholds_nothing_changes():
    """From 30 % to 90 % the size is right."""
    assert policy().propose(observed(ready=10, busy=5, rule=fixed_rule(10))).rule == fixed_rule(10)


def test_calls_that_wait_without_a_high_utilization_add_overflow_workers_up_to_the_base():
    """One a look while they wait longer than 100 ms, at most as many as the base size."""
    threshold, size = policy(), 3
    for _ in range(6):
        waits = {"read": np.full(5, 0.2)}
        seen = observed(ready=size, busy=size // 2, waiting=1, waits=waits, rule=fixed_rule(size))
        size = threshold.propose(seen).rule.floor
    assert size == 6
