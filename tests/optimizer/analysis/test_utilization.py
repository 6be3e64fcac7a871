"""Level, trend, recurrence and bursts of a load whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.analysis.utilization import find_utilization
from tests.optimizer.made import STEP_S, history_of

STEPS = 400


def findings(**columns):
    columns = {"in_system_s": np.full(STEPS, STEP_S)} | columns
    return {one.name: one for one in find_utilization(history_of(STEPS, **columns))}


def test_the_level_is_the_calls_at_work_over_the_ready_workers():
    """One call at work on average for four ready workers uses a quarter of them."""
    found = findings(ready=[4] * STEPS)["utilization"]
    assert found.numbers["calls"] == pytest.approx(1.0)
    assert found.numbers["utilization"] == pytest.approx(0.25)
    assert found.confidence == 1.0


@pytest.mark.parametrize("period_s", [300.0, 900.0, 1500.0])
def test_a_load_that_repeats_is_found_with_its_period(period_s):
    """A recurrence under noise is named with its length, within a step or two."""
    at = np.arange(STEPS) * STEP_S
    random = np.random.default_rng(1)
    load = 3.0 + 2.0 * (np.sin(2 * np.pi * at / period_s) > 0.3) + random.normal(0.0, 0.5, STEPS)
    found = findings(in_system_s=load.clip(0.0) * STEP_S)["periodicity"]
    assert abs(found.numbers["period_s"] - period_s) <= 2 * STEP_S
    assert found.confidence > 0.5


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_no_period(seed):
    """Independent numbers do not repeat, whatever the lag."""
    random = np.random.default_rng(seed)
    assert "periodicity" not in findings(in_system_s=random.uniform(0.0, 5.0, STEPS) * STEP_S)


def test_a_growing_load_is_no_period():
    """A straight line correlates with itself at any lag, and does not repeat."""
    found = findings(in_system_s=np.linspace(0.0, 10.0, STEPS) * STEP_S)
    assert "periodicity" not in found
    assert found["trend"].numbers["calls_an_hour"] == pytest.approx(10.0 / (STEPS * STEP_S / 3600.0), rel=0.02)


def test_a_steady_load_has_no_trend():
    """Noise about a level neither grows nor falls."""
    random = np.random.default_rng(3)
    assert "trend" not in findings(in_system_s=random.uniform(1.0, 2.0, STEPS) * STEP_S)


def test_bursts_are_told_from_independent_arrivals():
    """Poisson counts have a dispersion of 1; the same calls in a few bursts a much greater one."""
    random = np.random.default_rng(4)
    poisson = findings(count=random.poisson(5.0, STEPS))["burstiness"]
    bursts = findings(count=np.where(np.arange(STEPS) % 10 == 0, 50, 0))["burstiness"]
    assert poisson.numbers["dispersion"] == pytest.approx(1.0, abs=0.3)
    assert bursts.numbers["dispersion"] > 20
    assert "in bursts" in bursts.sentence


def test_a_daily_load_is_found_in_the_steps_of_five_minutes():
    """What takes longer than the fine rows last is found in the coarse ones."""
    steps = 5 * 24 * 240
    at = np.arange(steps) * STEP_S
    load = 2.0 + np.sin(2 * np.pi * at / 86_400.0)
    found = {one.name: one for one in find_utilization(history_of(steps, in_system_s=load * STEP_S))}
    assert found["periodicity"].numbers["period_s"] == pytest.approx(86_400.0, rel=0.02)
    assert "every 1 d" in found["periodicity"].sentence
