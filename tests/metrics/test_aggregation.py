"""From a reading's samples to histograms."""

from __future__ import annotations

from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.aggregation import sort_samples
from millpond.metrics.source import OperationReading, Reading

SECONDS = st.floats(0, 1e6)
STANDING = st.lists(st.tuples(SECONDS, st.integers(1, 50)), max_size=30)


def operation(name: str, standing, alone, waits=()) -> OperationReading:
    """One whose first samples stand for several calls."""
    return OperationReading(
        name,
        waits=array("d", waits),
        latencies=array("d", [seconds for seconds, _ in standing] + alone),
        stands_for=array("d", [calls for _, calls in standing]),
    )


@given(st.lists(st.tuples(STANDING, st.lists(SECONDS, max_size=5)), max_size=4))
def test_a_sample_that_stands_for_several_calls_counts_as_often(operations):
    """As if each of the calls had left one, for each operation."""
    found = sort_samples(Reading(0.0, operations=tuple(operation(str(i), *one) for i, one in enumerate(operations))))
    whole = [[seconds for seconds, calls in standing for _ in range(calls)] + alone for standing, alone in operations]
    plain = sort_samples(Reading(0.0, operations=tuple(operation(str(i), [], one) for i, one in enumerate(whole))))
    for mine, other in zip(found, plain, strict=True):
        agree(mine["latency"], other["latency"])


def agree(one, other) -> None:
    """Two histograms are equal but for how their sums were rounded."""
    assert (one.low, one.zeros, one.counts.tolist()) == (other.low, other.zeros, other.counts.tolist())
    np.testing.assert_allclose(one.total, other.total, rtol=1e-9)


def test_fewer_samples_than_stand_for_calls_are_no_calls_of_others():
    """A kind of which an operation has none stays empty, whatever its other samples stand for."""
    (found,) = sort_samples(Reading(0.0, operations=(operation("read", [(1.0, 7)], []),)))
    assert found["latency"].count == 7
    assert found["wait"].count == 0
