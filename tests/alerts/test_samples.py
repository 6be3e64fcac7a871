"""What is kept of the metrics and for how long; the ring against a plain list of all samples there ever were."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.samples import Ring, SampleStore
from tests.alerts.made import gauge

DAY_S = 86_400
ROWS = 3
samples = st.dictionaries(st.integers(0, ROWS - 1), st.sampled_from([0.0, 1.5, math.inf]), max_size=ROWS)
moments = st.lists(st.tuples(st.integers(1, 30), samples), max_size=60)


@given(moments=moments, slots=st.integers(4, 12), back=st.integers(0, 200), length=st.integers(0, 60))
def test_a_ring_has_the_samples_of_the_last_moments(moments, slots, back, length):
    """Whatever came: the samples between two moments, if the ring says that it reaches back so far."""
    ring, plain, now = Ring(slots), [], 0
    for step, values in moments:
        now += step
        ring.write(now, list(values), list(values.values()))
        plain.append((now, values))
        end = max(0, now - back)
        start = max(0, end - length)
        if len(plain) >= slots:
            assert ring.reaches(plain[-slots][0])
        for row in range(ROWS if ring.reaches(start) else 0):
            times, found = ring.window(row, start, end)
            expected = [(time, known[row]) for time, known in plain if start <= time <= end and row in known]
            assert list(zip(times.tolist(), found.tolist(), strict=True)) == expected


def test_a_ring_grows_with_its_rows():
    """Rows between are as empty as new ones."""
    ring = Ring(4)
    ring.write(10, [0, 499], [1.0, 2.0])
    assert [ring.window(row, 0, 10)[1].tolist() for row in (0, 250, 499)] == [[1.0], [], [2.0]]


def test_only_what_rules_read_is_kept():
    """A pool exports five hundred series; nobody pays for those no rule looks at."""
    store = SampleStore(5.0)
    store.want(["queued"])
    store.take([gauge("queued", 7.0), gauge("running", 3.0)], 1000)
    assert len(store) == 1
    assert (list(store.series("queued")), list(store.series("running"))) == ([((), 0)], [])


@pytest.mark.parametrize("back", [600, 3600, 2 * 3600, DAY_S])
def test_yesterday_is_still_known_to_the_minute(back):
    """An hour of every sample, then a day of minutes: each moment's value within its resolution."""
    store = SampleStore(5.0)
    store.want(["second"])
    for second in range(0, DAY_S + 3600, 5):
        store.take([gauge("second", float(second))], second * 1000)
    end = DAY_S + 3595 - back
    times, values = store.window(0, (end - 300) * 1000, end * 1000)
    assert (times == values * 1000).all()
    assert end - 60 < values[-1] <= end
    assert len(values) >= 5
    assert store.nbytes < 4 * 1024 * 1024


def test_series_beyond_the_bound_are_dropped_and_counted():
    """A label that grows without end costs a number, not the memory."""
    store = SampleStore(5.0, most=10)
    store.want(["queued"])
    store.take([gauge("queued", 1.0, pool=str(i)) for i in range(25)], 0)
    assert (len(store), store.dropped) == (10, 15)
