"""Throughput of a pool whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from millpond.optimizer.analysis.throughput import find_throughput, fit_scalability, scalability
from tests.optimizer.made import STEP_S, history_of

GAIN, QUEUEING, COORDINATION = 10.0, 0.05, 0.004


def test_the_law_is_found_again():
    """Exact throughputs give back what they were made of."""
    at_once = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 24.0])
    done = np.array([scalability(n, GAIN, QUEUEING, COORDINATION) for n in at_once])
    gain, queueing, coordination, fit = fit_scalability(at_once, done)
    assert (gain, queueing, coordination) == pytest.approx((GAIN, QUEUEING, COORDINATION), rel=1e-3)
    assert fit == pytest.approx(1.0)


def worked(seed: int, coordination: float, most: float) -> dict:
    random = np.random.default_rng(seed)
    at_once = random.uniform(1.0, most, 300)
    rate = np.array([scalability(n, GAIN, QUEUEING, coordination) for n in at_once])
    return {
        "in_system_s": at_once * STEP_S,
        "ready": [64] * 300,
        "count": (rate * STEP_S * random.normal(1.0, 0.05, 300)).round(),
    }


def test_a_knee_is_found_where_it_is():
    """With coordination more than so many calls at once get less done."""
    found = {one.name: one for one in find_throughput(history_of(300, **worked(1, COORDINATION, 30.0)))}["knee"]
    assert found.numbers["knee"] == pytest.approx(math.sqrt((1 - QUEUEING) / COORDINATION), rel=0.2)
    assert found.confidence > 0.8


def test_a_pool_that_scales_has_no_knee():
    """Where each worker adds its own, no number of calls is said to be best."""
    random = np.random.default_rng(2)
    at_once = random.uniform(1.0, 20.0, 300)
    history = history_of(300, in_system_s=at_once * STEP_S, ready=[64] * 300, count=(at_once * 150).round())
    found = {one.name: one for one in find_throughput(history)}["knee"]
    assert "knee" not in found.numbers
    assert found.sentence == "Throughput grows with the calls at once, as far as was seen."


def test_a_knee_needs_to_have_seen_different_loads():
    """From one level of load nothing is said about others."""
    history = history_of(100, in_system_s=[4 * STEP_S] * 100, ready=[8] * 100, count=[60] * 100)
    assert "knee" not in [one.name for one in find_throughput(history)]


def test_a_pool_that_cannot_keep_up_is_said_to_be_full():
    """More calls come than end, and every ready worker is at work."""
    history = history_of(20, in_system_s=[4 * STEP_S] * 20, ready=[2] * 20, count=[30] * 20)
    found = next(find_throughput(history))
    assert found.numbers["saturated_share"] == 1.0
    assert "every ready worker was at work in 100% of the looks" in found.sentence
