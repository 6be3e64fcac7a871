"""The gaps of each level, against what a pool of workers would have done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.optimizer.level_gaps import FADE_CALLS, FADE_S, MOST_LEVELS, TIMEOUTS_S, LevelGaps

NONE = np.empty(0)


def noted(calls: list[tuple[float, float]], *looks: float) -> LevelGaps:
    """Calls are when they came and left; the last look comes after all of them."""
    gaps, since = LevelGaps(), -np.inf
    came, left = (np.sort(column) for column in np.array(calls).T)
    for now in looks:
        gaps.note(now, came[(came > since) & (came <= now)], left[(left > since) & (left <= now)], 0.0)
        since = now
    return gaps


def by_stack(calls: list[tuple[float, float]]) -> list[tuple[int, float]]:
    """Level and gap of each call that found a worker, by serving each with the one that was used last."""
    found, idle, at_work = [], [], []
    for came, left in sorted(calls):
        for end in sorted(end for end in at_work if end <= came):
            at_work.remove(end)
            idle.append(end)
        if idle:
            found.append((len(at_work) + 1, came - idle.pop()))
        at_work.append(left)
    return found


def test_a_level_is_empty_from_an_end_to_the_arrival_that_fills_it_again():
    """The second worker idles while one call is there, the first while none is."""
    gaps = noted([(0.0, 1.0), (1.5, 3.0), (2.0, 2.5), (10.0, 11.0)], 11.0)
    idle_s, missed = gaps.costs(11.0)
    assert gaps.seen()[:3].tolist() == [2.0, 0.0, 0.0]
    longer = int(np.searchsorted(TIMEOUTS_S, 8.0))
    assert (idle_s[0, longer], missed[0, longer]) == (pytest.approx(7.5), 0)
    assert (idle_s[1, longer], missed[1, longer]) == (pytest.approx(TIMEOUTS_S[longer]), 1)  # in progress since 2.5
    assert missed[:3, 0].tolist() == [2.0, 1.0, 0.0]


def test_an_end_comes_before_an_arrival_at_the_same_time():
    """That worker is free for it, after no time at all."""
    idle_s, missed = noted([(0.0, 1.0), (1.0, 2.0)], 2.0).costs(2.0)
    assert missed[0, 0] == 0
    assert idle_s[0, 0] == 0
    assert not missed[1].any()


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=40, unique_by=lambda c: c[0]
    ),
    looks=st.lists(st.integers(1, 400), max_size=6, unique=True),
)
def test_gaps_are_those_of_a_pool_that_serves_with_the_worker_used_last(calls, looks):
    """However often they are looked at."""
    times = [(came / 7, (came + took) / 7) for came, took in calls]
    gaps = noted(times, *sorted(looks), 1000.0)
    idle_s, missed = gaps.costs(1000.0)
    expected = by_stack(times)
    for level in range(1, len(gaps.seen()) + 1):
        ended = [gap for where, gap in expected if where == level]
        assert (gaps.seen()[level - 1] > 0) == bool(ended)
        if ended and not looks:
            weight = gaps.seen()[level - 1] / len(ended)
            for at, timeout in enumerate(TIMEOUTS_S[:-12]):  # shorter than the gap in progress
                assert missed[level - 1, at] - 1 == pytest.approx(weight * sum(gap > timeout for gap in ended))
                paid = sum(min(gap, timeout) for gap in ended)
                assert idle_s[level - 1, at] - timeout == pytest.approx(weight * paid, abs=1e-6)


def test_what_is_old_fades_by_time_or_calls_whichever_is_slower():
    """A quiet night makes nothing forgotten, and many calls in a second do not either."""
    gaps = noted([(0.0, 1.0), (2.0, 3.0)], 3.0)
    night = 3.0 + 10 * FADE_S
    gaps.note(night, NONE, NONE, 0.0)
    assert gaps.seen()[0] == 1.0
    calls = int(FADE_CALLS)
    many = night + np.linspace(0.0, 1.0, calls)
    gaps.note(night + 1.0, many, many + 1e-5, 0.0)
    assert gaps.seen()[0] == pytest.approx(calls + 1, rel=0.01)
    gaps.note(night + 1.0 + FADE_S, many + FADE_S, many + FADE_S + 1e-5, 0.0)
    assert gaps.calls == pytest.approx(calls * (1 + np.exp(-1.0)), rel=0.01)


def test_levels_above_the_most_are_taken_as_the_last():
    """So much is kept for a pool of any size."""
    came = np.arange(MOST_LEVELS + 50.0)
    gaps = LevelGaps()
    gaps.note(1e4, came, came + 1e3, 0.0)
    assert len(gaps.seen()) == MOST_LEVELS
    assert np.isfinite(gaps.costs(1e4)[0]).all()


def test_calls_that_left_or_came_without_being_told_are_missed_by_the_time_they_were_there():
    """One that expired is not in the pool for ever, and one that was there before anybody looked has come."""
    gaps = LevelGaps()
    gaps.note(0.0, NONE, NONE, 0.0, 0.0)
    gaps.note(10.0, np.array([1.0, 2.0]), NONE, 0.0, 17.0)
    gaps.note(20.0, np.array([19.0]), np.array([18.0]), 6.0, 9.0)  # the other of the first two left at once
    gaps.note(30.0, NONE, NONE, 0.0, 10.0)
    assert gaps.seen()[:2].tolist() == [0.0, 1.0]
    gaps.note(40.0, np.array([31.0]), np.array([32.0]), 1.0, 11.0)
    gaps.note(50.0, NONE, NONE, 0.0, 20.0)  # two are there
    gaps.note(60.0, np.array([51.0]), np.array([52.0]), 1.0, 21.0)
    assert gaps.seen()[:3].round(2).tolist() == [0.0, 3.0, 0.0]
