"""The guard: what no proposal may do, whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core import SizingRule
from millpond.optimizer.guarding import Guard, Limits, absurdity
from millpond.optimizer.policies.fixed import fixed_rule
from millpond.optimizer.policies.policy import Proposal
from tests.optimizer.made import observed

MiB = 1 << 20

seconds = st.floats(0.0, 1e6)
rules = st.builds(
    SizingRule,
    floor=st.integers(0, 2000),
    ceiling=st.integers(0, 2000),
    spares=st.integers(0, 2000),
    idle_timeouts=st.lists(st.floats(0.0, math.inf), min_size=1, max_size=5).map(tuple),
    patience_s=seconds,
    drain_s=st.none() | seconds,
)
bounds = st.tuples(st.integers(0, 100), st.integers(1, 100)).map(lambda two: (min(two), max(two)))


@st.composite
def situations(draw):
    """A pool of any size in any trouble, with a rule within its bounds."""
    low, high = draw(bounds)
    ready = draw(st.integers(0, high))
    seen = observed(
        now=1000.0, low=low, high=high, ready=ready, busy=draw(st.integers(0, ready)),
        starting=draw(st.integers(0, high - ready)), waiting=draw(st.integers(0, 500)),
        starts_failed=draw(st.integers(0, 2)), worker_bytes=draw(st.sampled_from([0, 10 * MiB, 1 << 30])),
        free_bytes=draw(st.sampled_from([None, 0, 100 * MiB, 64 << 30])),
        worker_cores=draw(st.sampled_from([0.0, 0.1, 1.0])), cores=draw(st.sampled_from([0, 2, 16])),
    )  # fmt: skip
    return replace(seen, rule=Guard(Limits()).bounded(draw(rules), seen))


@given(situations(), rules, st.floats(0.0, 100.0), st.booleans())
def test_a_rule_never_leaves_the_bounds(seen, proposed, most, is_missed):
    """Whatever is proposed: no floor or ceiling above max_workers, nothing negative, no timeout above the setting."""
    guard = Guard(Limits(longest_idle_s=300.0))
    guard.adopted(seen.rule, seen.rule, -1e6)
    rule = guard.check(seen, Proposal(proposed, ""), most, is_missed).rule
    if rule is not seen.rule:
        assert 0 <= rule.floor <= rule.ceiling <= seen.high
        assert rule.ceiling >= max(seen.low, 1)
        assert 0 <= rule.spares <= seen.high
        assert all(0.0 <= timeout <= 300.0 for timeout in rule.idle_timeouts)


@given(situations(), rules, st.floats(0.0, 100.0), st.booleans())
def test_what_the_guard_lets_through_it_lets_through_again(seen, proposed, most, is_missed):
    """Checked once more in the same situation, a rule is left as it is."""
    guard = Guard(Limits())
    guard.adopted(seen.rule, seen.rule, -1e6)
    once = guard.check(seen, Proposal(proposed, ""), most, is_missed).rule
    assert guard.check(seen, Proposal(once, ""), most, is_missed).rule == once


@given(situations(), rules, st.floats(0.0, 100.0), st.booleans())
def test_nothing_is_raised_while_workers_cannot_start(seen, proposed, most, is_missed):
    """Neither the floor nor the spares nor the ceiling goes up while starts fail."""
    seen = replace(seen, starts_failed=1)
    rule = Guard(Limits()).check(seen, Proposal(proposed, ""), most, is_missed).rule
    assert rule.floor <= max(seen.rule.floor, 0)
    assert rule.spares <= seen.rule.spares
    assert rule.ceiling <= seen.rule.ceiling


@given(situations(), rules, st.floats(0.0, 100.0))
def test_memory_bounds_the_rule_but_sends_nobody_away(seen, proposed, most):
    """No more workers than there are and fit beside them; what is there may stay."""
    seen = replace(seen, worker_bytes=1 << 30, free_bytes=2 << 30, starts_failed=0, worker_cores=0.0)
    guard = Guard(Limits())
    guard.adopted(seen.rule, seen.rule, -1e6)
    rule = guard.check(seen, Proposal(proposed, ""), most, False).rule
    if rule is not seen.rule:
        assert rule.ceiling <= max(seen.ready + seen.starting + 1, seen.low, 1)
        assert rule.ceiling >= min(proposed.ceiling, seen.ready + seen.starting, seen.high)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize(
    "name", ["busy", "waiting", "ready", "starting", "in_system_s", "start_s", "service_s", "high", "free_bytes"]
)
def test_absurd_numbers_are_named(name, value):
    """What is no number, infinite or negative is no measurement."""
    assert name in absurdity(observed(**{name: value}))


@pytest.mark.parametrize(
    "fields",
    [
        {"arrivals": np.array([1.0, math.nan])},
        {"ended": np.array([[1.0, math.inf]])},
        {"ended": np.array([[1.0, -0.5]])},
        {"waits": {"read": np.array([math.nan])}},
        {"low": 5, "high": 4},
        {"rule": SizingRule(floor=-1)},
        {"rule": SizingRule(idle_timeouts=())},
    ],
)
def test_absurd_records_are_named(fields):
    """So are impossible calls, bounds and rules."""
    assert absurdity(observed(**fields))


def test_what_was_measured_of_a_quiet_pool_is_nothing_absurd():
    """Zeros are numbers."""
    assert absurdity(observed(ready=0, start_s=0.0, service_s=0.0)) == ""


@pytest.mark.parametrize(
    "proposed",
    [
        SizingRule(floor=-1),
        SizingRule(idle_timeouts=()),
        SizingRule(idle_timeouts=(math.nan,)),
        SizingRule(patience_s=math.nan),
        SizingRule(drain_s=math.inf),
    ],
)
def test_an_absurd_proposal_changes_nothing(proposed):
    """The rule in force stays, and the guard says why."""
    seen = observed(rule=SizingRule(ceiling=64))
    guarded = Guard(Limits()).check(seen, Proposal(proposed, ""), 4.0, True)
    assert guarded.rule == seen.rule
    assert guarded.changes[0].startswith("The proposal was not followed: its ")


def test_no_more_workers_are_kept_than_the_cores_can_do():
    """On two cores that each worker uses one of, three; whoever waits may have one started all the same."""
    seen = observed(ready=2, cores=2, worker_cores=1.0, rule=SizingRule(floor=2, ceiling=64))
    guarded = Guard(Limits()).check(seen, Proposal(SizingRule(floor=8, ceiling=64), ""), 8.0, False)
    assert (guarded.rule.floor, guarded.rule.ceiling) == (3, 64)
    assert guarded.changes == ("No more than 3 are kept: so many use all of 2 cores.",)
    guarded = Guard(Limits()).check(seen, Proposal(fixed_rule(8), ""), 8.0, False)
    assert guarded.rule == fixed_rule(3)


def test_a_blocked_raise_says_what_was_wanted_and_what_is_there():
    """And what keeps workers from starting."""
    seen = observed(ready=2, starts_failed=3, start_error="no such model", rule=SizingRule(floor=2, ceiling=64))
    guarded = Guard(Limits()).check(seen, Proposal(SizingRule(floor=8, ceiling=64), ""), 8.0, True)
    assert guarded.rule == seen.rule
    assert guarded.changes == ("wanted 8, have 2, blocked: no such model",)


def test_a_floor_goes_up_by_steps_of_what_was_needed_of_late():
    """At most twice what was at work of late, or four more; but the first choice is free."""
    seen, rule = observed(now=1000.0, ready=0, rule=SizingRule(ceiling=64)), SizingRule(floor=1, ceiling=64)
    guard = Guard(Limits())
    assert guard.check(seen, Proposal(SizingRule(floor=60, ceiling=64), ""), 1.0, True).rule.floor == 60
    guard.adopted(rule, seen.rule, 0.0)
    assert guard.check(seen, Proposal(SizingRule(floor=60, ceiling=64), ""), 1.0, True).rule.floor == 4
    assert guard.check(seen, Proposal(SizingRule(floor=60, ceiling=64), ""), 20.0, True).rule.floor == 40


def test_a_fixed_size_goes_down_by_half_at_most():
    """A floor that is the ceiling takes workers away from calls; another only stops keeping idle ones."""
    guard = Guard(Limits())
    guard.adopted(fixed_rule(9), fixed_rule(8), -1000.0)
    assert guard.check(observed(rule=fixed_rule(9)), Proposal(fixed_rule(1), ""), 9.0, False).rule == fixed_rule(5)
    seen = observed(rule=SizingRule(floor=9, ceiling=64))
    assert guard.check(seen, Proposal(SizingRule(floor=1, ceiling=64), ""), 9.0, False).rule.floor == 1


def test_nothing_is_lowered_soon_after_a_raise_and_ever_later_while_they_alternate():
    """A minute at first; raised again soon after it was lowered, two, four, and so on."""
    guard, small, large = Guard(Limits(changes=100)), SizingRule(floor=2, ceiling=64), SizingRule(floor=6, ceiling=64)
    pauses, now = [], 1000.0
    for _ in range(4):
        guard.adopted(small, large, now)
        raised_at = now
        while guard.check(observed(now=now, rule=large), Proposal(small, ""), 6.0, False).rule == large:
            now += 1.0
        pauses.append(now - raised_at)
        guard.adopted(large, small, now)
        now += 1.0
    assert pauses == [60.0, 120.0, 240.0, 480.0]


def test_five_changes_in_half_an_hour_are_enough_unless_the_objective_is_missed():
    """Then only what raises goes on."""
    guard, rule = Guard(Limits()), SizingRule(floor=2, ceiling=64)
    for i in range(5):
        guard.adopted(rule, replace(rule, floor=3), 100.0 + i)
    seen = observed(now=200.0, rule=rule)
    more = replace(rule, floor=4)
    assert guard.check(seen, Proposal(more, ""), 4.0, False).changes == ("5 changes in 30 min are enough.",)
    assert guard.check(seen, Proposal(more, ""), 4.0, True).rule == more
    assert guard.check(replace(seen, now=1905.0), Proposal(more, ""), 4.0, False).rule == more


def test_a_proposal_that_differs_little_is_no_change():
    """Learned timeouts wander; a floor of 50 or 52 is the same."""
    rule = SizingRule(floor=50, ceiling=64, idle_timeouts=(60.0, 20.0), patience_s=0.5)
    near = SizingRule(floor=52, ceiling=64, idle_timeouts=(66.0, 21.0), patience_s=0.52)
    assert Guard(Limits()).check(observed(rule=rule), Proposal(near, ""), 50.0, False).rule is rule


def test_a_rule_that_was_taken_back_is_not_tried_again_before_its_time():
    """Neither that rule nor one that differs little from it."""
    guard, rule = Guard(Limits()), SizingRule(floor=2, ceiling=64)
    worse = replace(rule, floor=5)
    guard.refuse(Proposal(worse, ""), 300.0, 500.0)
    assert guard.check(observed(now=400.0, rule=rule), Proposal(worse, ""), 5.0, True).rule == rule
    assert guard.check(observed(now=500.0, rule=rule), Proposal(worse, ""), 5.0, True).rule == worse


def test_a_plan_is_kept_for_a_minute():
    """Who has plans chooses by all that was seen, not by the last look: neither a budget nor growing pauses hold it."""
    guard, rule = Guard(Limits()), SizingRule(floor=2, ceiling=64)
    for i in range(10):
        guard.adopted(rule, replace(rule, floor=3), 100.0 + i)
    other = Proposal(replace(rule, floor=1, spares=1), "", plan="a")
    held = guard.check(observed(now=160.0, rule=rule), other, 4.0, False)
    assert held.changes == ("A plan is kept for 60 s.",)
    assert guard.check(observed(now=169.0, rule=rule), other, 4.0, False).rule == other.rule


def test_a_plan_that_was_taken_back_is_not_tried_again_with_other_numbers():
    """Unless the objective is missed without it, which shows a while after it was taken back only."""
    guard, rule = Guard(Limits()), SizingRule(floor=2, ceiling=64)
    guard.refuse(Proposal(replace(rule, floor=5), "", plan="a"), 200.0, 500.0)
    again = Proposal(replace(rule, floor=8), "", plan="a")
    assert guard.check(observed(now=340.0, rule=rule), again, 8.0, True).rule == rule
    assert guard.check(observed(now=400.0, rule=rule), again, 8.0, False).rule == rule
    assert guard.check(observed(now=400.0, rule=rule), again, 8.0, True).rule == again.rule


def test_numbers_that_do_not_matter_now_are_not_brought_up_to_date():
    """The timeouts of workers that are not there, and what differs little."""
    rule = SizingRule(floor=2, ceiling=64, idle_timeouts=(60.0, 30.0, 20.0, 10.0, 5.0))
    seen, guard = observed(ready=2, rule=rule), Guard(Limits())
    assert guard.refreshed(seen, replace(rule, idle_timeouts=(60.0, 30.0, 20.0, 10.0, 2.0))) is rule
    assert guard.refreshed(seen, replace(rule, idle_timeouts=(66.0, 30.0, 20.0, 10.0, 5.0))) is rule
    other = replace(rule, idle_timeouts=(60.0, 30.0, 20.0, 2.0, 5.0))
    assert guard.refreshed(seen, other) == other
