"""The record of calls: what can be rehearsed by now, and how many there were at once."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.call_record import CallRecord
from tests.optimizer.made import observed


def ended(*rows):
    """Arrival, service and wait of each."""
    return np.array(rows, float).reshape(-1, 3)


def test_calls_are_handed_out_in_order_up_to_the_first_that_has_not_ended():
    """The rest follows when it has."""
    record = CallRecord(100.0)
    record.note(observed(now=15.0, arrivals=np.array([1.0, 2.0, 3.0]), ended=ended((1, 0.5, 0), (3, 0.2, 0))))
    came, took = record.known(15.0, 0.5)
    assert (came.tolist(), took.tolist(), record.next_at) == ([1.0], [0.5], 2.0)
    record.note(observed(now=30.0, ended=ended((2, 20.0, 0))))
    came, took = record.known(30.0, 0.5)
    assert (came.tolist(), took.tolist()) == ([2.0, 3.0], [20.0, 0.2])


def test_calls_that_came_at_the_same_time_have_a_service_time_each():
    """Which is whose makes no difference."""
    record = CallRecord(100.0)
    record.note(observed(now=15.0, arrivals=np.array([1.0, 1.0]), ended=ended((1, 0.5, 0), (1, 0.7, 0))))
    assert record.known(15.0, 0.5)[1].tolist() == [0.5, 0.7]


def test_a_call_that_never_ends_holds_nobody_up_for_long():
    """Refused or lost, it counts as one like the others."""
    record = CallRecord(100.0)
    record.note(observed(now=15.0, arrivals=np.array([1.0, 2.0]), ended=ended((2, 0.5, 0))))
    assert len(record.known(15.0, 0.4)[0]) == 0
    assert record.known(90.0, 0.4)[1].tolist() == [0.4, 0.5]


def test_the_load_is_the_time_of_calls_over_the_time():
    """Those under way count until now; what waits counts as long as a call takes."""
    record = CallRecord(100.0)
    seen = observed(now=20.0, arrivals=np.array([2.0, 10.0, 15.0]), ended=ended((2, 4.0, 0)), busy=1, waiting=1)
    record.note(seen)
    assert record.means(seen, 0.0, (20.0, 10.0)).tolist() == pytest.approx([(4 + 10 + 0.1) / 20, (10 + 0.1) / 10])


def test_what_is_over_long_ago_is_forgotten():
    """The load of the window is the same without it."""
    record = CallRecord(60.0)
    for step in range(1, 60):
        now = 15.0 * step
        record.note(observed(now=now, arrivals=np.array([now - 5.0]), ended=ended((now - 5.0, 3.0, 0))))
        record.known(now, 1.0)
        assert record.means(observed(now=now), 0.0, (15.0,)).tolist() == pytest.approx([0.2])
    assert len(record._came) < 15
