"""What the stopwatch says of stages inside one another, by a clock that the test turns."""

from __future__ import annotations

import pytest

from benchmarks.http.stages import Stopwatch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_a_stage_is_not_charged_for_those_inside_it():
    """Three seconds within one of ten leave seven."""
    clock = Clock()
    watch = Stopwatch(clock)
    inner = watch.timed("inner", lambda: clock.spend(3))

    def outer() -> None:
        clock.spend(5)
        inner()
        clock.spend(2)

    watch.timed("outer", outer)()
    assert watch.net() == {"inner": 3, "outer": 7}
    assert watch.entered_within == {"outer": 1}


def test_a_stage_that_raises_has_ended():
    """The next one is not taken for a part of it."""
    clock = Clock()
    watch = Stopwatch(clock)

    def fails() -> None:
        clock.spend(1)
        raise KeyError

    with pytest.raises(KeyError):
        watch.timed("fails", fails)()
    watch.timed("next", lambda: clock.spend(2))()
    assert watch.net() == {"fails": 1, "next": 2}
    assert watch.entered_within == {}


def test_the_stopwatch_leaves_itself_out():
    """Where each look at the clock takes a second, stages that do nothing have taken nothing."""
    ticks = iter(range(10**6))
    watch = Stopwatch(lambda: float(next(ticks)))
    watch.calibrate()
    inner = watch.timed("inner", lambda: None)
    watch.timed("outer", lambda: [inner() for _ in range(10)])()
    assert watch.net()["inner"] == pytest.approx(0.0)
    assert watch.net()["outer"] == pytest.approx(0.0, abs=1e-3)
