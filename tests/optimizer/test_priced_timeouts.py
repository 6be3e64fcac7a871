"""Timeouts learned at a price."""

from __future__ import annotations

import numpy as np

from millpond.optimizer.priced_timeouts import PricedTimeouts
from tests.optimizer.made import observed


def learned(gap_s, calls=200, prices_s=(1.0, 100.0), start_s=2.0):
    """After calls of one second that came one at a time, so far apart from the end of the one before."""
    priced = PricedTimeouts(prices_s)
    came = np.arange(calls) * (gap_s + 1.0)
    ended = np.stack([came, np.ones(calls), np.zeros(calls)], axis=1)
    now = came[-1] + 1.0
    priced.note(observed(now=now, arrivals=came, ended=ended))
    return priced.at(now, start_s)


def test_a_worker_idles_as_long_as_the_gaps_where_missing_it_costs_more():
    """Ten seconds are cheaper than 102 and dearer than 3."""
    timeouts = learned(10.0)
    assert timeouts[0, 0] == 0.0
    assert 10.0 <= timeouts[1, 0] < 12.0


def test_no_worker_idles_for_longer_than_missing_it_costs():
    """Whatever the gaps."""
    for gap_s in (0.5, 5.0, 50.0, 500.0):
        assert (learned(gap_s) <= np.array([[3.0], [102.0]])).all()


def test_a_worker_of_a_lower_level_idles_as_long_at_least():
    """Those above go first."""
    random = np.random.default_rng(5)
    came = np.sort(random.uniform(0.0, 3_000.0, 3_000))
    took = random.exponential(2.0, 3_000)
    priced = PricedTimeouts((1.0, 30.0, 400.0))
    priced.note(observed(now=3_100.0, arrivals=came, ended=np.stack([came, took, np.zeros(3_000)], axis=1)))
    timeouts = priced.at(3_100.0, 2.0)
    assert (np.diff(timeouts, axis=1) <= 0).all()
    assert (np.diff(timeouts, axis=0) >= 0).all()


def test_nothing_is_learned_anew_from_hardly_any_calls():
    """The answer is the same array."""
    priced = PricedTimeouts((1.0,))
    first = priced.at(0.0, 2.0)
    priced.note(observed(now=15.0, arrivals=np.arange(10.0)))
    second = priced.at(15.0, 2.0)
    assert second is not first
    assert priced.at(30.0, 2.0) is second
