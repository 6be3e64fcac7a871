"""History in memory: slots, three resolutions that agree, and memory that ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.metrics.columns import counters_of, gauges_of
from millpond.metrics.histogram import Histogram
from millpond.metrics.history import (
    KEEP_S,
    RESOLUTIONS,
    History,
    OperationSlot,
    Slot,
    merge,
    pack_all,
    pack_operations,
    resolution_for,
    unpack_all,
    unpack_operations,
)
from millpond.metrics.snapshot import KINDS, OPERATION_KINDS
from millpond.metrics.source import Reading


def slot(at=1.0, seconds=1.0, queued=0, submitted=0, waits=()) -> Slot:
    reading = Reading(at, queued=queued, submitted=submitted)
    histograms = dict.fromkeys(KINDS, Histogram()) | {"wait": Histogram.of(waits)}
    gauges = gauges_of(reading, (100.0, 0.0, 0, 0.0, 0))
    counters, packed = np.append(counters_of(reading), (len(waits), sum(waits))), pack_all(histograms, KINDS)
    return Slot(at, seconds, counters, packed, gauges, gauges, "boot", at)


def nobody() -> bytes:
    return b""


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


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([1.0, 1.0, 1.0, 0.97, 1.06, 7.0, 65.0]), st.integers(0, 9)), max_size=200))
def test_the_longer_slots_add_up_to_the_short_ones_they_were_made_of(steps):
    """No call is in history twice or not at all, however late folds come."""
    history, at, all_of_it = History(), 0.0, []
    longer = {10: 0.0, 60: 0.0}
    for seconds, n in steps:
        at += seconds
        made = slot(at, seconds, submitted=n)
        all_of_it.append(made)
        for step, ended in history.push(made, nobody):
            longer[step] += ended.counter("submitted")
            upto = sum(one.counter("submitted") for one in all_of_it if one.at <= ended.at)
            assert longer[step] == upto


def test_each_resolution_is_kept_for_its_time_and_no_longer():
    """1 s for 10 minutes, 10 s for 2 hours, 60 s for 24 hours."""
    history = History()
    for second in range(1, 90_000 + 1):
        history.push(slot(float(second)), nobody)
    assert {step: len(history.read(0.0, step)) for step in RESOLUTIONS} == {1: 600, 10: 720, 60: 1440}
    assert history.read(0.0, 60)[0].seconds == 60.0
    before = history.nbytes
    for second in range(90_001, 100_000):
        history.push(slot(float(second)), nobody)
    assert abs(history.nbytes - before) < 20_000


def test_slots_that_are_too_old_go_even_if_few_came():
    """After a machine slept, what is from before is not from the last ten minutes."""
    history = History()
    history.push(slot(1.0), nobody)
    history.push(slot(5_000.0, 4_999.0), nobody)
    assert [one.at for one in history.read(0.0, 1)] == [5_000.0]


def test_only_minutes_have_operations():
    """They are packed once, when the minute ends, for as long as it was."""
    history, asked = History(), []

    def operations() -> bytes:
        asked.append(second)
        return b"packed"

    for second in range(1, 121):
        history.push(slot(float(second)), operations)
    assert asked == [60, 120]
    assert [one.packed_operations for one in history.read(0.0, 60)] == [b"packed"] * 2
    assert history.read(0.0, 10)[0].packed_operations == b""


def test_the_finest_resolution_that_reaches_back_is_chosen():
    """And the coarsest where none does."""
    assert [resolution_for(seconds) for seconds in (1, 600, 601, 7_200, 7_201, 1e9)] == [1, 1, 10, 10, 60, 60]
    assert [keep_s // step for step, keep_s in KEEP_S.items()] == [600, 720, 1440]
