"""How long a start is taken to last."""

from __future__ import annotations

from random import Random

from millpond.optimizer.start_time import StartTime


def test_starts_that_take_the_same_time_take_just_that():
    """Nothing is added where nothing varies, and nothing is known before the first."""
    start = StartTime()
    start.note(0.0)
    assert start.seconds == 0.0
    for _ in range(5):
        start.note(0.2)
    assert start.seconds == 0.2


def test_starts_that_vary_take_longer_than_on_average():
    """Few of the measurements are longer."""
    start, chance = StartTime(), Random(1)
    measured = [chance.lognormvariate(-1.6, 0.4) for _ in range(400)]
    for one in measured:
        start.note(one)
    assert sum(one > start.seconds for one in measured) < 40


def test_starts_that_have_changed_are_known_before_long():
    """The first may have read from a cold disk."""
    start = StartTime()
    for measured in [2.0] + [0.1 + 0.001 * (i % 2) for i in range(100)]:
        start.note(measured)
    assert start.seconds < 0.2
