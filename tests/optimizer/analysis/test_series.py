"""The arithmetic of series: even steps, correlations that know how little dependent samples say, corrected tests."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.analysis.series import (
    autocorrelation,
    corrected,
    correlations,
    effective_length,
    ranks,
    resampled,
)
from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo
from tests.optimizer.made import observed


def correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    return correlations(one, other, [0])[0]


def wandering(seed: int, n: int = 400, memory: float = 0.95) -> np.ndarray:
    """An autoregressive series: each value is mostly the one before."""
    random = np.random.default_rng(seed)
    values = np.zeros(n)
    for i in range(1, n):
        values[i] = memory * values[i - 1] + random.normal()
    return values


def test_uneven_looks_give_even_steps():
    """A load of one call at work is one in each even step, whenever the looks were."""
    history, now = LoadHistory(Slo()), 0.0
    history.note(observed(now=now))
    for elapsed in (3.0, 15.0, 40.0, 2.0, 60.0):
        now += elapsed
        history.note(observed(now=now, in_system_s=elapsed))
    assert resampled(history.fine(), "in_system_s", 15.0) == pytest.approx(np.ones(8))


def test_a_constant_correlates_with_nothing():
    """Nor with its own past."""
    same = np.full(50, 3.3)
    assert not autocorrelation(same, 5).any()
    assert correlation(same, np.arange(50.0)) == (0.0, 1.0)


def test_ties_share_their_rank():
    """Equal values are equally far in the order."""
    assert list(ranks(np.array([5.0, 1.0, 5.0, 9.0]))) == [1.5, 0.0, 1.5, 3.0]


def test_dependent_samples_say_less():
    """Two series that wander slowly have far fewer independent samples than values."""
    assert effective_length(wandering(1), wandering(2)) < 100
    random = np.random.default_rng(5)
    assert effective_length(random.normal(size=400), random.normal(size=400)) > 300


def test_series_that_wander_on_their_own_are_seldom_called_alike():
    """At 5 % about one in twenty independent pairs passes; counted as independent samples most would."""
    passed = sum(correlation(wandering(2 * i), wandering(2 * i + 1))[1] < 0.05 for i in range(100))
    assert passed <= 15


def test_what_belongs_together_is_found():
    """A series and itself under noise pass any test."""
    one = wandering(7, memory=0.5)
    r, p = correlation(one, one + np.random.default_rng(8).normal(size=400))
    assert r > 0.6
    assert p < 1e-6


def test_tests_made_together_are_corrected():
    """Holm: the smallest p-value times their number, the next times one fewer, never less than the one before."""
    assert corrected([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert corrected([]) == []
