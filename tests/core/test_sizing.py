"""How many workers: arithmetic on values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core.records.sizing import Load, Sizing, SizingRule
from millpond.settings import Settings


def sizing(start_s: float = 1.0) -> Sizing:
    """Between 1 and 8 workers, which take so long to start."""
    made = Sizing(Settings(min_workers=1, max_workers=8, restart_backoff=1.0, restart_backoff_max=30.0))
    made.start_s = start_s
    return made


def test_what_is_wanted_stays_within_bounds():
    """Whoever asks for more or less gets the bound."""
    made = sizing()
    assert [made.want(n) for n in (0, 5, 99)] == [1, 5, 8]
    made.go_by(Settings(min_workers=2, max_workers=4), made.rule)
    assert made.wanted == 4
    made.go_by(Settings(min_workers=6, max_workers=9), made.rule)
    assert made.wanted == 6
    made.go_by(Settings(min_workers=1, max_workers=9), SizingRule(floor=3, ceiling=4))
    assert [made.wanted, made.want(0), made.want(99)] == [4, 3, 4]
    made.go_by(Settings(min_workers=5, max_workers=9), SizingRule(floor=99, ceiling=0))
    assert [made.wanted, made.want(0)] == [9, 9]


@pytest.mark.parametrize(
    ("load", "workers"),
    [
        (Load(1, 50, 50, 0.002), 1),  # drains ten times before a worker could start
        (Load(1, 50, 50, 0.1), 5),  # five starts' worth of work
        (Load(1, 3, 3, 20.0), 4),  # never more workers than calls
        (Load(5, 50, 50, 0.1), 5),
        (Load(1, 50, 50, 60.0), 8),
        (Load(1, 1, 1, math.inf), 2),  # whoever serves is stuck
        (Load(0, 2, 2, 0.001), 1),
        (Load(1, 2, 1, 60.0), 2),  # the other is not old enough
        (Load(3, 0, 0, 0.0), 3),
    ],
)
def test_a_backlog_is_worth_what_a_start_costs(load, workers):
    """None if it drains first, and as many as the work is worth otherwise."""
    assert sizing().worth(load) == workers


def test_what_stands_by_need_not_be_waited_for():
    """A backlog that drains before a worker could start is worth those that stand by, if it is not over at once."""
    assert sizing().worth(Load(1, 50, 50, 0.01), standing_by=2) == 3
    assert sizing().worth(Load(1, 50, 50, 0.0005), standing_by=2) == 1


def test_a_call_that_is_to_wait_belies_nothing_by_it():
    """What it is expected to take is doubted when a worker that was started for it should have been through."""
    made = sizing()
    assert made.belied_after_s == made.start_s
    made.go_by(made.settings, SizingRule(patience_s=0.5, drain_s=0.25))
    assert made.belied_after_s == 0.75 + made.start_s


@given(
    busy=st.integers(0, 64),
    waiting=st.integers(0, 1000),
    share=st.floats(0, 1),
    service_s=st.floats(0, 100),
    start_s=st.floats(0, 100),
    drain_s=st.none() | st.floats(0, 100),
    window_s=st.floats(0, 10),
)
def test_the_rule_keeps_those_at_work_and_wants_no_more_than_one_for_each_overdue_call(
    busy, waiting, share, service_s, start_s, drain_s, window_s
):
    """Whatever the numbers; and without calls that wait it wants nobody but those at work."""
    overdue = int(waiting * share)
    needed = SizingRule(drain_s=drain_s, window_s=window_s).needed(busy, waiting, overdue, service_s, start_s)
    assert busy <= needed <= busy + overdue
    unbounded = SizingRule(drain_s=0.0).needed(busy, waiting, overdue, service_s, start_s)
    assert unbounded == busy + overdue


def test_timeouts_are_by_level():
    """The last one is that of all beyond; the setting `idle_timeout` is the longest."""
    rule = SizingRule(idle_timeouts=(5.0, 3.0, 1.0))
    assert [rule.timeout(level) for level in (1, 2, 3, 4, 64)] == [5.0, 3.0, 1.0, 1.0, 1.0]
    made = Sizing(Settings(max_workers=8, idle_timeout=4.0))
    assert made.timeout(1) == 4.0
    made.go_by(made.settings, rule)
    assert [made.timeout(level) for level in (1, 2, 3)] == [4.0, 3.0, 1.0]


def test_one_start_at_a_time_while_they_fail():
    """And none before the pause is over."""
    made = sizing()
    assert made.allowed(5, 0, 0.0) == 5
    at = made.start_failed(10.0, chance=0.5)
    assert at == 11.0
    assert [made.allowed(5, 0, now) for now in (10.9, 11.0)] == [0, 1]
    assert made.allowed(5, 1, 11.0) == 0
    assert made.allowed(0, 0, 11.0) == 0
    made.proved_well()
    assert made.allowed(5, 3, 11.0) == 5


def test_pauses_double_up_to_a_bound():
    """1, 2, 4 seconds and so on, give or take a quarter, and thirty at most."""
    made = sizing()
    pauses = [made.start_failed(0.0, chance=0.5) for _ in range(8)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 26.25, 26.25, 26.25]
    assert [made.start_failed(0.0, chance) for chance in (0.0, 1.0)] == [22.5, 30.0]
    made.proved_well()
    assert made.start_failed(0.0, chance=0.0) == 0.75
    made.proved_well()
    assert made.start_failed(0.0, chance=0.999) == pytest.approx(1.25, abs=0.01)


def test_starts_that_fail_together_are_one_failure():
    """A batch of six doubles no pause; the next start that fails alone does."""
    made = sizing()
    assert made.start_failed(0.0, chance=0.5) == 1.0
    assert [made.start_failed(0.1, chance=0.5, is_one_more=False) for _ in range(5)] == [1.1] * 5
    assert made.start_failed(2.0, chance=0.5) == 4.0


def test_a_pool_whose_starts_fail_for_days_goes_on_trying():
    """The pause stays at its bound, however often it was doubled."""
    made = sizing()
    assert max(made.start_failed(0.0, chance=1.0) for _ in range(5000)) == 30.0
