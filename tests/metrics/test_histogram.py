"""Histograms: exact buckets, percentiles within 1.1 %, merging, packing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.histogram import (
    CEILING,
    EMPTY,
    FLOOR,
    HIGHEST,
    LOWEST,
    PER_OCTAVE,
    ZERO,
    Histogram,
    buckets_of,
    histograms_of,
    last_bucket,
    merged,
    sane,
    unpack,
    upper_bound,
)

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
values = st.lists(st.floats(1e-9, 1e9), max_size=200)
anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50)


def test_every_bucket_ends_with_its_upper_bound():
    """The layout is OpenTelemetry's: a bound belongs to the bucket it closes."""
    for bucket in range(LOWEST, HIGHEST + 1):
        bound = upper_bound(bucket)
        assert buckets_of(sane((bound,)))[0] == bucket == last_bucket(bound)
        if bucket < HIGHEST:
            assert buckets_of(sane((bound * (1 + 1e-10),)))[0] == bucket + 1


def test_powers_of_two_are_bounds():
    """Exporters can tell exact counts at powers of two."""
    for power in range(-30, 31):
        assert upper_bound(32 * power - 1) == 2.0**power


@pytest.mark.parametrize("value", [0.0, -1.0, -math.inf, math.nan, FLOOR / 2, FLOOR])
def test_what_is_no_positive_number_counts_as_zero(value):
    """A clock that went wrong costs no exception and no bucket."""
    assert buckets_of(sane((value,)))[0] == ZERO
    assert Histogram.of((value,)).zeros == 1


def test_what_is_too_large_counts_as_the_largest():
    """Infinity has a bucket."""
    assert buckets_of(sane((math.inf, 2 * CEILING, CEILING))).tolist() == [HIGHEST] * 3


@given(values)
def test_percentiles_are_within_1_2_percent_of_the_value_at_their_rank(found):
    """The promise of the layout, whatever the values."""
    histogram = Histogram.of(found)
    if not found:
        assert all(math.isnan(value) for value in histogram.percentiles(SHARES))
        return
    exact = np.quantile(found, SHARES, method="inverted_cdf")
    assert np.max(np.abs(np.array(histogram.percentiles(SHARES)) / exact - 1)) <= 0.012


@pytest.mark.parametrize(
    "found",
    [
        np.random.default_rng(1).lognormal(-6, 1, 100_000),
        np.concatenate(
            [np.random.default_rng(2).normal(0.002, 0.0002, 70_000), np.random.default_rng(3).normal(1, 0.1, 30_000)]
        ),
        0.001 * (1 + np.random.default_rng(4).pareto(1.1, 100_000)),
    ],
    ids=["lognormal", "bimodal", "heavy-tailed"],
)
def test_percentiles_hold_on_distributions_as_pools_have_them(found):
    """p50 to p99.9 are off by 1.2 % at most."""
    told = np.array(Histogram.of(found).percentiles(SHARES))
    assert np.max(np.abs(told / np.quantile(found, SHARES, method="inverted_cdf") - 1)) <= 0.012


def test_zeros_take_their_part_of_the_percentiles():
    """Half of the calls not waiting at all makes a median of 0."""
    histogram = Histogram.of([0.0] * 6 + [1.0] * 4)
    assert histogram.percentiles((0.5, 0.9)) == [0.0, pytest.approx(1.0, rel=0.012)]
    assert Histogram.of([0.0]).percentiles((1.0,)) == [0.0]


@given(values, values)
def test_a_sum_is_the_histogram_of_all_values(some, others):
    """Merging loses nothing and invents nothing."""
    together, alone = merged((Histogram.of(some), Histogram.of(others))), Histogram.of(some + others)
    assert (together.low, together.zeros, together.count) == (alone.low, alone.zeros, alone.count)
    assert together.counts.tolist() == alone.counts.tolist()
    assert together.total == pytest.approx(alone.total)


@given(st.lists(values, min_size=1, max_size=8), st.data())
def test_what_is_taken_out_was_never_there(batches, data):
    """A window that moved on equals one that never saw what left."""
    gone = data.draw(st.sets(st.integers(0, len(batches) - 1)))
    taken = [Histogram.of(batches[at]) for at in gone]
    rest = merged([merged(map(Histogram.of, batches))], taken)
    left = Histogram.of([value for at, found in enumerate(batches) if at not in gone for value in found])
    assert (rest.low, rest.zeros, rest.counts.tolist()) == (left.low, left.zeros, left.counts.tolist())
    assert rest or rest == EMPTY


@given(st.lists(st.tuples(values, st.lists(st.integers(1, 50), max_size=30)), max_size=5))
def test_many_histograms_are_made_at_once_as_one_by_one(samples):
    """Each is of its own values, of which the first may stand for several and those beyond count once."""
    for found, (own, times) in zip(histograms_of(samples), samples, strict=True):
        often = [*times, *[1] * len(own)][: len(own)]
        plain = Histogram.of([value for value, n in zip(own, often, strict=True) for _ in range(n)])
        assert (found.low, found.zeros, found.counts.tolist()) == (plain.low, plain.zeros, plain.counts.tolist())
        assert found.total == pytest.approx(plain.total)


def test_its_memory_is_what_it_has_counts_for():
    """An operation of one pace takes little: nothing is kept beyond the first and the last value's bucket."""
    assert Histogram(5, [0, 0, 3, 0]).counts.tolist() == [3]
    assert Histogram.of([1.0] * 1000).counts.nbytes == 8


def test_merging_nothing_is_empty():
    """No parts and empty parts are both nothing."""
    assert merged([]) == EMPTY == merged([EMPTY, EMPTY])


@given(anything)
def test_packing_is_reversible(found):
    """What is kept in memory and on disk is what was there."""
    histogram = Histogram.of(found)
    assert math.isfinite(histogram.total)
    packed = histogram.pack()
    assert unpack(packed) == (histogram, len(packed))


@given(st.integers(0, 2**40), st.integers(LOWEST, HIGHEST - 40))
def test_packing_holds_counts_of_any_width(count, low):
    """Large counts and buckets far apart take more room and stay exact."""
    for counts in ([count], [1, *[0] * 38, count], [count] * 20):
        histogram = Histogram(low, counts)
        assert unpack(histogram.pack())[0] == histogram


@given(st.binary(max_size=60))
def test_bytes_that_are_no_histogram_are_refused(data):
    """A broken file raises one kind of error, and nothing worse."""
    try:
        unpack(data)
    except ValueError:
        pass


def test_a_second_of_traffic_packs_into_few_bytes():
    """Memory for a day rests on it: a count that fits into a byte takes one."""
    assert len(Histogram.of(np.random.default_rng(1).lognormal(-6, 1, 1_000)).pack()) < 400
    assert len(Histogram.of([1e-6, 1.0]).pack()) < 40


@given(values)
def test_counts_up_to_a_bound_are_exact(found):
    """What an exporter calls `le`: at powers of two and their roots nothing is estimated, but for rounding errors."""
    histogram = Histogram.of(found)
    for bound in (2.0**-10, 2.0**-0.5, 1.0, 2.0**0.5, 1024.0):
        at_most = sum(value <= bound * (1 + 2e-11) for value in found)
        assert histogram.at_most(bound) == at_most


@given(values)
def test_larger_buckets_hold_every_value_once(found):
    """Each is in the first whose bound is not below it, or in the last place."""
    edges = np.arange(-2 * PER_OCTAVE, 3 * PER_OCTAVE, 16) - 1
    bounds = [upper_bound(int(edge)) for edge in edges]
    cells = dict(Histogram.of(found).coarse(edges))
    assert sum(cells.values()) == len(found)
    for place, bound in enumerate(bounds):
        assert sum(n for at, n in cells.items() if at <= place) == Histogram.of(found).at_most(bound)


def test_bounds_below_and_above_all_are_all_or_nothing():
    """The ends of the axis."""
    histogram = Histogram.of([0.0, 1.0, 2.0])
    assert [histogram.at_most(bound) for bound in (-1.0, 0.0, 1e-12, 4.0, math.inf)] == [0, 1, 1, 3, 3]
    assert EMPTY.at_most(1.0) == 0


def test_a_histogram_never_changes():
    """It is shared between threads."""
    histogram = Histogram.of([1.0])
    with pytest.raises(ValueError):
        histogram.counts[0] = 5


def test_figures_say_what_they_can():
    """Mean and highest are NaN of nothing; repr tells the truth."""
    assert math.isnan(EMPTY.describe().mean)
    assert math.isnan(EMPTY.highest)
    assert Histogram.of([0.0]).highest == 0.0
    histogram = Histogram.of([1.0, 3.0])
    assert histogram.describe().mean == 2.0
    assert histogram.highest >= 3.0
    assert repr(histogram) == "<Histogram of 2, p50 0.989, p99 2.99>"
    assert histogram != "something else"
