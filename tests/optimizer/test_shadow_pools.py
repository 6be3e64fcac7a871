"""Shadow pools: the array form of the sizing rule, against the rule itself and against what a pool would do."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core import SizingRule
from millpond.optimizer.shadow_pools import ShadowPools, needed

INPUTS = 100_000


def pools(spares=(0,), drains=None, most=8, start_s=2.0, drain_s=None):
    """Shadow pools of so many spares each, with floors of 0 and timeouts of 60 s until they are set."""
    drains = [False] * len(spares) if drains is None else drains
    made = ShadowPools(np.array(spares), np.array(drains), most=most, wait_s=1.0, now=0.0, drain_s=drain_s)
    made.starts_take(start_s)
    return made


def timeouts(*levels, rules=1):
    """The same for all rules."""
    return np.tile(np.array(levels, float)[:, None], (1, rules))


def test_the_array_form_needs_as_many_workers_as_the_rule():
    """On a hundred thousand random inputs."""
    random = np.random.default_rng(1)
    busy, waiting = random.integers(0, 40, INPUTS), random.integers(0, 60, INPUTS)
    drain_s = np.where(random.random(INPUTS) < 0.5, random.uniform(0.0, 12.0, INPUTS), 0.0)
    overdue = random.integers(0, waiting + 1)
    for service_s in (0.0, 0.05, 1.7):
        found = needed(busy, waiting, overdue, service_s, drain_s).tolist()
        rows = zip(busy.tolist(), waiting.tolist(), overdue.tolist(), drain_s.tolist(), found, strict=True)
        for at_work, calls, old, seconds, workers in rows:
            assert workers == SizingRule(drain_s=seconds).needed(at_work, calls, old, service_s, 2.0)


def test_a_call_that_finds_no_worker_waits_for_a_start():
    """The next finds the worker idle, and nobody starts for it."""
    shadow = pools()
    shadow.call(0.0, 0.5)
    shadow.call(10.0, 0.5)
    shadow.advance(11.0)
    assert shadow.late.tolist() == [1]
    assert shadow.worker_s.tolist() == [11.0]


def test_a_backlog_may_have_less_time_to_drain_than_a_start_takes():
    """Three short calls at once: one worker is through with them while another starts, but not within a moment."""
    cost = []
    for drain_s in (None, 0.02):
        shadow = pools(drains=[True], drain_s=drain_s)
        shadow.set(0.0, np.array([1]), timeouts(60.0))
        for at in (5.0, 5.0, 5.0):
            shadow.call(at, 0.5)
        shadow.advance(10.0)
        cost.append(float(shadow.worker_s[0]))
    assert cost == [10.0, 20.0]


def test_an_idle_worker_costs_until_its_timeout_is_over():
    """However long nobody looks: ready after 2 s, at work for a second, idle for five."""
    shadow = pools()
    shadow.set(0.0, np.array([0]), timeouts(5.0))
    shadow.call(0.0, 1.0)
    shadow.advance(1_000.0)
    assert shadow.worker_s.tolist() == [8.0]


def test_a_floor_starts_workers_at_once_and_keeps_them():
    """Two are ordered when it is set."""
    shadow = pools()
    shadow.set(5.0, np.array([2]), timeouts(0.0))
    shadow.call(10.0, 1.0)
    shadow.advance(15.0)
    assert shadow.late.tolist() == [0]
    assert shadow.worker_s.tolist() == [20.0]


def test_a_spare_is_started_for_each_call_that_takes_one():
    """One call, one worker for it and one spare; the spare stops as the other is idle again and its time is over."""
    shadow = pools(spares=(1,))
    shadow.set(0.0, np.array([0]), timeouts(0.0))
    shadow.call(0.0, 4.0)
    shadow.advance(100.0)
    assert shadow.worker_s.tolist() == [6.0 + 100.0]


def test_a_backlog_that_drains_within_a_start_is_worth_one_worker():
    """Without draining each call is worth one."""
    shadow = pools(spares=(0, 0), drains=(True, False), most=8)
    shadow.call(0.0, 0.1)
    for at in (10.0, 10.01, 10.02, 10.03):
        shadow.call(at, 0.1)
    shadow.advance(11.0)
    assert shadow.worker_s[0] == 11.0
    assert shadow.worker_s[1] > 13.0


def test_time_that_is_left_out_is_no_time():
    """What was under way is under way as long as before."""
    plain, cut = pools(), pools()
    for shadow in (plain, cut):
        shadow.set(0.0, np.array([0]), timeouts(3.0))
        shadow.call(0.0, 4.0)
    cut.skip(100.0)
    plain.call(3.0, 1.0)
    cut.call(103.0, 1.0)
    plain.advance(50.0)
    cut.advance(150.0)
    assert plain.worker_s.tolist() == cut.worker_s.tolist()
    assert plain.late.tolist() == cut.late.tolist()


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.01, 30.0)), min_size=1, max_size=60),
    floors=st.lists(st.integers(0, 9), min_size=4, max_size=4),
    longest=st.floats(0.0, 40.0),
)
def test_no_more_workers_than_there_may_be_and_no_cost_without_time(calls, floors, longest):
    """Costs grow by no more than all workers for the time that passed, and every late call is a call."""
    shadow = pools(spares=(0, 1, 2, 0), drains=(False, False, True, True), most=8)
    shadow.set(0.0, np.array(floors), timeouts(longest, longest / 2, rules=4))
    now = 0.0
    for gap_s, service_s in calls:
        before, at = shadow.worker_s.copy(), now
        now += gap_s
        shadow.call(now, service_s)
        assert (shadow.worker_s >= before - 1e-9).all()
        assert (shadow.worker_s - before <= 8 * (now - at) + 1e-6).all()
    assert (shadow.late <= len(calls)).all()
    floor_s = np.minimum(floors, 8) * now
    assert (shadow.worker_s >= floor_s - 1e-6).all()
    assert math.isfinite(shadow.worker_s.sum())
