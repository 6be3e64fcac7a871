"""Histograms that grow and shrink: what is taken out was never there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics import distribution
from millpond.metrics.accumulator import Accumulator, Batch
from millpond.metrics.histogram import EMPTY, Histogram, buckets_of

samples = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=1, max_size=40)


def batch(values) -> Batch:
    buckets = buckets_of(values)
    return Batch(buckets, np.ones(len(buckets)), int(buckets.min()), int(buckets.max()), float(sum(values)))


def same_counts(one: Histogram, other: Histogram) -> bool:
    return (one.low, one.zeros, one.counts.tolist()) == (other.low, other.zeros, other.counts.tolist())


@given(st.lists(samples, max_size=8))
def test_taking_samples_is_the_histogram_of_all(batches):
    """In whatever portions they come."""
    one = Accumulator()
    for values in batches:
        one.take(batch(values))
    assert same_counts(one.freeze(), Histogram.of([value for values in batches for value in values]))


@given(st.lists(samples, min_size=1, max_size=8), st.data())
def test_what_is_subtracted_was_never_there(batches, data):
    """A window that moved on equals one that never saw what left."""
    gone = data.draw(st.sets(st.integers(0, len(batches) - 1)))
    one = Accumulator()
    for values in batches:
        one.add(Histogram.of(values))
    for at in gone:
        one.subtract(Histogram.of(batches[at]))
    left = [value for at, values in enumerate(batches) if at not in gone for value in values]
    assert same_counts(one.freeze(), Histogram.of(left))
    if not left:
        assert one.total == 0.0
        assert one.freeze() == EMPTY


@given(st.lists(samples, max_size=4))
def test_figures_are_those_of_the_frozen_histogram(batches):
    """The short way and the long way agree."""
    one = Accumulator()
    for values in batches:
        one.take(batch(values))
    short, long = one.describe(), distribution.of(one.freeze())
    assert (short.count, short.p50, short.p999) == pytest.approx((long.count, long.p50, long.p999), nan_ok=True)


def test_clearing_forgets_all():
    """It is used again for the next ten seconds."""
    one = Accumulator()
    one.take(batch([0.0, 1.0, 2.0]))
    one.clear()
    assert one.freeze() == EMPTY


def test_its_memory_is_its_reach():
    """An operation of one pace takes little; only whole octaves are kept."""
    one = Accumulator()
    one.take(batch(np.full(1000, 1.0)))
    assert one.nbytes == 32 * 8
