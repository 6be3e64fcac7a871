"""A short day through the core alone: what the benchmark measures is right; how fast it is, is not asked here."""

from __future__ import annotations

import pytest

from benchmarks.core import Day, looks

TEN_MINUTES_S = 600.0


@pytest.mark.parametrize("sessions", [0, 100])
def test_every_call_of_a_day_is_answered_once(sessions):
    """And when nothing is left to do nothing is held anywhere, and every session that was called sleeps."""
    with looks() as counted:
        day = Day(sessions=sessions)
        day.offer(TEN_MINUTES_S)
        day.come_to_rest()
    day.check()
    assert day.finished == {"ok": day.calls}
    assert day.machine.view.starts > 1
    assert day.machine.view.sessions_asleep == sessions
    assert (counted["sleep"] > 0) is (sessions > 0)


def test_a_day_is_the_same_each_time():
    """The same seed gives the same calls, starts and ticks, so that two commits can be compared."""
    one, other = Day(seed=7, sessions=50), Day(seed=7, sessions=50)
    for day in (one, other):
        day.offer(60.0)
    seen = [(day.calls, day.ticks, day.machine.view.starts, day.finished) for day in (one, other)]
    assert seen[0] == seen[1]
