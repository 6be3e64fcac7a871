"""How calls wait, and when the queue would be full."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.analysis.waiting import find_waiting
from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo
from tests.optimizer.made import history_of, observed


def test_a_growing_queue_is_told_with_the_time_until_it_is_full():
    """Two calls more a second, 1000 places: it is full when the rest is used up."""
    history = history_of(20, waiting=[30 * i for i in range(20)], max_queued=[1000] * 20)
    found = {one.name: one for one in find_waiting(history)}["queue_trend"]
    assert found.numbers["calls_a_second"] == pytest.approx(2.0)
    assert found.numbers["full_in_s"] == pytest.approx((1000 - 570) / 2.0)
    assert "would be full in 215 s" in found.sentence


def test_a_queue_that_is_steady_has_no_trend():
    """Noise is no slope."""
    waiting = np.random.default_rng(1).poisson(5.0, 20)
    assert "queue_trend" not in [one.name for one in find_waiting(history_of(20, waiting=waiting))]


def test_the_operation_that_waits_longest_is_named_with_its_share_of_the_deadline():
    """Half a second of ten is five per cent."""
    history = LoadHistory(Slo())
    history.note(observed(now=0.0))
    waits = {"read": np.full(50, 0.1), "write": np.full(50, 0.5)}
    history.note(observed(now=15.0, waits=waits, deadline_s=10.0))
    (found,) = find_waiting(history)
    assert found.numbers["deadline_share:write"] == pytest.approx(0.05)
    assert found.numbers["mean_s"] == pytest.approx(0.3)
    assert "'write' the longest" in found.sentence
