"""The ring against a plain list of all samples there ever were."""

from __future__ import annotations

import math

import hypothesis.strategies as st
from hypothesis import given

from millpond.alerts.ring import Ring

ROWS = 3
samples = st.dictionaries(st.integers(0, ROWS - 1), st.sampled_from([0.0, 1.5, math.nan, math.inf]), max_size=ROWS)
moments = st.lists(st.tuples(st.integers(1, 30), samples), max_size=40)


def same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


@given(moments=moments, slots=st.integers(1, 12), lookback=st.integers(0, 60), back=st.integers(0, 200))
def test_a_ring_is_the_end_of_a_list(moments, slots, lookback, back):
    """Whatever came, wrapped or not: the newest value within the lookback, and every sample between two moments."""
    ring, plain, now = Ring(slots), [], 0
    for step, values in moments:
        now += step
        ring.write(now, list(values), list(values.values()))
        plain = [*plain, (now, values)][-slots:]
        until = max(0, now - back)
        for row in range(ROWS):
            past = [(time, known.get(row)) for time, known in plain if time <= until]
            newest = past[-1][1] if past and past[-1][0] >= until - lookback else None
            assert same(ring.at(row, until, lookback), newest)
            expected = [(t, v) for t, v in past if v is not None and t >= until - lookback]
            times, found = ring.between(row, until - lookback, until)
            assert times.tolist() == [time for time, _ in expected]
            assert all(map(same, found.tolist(), [value for _, value in expected]))


def test_rows_are_made_and_forgotten():
    """A ring grows with its rows, and a forgotten row is as empty as a new one."""
    ring = Ring(4)
    ring.make_room(500)
    ring.write(10, [0, 499], [1.0, 2.0])
    assert (ring.at(499, 10, 5), ring.at(250, 10, 5)) == (2.0, None)
    ring.forget(499)
    assert ring.at(499, 10, 5) is None
    assert ring.at(0, 10, 5) == 1.0
