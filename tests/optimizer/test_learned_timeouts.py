"""Idle timeouts chosen by what they would have cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.optimizer.learned_timeouts import FEW, costs_of, in_levels, in_seconds
from millpond.optimizer.level_gaps import TIMEOUTS_S, LevelGaps

START_S = 0.2


def after(*gaps_s: float, busy_s: float = 1.0):
    """What is known after one worker had these gaps between calls of a second."""
    gaps, now = LevelGaps(), 0.0
    came, left = [0.0], [1.0]
    for gap in gaps_s:
        came.append(left[-1] + gap)
        left.append(came[-1] + 1.0)
    now = left[-1]
    gaps.note(now, np.array(came), np.array(left), busy_s * len(came))
    return costs_of(gaps, now, START_S)


def test_a_worker_never_idles_longer_than_a_start_and_its_price_are_worth():
    """However sure it seems that it will be needed."""
    costs = after(*[0.3] * 20)
    assert costs.cheapest(0.0).max() == 0
    assert in_seconds(costs.cheapest(0.2))[0] >= 0.3
    assert all(TIMEOUTS_S[costs.cheapest(price)].max() <= START_S + price for price in (0.0, 0.1, 0.5, 5.0))


def test_short_gaps_are_idled_through_and_long_ones_are_not():
    """The timeout is just as long as the short ones."""
    costs = after(*[0.05, 30.0] * 10)
    assert in_seconds(costs.cheapest(0.0))[0] == pytest.approx(0.05, rel=0.3)
    assert costs.least_s == pytest.approx(21 + 10 * 0.05 + 10 * START_S, rel=0.1)


def test_a_level_of_which_little_is_known_has_the_timeout_of_a_start():
    """That costs at most twice the least possible; but not a longer one than the level below, which is used more."""
    costs = after(*[0.01] * int(FEW - 1))
    unknown = costs.least_starts(2 * costs.least_s, 1.0)
    assert in_seconds(in_levels(unknown, 20, START_S)) == pytest.approx([START_S] * 20, rel=0.3)
    idle_never = np.zeros(3, int)
    assert in_seconds(in_levels(idle_never, 5, START_S)) == (0.0,) * 5


@given(
    gaps_s=st.lists(st.floats(0.001, 20.0), min_size=12, max_size=60),
    extra=st.floats(0.0, 0.5),
    most_s=st.floats(0.0, 5.0),
)
def test_no_more_is_spent_than_the_budget_and_it_saves_starts(gaps_s, extra, most_s):
    """Unless even the cheapest timeouts cost more; and none is dearer than what a start may be worth."""
    costs = after(*gaps_s)
    budget_s = (1.0 + extra) * costs.least_s
    choice, cheapest = costs.least_starts(budget_s, most_s), costs.cheapest(0.0)
    assert costs.of(choice) <= max(budget_s, costs.of(cheapest)) + 1e-9
    assert costs.starts(choice) <= costs.starts(cheapest) + 1e-9
    assert TIMEOUTS_S[choice][0] <= START_S + most_s


def test_a_larger_budget_saves_more_starts():
    """Up to where the next would cost more than it is worth."""
    rng = np.random.default_rng(1)
    costs = after(*rng.exponential(1.0, 400))
    starts = [costs.starts(costs.least_starts((1.0 + extra) * costs.least_s, 2.0)) for extra in (0.0, 0.1, 0.2, 0.4)]
    assert starts == sorted(starts, reverse=True)
    assert starts[-1] < 0.7 * starts[0]
