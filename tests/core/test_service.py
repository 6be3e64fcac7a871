"""How long an operation takes: what is known of it, from when on, and how fast it is forgotten."""

from __future__ import annotations

from random import Random

import pytest

from millpond.core.records.operation import WAY_S, ServiceTimes


def told(*seconds: float) -> ServiceTimes:
    """What is known after these answers."""
    times = ServiceTimes()
    for one in seconds:
        times.answered(one)
    return times


def test_nothing_is_said_of_fewer_than_ten_answers():
    """Nine say too little of the tail; the tenth is the first estimate."""
    times = told(*[0.02] * 9)
    assert (times.mean_s, times.limit_s, times.usual_s) == (0.0, 0.0, 0.0)
    times.answered(0.02)
    assert times.mean_s == pytest.approx(0.02)
    assert (times.limit_s, times.usual_s) == (0.02 + WAY_S, 0.02)


@pytest.mark.parametrize("draw", ["expovariate", "lognormvariate", "uniform"])
def test_few_runs_exceed_the_limit_whatever_their_distribution(draw):
    """Two in a hundred exceed the 98th percentile, five the 95th: counted over ten thousand runs not seen before."""
    random, times, over_limit, over_usual = Random(1), ServiceTimes(), 0, 0
    for number in range(10_100):
        seconds = {
            "expovariate": lambda: random.expovariate(50.0),
            "lognormvariate": lambda: random.lognormvariate(-4.0, 1.0),
            "uniform": lambda: random.uniform(0.01, 0.03),
        }[draw]()
        if number >= 100:
            over_limit += seconds > times.upper_s
            over_usual += seconds > times.usual_s
        times.answered(seconds)
    assert over_limit <= 220
    assert 300 <= over_usual <= 600


def test_a_slow_spell_is_forgotten_within_a_hundred_answers():
    """However many slow answers there were before, and long before the window is full again."""
    times = told(*[3.0] * 500)
    for _ in range(75):
        times.answered(0.02)
    assert times.limit_s == 0.02 + WAY_S
    assert times.mean_s == pytest.approx(0.02)


def test_slow_answers_are_taken_up_at_once():
    """The limit follows the second answer beyond it, not the end of a part."""
    times = told(*[0.02] * 200)
    times.answered(1.0), times.answered(1.0)
    assert times.limit_s == 1.0 + WAY_S


def test_a_run_cut_off_beyond_the_limit_counts_as_long_as_it_ran():
    """Otherwise the limit would be that of the runs that happened to be in time."""
    times = told(*[0.02] * 200)
    times.cut_off(0.5), times.cut_off(0.5)
    assert times.limit_s == 0.5 + WAY_S
    assert times.usual_s == 0.02


def test_a_run_cut_off_sooner_says_nothing():
    """It was begun with less time left than it needed."""
    times = told(*[0.02] * 200)
    for _ in range(100):
        times.cut_off(0.01)
    assert times.limit_s == 0.02 + WAY_S
    assert times.mean_s == pytest.approx(0.02)


def test_short_runs_are_added_up_many_at_a_time():
    """A part holds 25 ms of work, or 400 runs: an operation that takes microseconds is sorted rarely."""
    times = told(*[1e-5] * 2_000)
    assert len(times.newest) != 0 or times.answers == 2_000
    assert times.answers % 400 != 0 or times.answers >= 1_200
    assert times.limit_s == pytest.approx(1e-5 + WAY_S)
