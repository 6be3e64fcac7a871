"""Columns: every number of a reading has its place in a row."""

from dataclasses import fields

import numpy as np

from millpond.errors import TABLE
from millpond.metrics import columns
from millpond.metrics.columns import COUNTERS, counters_of, family, rearranged
from millpond.metrics.source import Reading


def test_every_counter_and_gauge_of_a_reading_has_its_column():
    """A number that is added to the reading and not to history fails here."""
    numbers = {one.name for one in fields(Reading) if one.type in ("int", "float")} - {"at"}
    assert numbers == set(columns.PLAIN_COUNTERS) | set(columns.PLAIN_GAUGES)


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
