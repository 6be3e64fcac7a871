"""Trends: a leak is seen, noise and single leaps are not."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.trend import ENOUGH, LONGEST_S, NO_TREND, SAMPLES, SURE, TrendWatch, judge

MB = 1e6


def samples(values, every=10.0):
    return deque((n * every, float(value)) for n, value in enumerate(values))


def test_a_leak_is_sure_and_its_slope_is_told():
    """One megabyte each ten seconds, under noise of half of it."""
    noise = np.random.default_rng(1).normal(0, 0.5 * MB, 60)
    trend = judge(samples(100 * MB + np.arange(60) * MB + noise))
    assert trend.confidence > 0.999
    assert trend.slope == pytest.approx(0.1 * MB, rel=0.05)
    assert trend.seconds == 590.0


def test_noise_is_rarely_sure():
    """Of 200 series without a trend about one in twenty may be."""
    random = np.random.default_rng(2)
    sure = sum(judge(samples(random.normal(100 * MB, MB, 40))).confidence >= SURE for _ in range(200))
    assert sure <= 20


def test_one_leap_does_not_bend_the_slope():
    """A model is loaded once; that is no leak."""
    trend = judge(samples([100 * MB] * 30 + [300 * MB] * 3))
    assert trend.slope == 0.0


@pytest.mark.parametrize("values", [[], [5.0] * (ENOUGH - 1), range(ENOUGH - 1)])
def test_too_few_samples_say_nothing(values):
    """However straight the line."""
    assert judge(samples(values)) == NO_TREND


def test_what_does_not_change_has_no_trend():
    """Ties alone are no order."""
    trend = judge(samples([7.0] * 20))
    assert (trend.slope, trend.confidence) == (0.0, 0.0)


@given(st.lists(st.integers(0, 50), min_size=ENOUGH, max_size=40))
def test_turning_the_values_round_turns_the_slope_and_keeps_the_confidence(values):
    """Growing and shrinking are judged alike."""
    up, down = judge(samples(values)), judge(samples([-value for value in values]))
    assert up.slope == -down.slope
    assert up.confidence == down.confidence
    assert 0.0 <= up.confidence <= 1.0


def test_a_watch_keeps_sixty_samples_and_looks_back_ever_longer():
    """Every second sample goes when it is full; two hours is as far as it looks."""
    watch = TrendWatch()
    for second in range(20_000):
        watch.note(float(second), 100 * MB + second * 1_000)
    assert watch.trend.slope == pytest.approx(1_000)
    assert (SAMPLES - 1) * LONGEST_S * 0.5 < watch.trend.seconds <= (SAMPLES - 1) * LONGEST_S


def test_samples_that_come_too_soon_are_passed_over():
    """A look each second costs no judgement each second."""
    watch = TrendWatch()
    for tenth in range(700):
        watch.note(tenth / 10, float(tenth))
    assert watch.trend == NO_TREND
