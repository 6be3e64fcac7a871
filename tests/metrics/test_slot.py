"""Slots: columns, packing, merging."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import TABLE
from millpond.metrics import columns
from millpond.metrics.columns import COUNTERS, counters_of, family, gauges_of, rearranged
from millpond.metrics.histogram import Histogram
from millpond.metrics.slot import (
    OperationSlot,
    Slot,
    merge,
    pack_all,
    pack_operations,
    unpack_all,
    unpack_operations,
)
from millpond.metrics.snapshot import KINDS, OPERATION_KINDS
from millpond.metrics.source import Reading


def slot(at=1.0, seconds=1.0, queued=0, submitted=0, waits=()) -> Slot:
    reading = Reading(at, queued=queued, submitted=submitted)
    histograms = dict.fromkeys(KINDS, Histogram()) | {"wait": Histogram.of(waits)}
    gauges = gauges_of(reading, (100.0, 0.0, 0, 0.0, 0))
    return Slot("boot", at, at, seconds, counters_of(reading), gauges, gauges, pack_all(histograms, KINDS))


def test_every_counter_and_gauge_of_a_reading_has_its_column():
    """A number that is added to the reading and not to history fails here."""
    fields = {name for name, kind in Reading.__annotations__.items() if kind in ("int", "float")} - {"at"}
    assert fields == set(columns.PLAIN_COUNTERS) | set(columns.PLAIN_GAUGES)


def test_every_error_code_has_its_column():
    """An error of ours is never "other"."""
    assert set(columns.FAMILIES["codes"]) == {*TABLE, "other"}


def test_a_code_nobody_knows_is_counted_as_other():
    """Nothing is lost of the sum."""
    row = counters_of(Reading(0.0, codes={"worker_died": 2, "surprise": 3}))
    assert family(row, "codes") == {"worker_died": 2, "other": 3}


def test_rows_of_another_version_are_put_in_order():
    """A file outlives the order of its columns."""
    old = ["retries", "gone_by_now", "submitted"]
    row = rearranged(np.array([1.0, 2.0, 3.0]), old, COUNTERS)
    assert row[columns.COUNTER_AT["retries"]] == 1.0
    assert row[columns.COUNTER_AT["submitted"]] == 3.0
    assert row.sum() == 4.0


def test_merging_adds_counters_and_histograms_averages_gauges_and_keeps_peaks():
    """A long slot says of its time what the short ones said of theirs."""
    merged = merge([slot(1.0, 1.0, queued=0, submitted=5, waits=[1.0]), slot(4.0, 3.0, queued=8, submitted=7)])
    assert (merged.at, merged.seconds) == (4.0, 4.0)
    assert merged.counter("submitted") == 12
    assert merged.gauge("queued") == 6.0
    assert merged.peak("queued") == 8.0
    assert merged.histograms["wait"].count == 1


def test_slots_without_length_can_be_merged():
    """Two folds at one moment of a clock that stands still."""
    assert merge([slot(1.0, 0.0, queued=2), slot(1.0, 0.0, queued=4)]).gauge("queued") == 3.0


def test_an_idle_second_packs_into_nothing():
    """Most pools are idle most of the time."""
    assert slot().packed == b""
    assert unpack_all(b"", KINDS)["latency"].count == 0


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, 2**60), st.lists(st.floats(1e-6, 1e6), max_size=5))))
def test_operations_are_unpacked_as_they_were_packed(made):
    """Names, endings and histograms."""
    operations = [
        OperationSlot(name, {"ok": n}, dict.fromkeys(OPERATION_KINDS, Histogram.of(values))) for name, n, values in made
    ]
    found = unpack_operations(pack_operations(operations))
    assert [(one.name, one.calls, one.histograms) for one in found] == [
        (one.name, one.calls, one.histograms) for one in operations
    ]


def test_broken_operations_are_refused():
    """A broken file raises one kind of error."""
    with pytest.raises(ValueError):
        unpack_operations(b"no zlib")
