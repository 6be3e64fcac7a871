"""How many workers: arithmetic on values."""

from __future__ import annotations

import pytest

from millpond.core.records.sizing import Backlog, Sizing
from millpond.settings import Settings


def sizing(start_s: float = 1.0) -> Sizing:
    """Between 1 and 8 workers, which take so long to start."""
    made = Sizing(Settings(min_workers=1, max_workers=8, restart_backoff=1.0, restart_backoff_max=30.0))
    made.start_s = start_s
    return made


def backlog(calls: int, expected_s: float, waited_s: float = 0.0, serving: int = 1, starting: int = 0, slots: int = 1):
    """What waits."""
    return Backlog(calls, expected_s, waited_s, serving, starting, slots)


def test_what_is_wanted_stays_within_bounds():
    """Whoever asks for more or less gets the bound."""
    made = sizing()
    assert [made.want(n) for n in (0, 5, 99)] == [1, 5, 8]
    made.settings = Settings(min_workers=2, max_workers=4)
    assert made.want(made.wanted) == 4
    made.settings = Settings(min_workers=6, max_workers=9)
    assert made.want(made.wanted) == 6


@pytest.mark.parametrize(
    ("waits", "more"),
    [
        (backlog(50, 0.1), 0),  # drains ten times before a worker could start
        (backlog(50, 5.0), 5),  # five starts' worth of work
        (backlog(3, 60.0), 3),  # never more workers than calls
        (backlog(50, 5.0, serving=5), 0),
        (backlog(50, 5.0, starting=2), 3),
        (backlog(50, 5.0, starting=9), 0),
        (backlog(8, 60.0, slots=4), 2),  # one worker takes four of them
        (backlog(1, 0.001, waited_s=1.5), 1),  # whoever serves is stuck
        (backlog(1, 0.001, waited_s=1.5, starting=1), 0),
        (backlog(2, 0.001, serving=0), 1),
    ],
)
def test_a_backlog_is_worth_what_a_start_costs(waits, more):
    """None if it drains first, and as many as the work is worth otherwise."""
    assert sizing().grow_for(waits) == more


def test_one_start_at_a_time_while_they_fail():
    """And none before the pause is over."""
    made = sizing()
    assert made.allowed(5, 0, 0.0) == 5
    at = made.start_failed(10.0, chance=0.5)
    assert at == 11.0
    assert [made.allowed(5, 0, now) for now in (10.9, 11.0)] == [0, 1]
    assert made.allowed(5, 1, 11.0) == 0
    assert made.allowed(0, 0, 11.0) == 0
    made.proved_well()
    assert made.allowed(5, 3, 11.0) == 5


def test_pauses_double_up_to_a_bound():
    """1, 2, 4 seconds and so on, give or take a quarter, and thirty at most."""
    made = sizing()
    pauses = [made.start_failed(0.0, chance=0.5) for _ in range(8)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 26.25, 26.25, 26.25]
    assert [made.start_failed(0.0, chance) for chance in (0.0, 1.0)] == [22.5, 30.0]
    made.proved_well()
    assert made.start_failed(0.0, chance=0.0) == 0.75
    made.proved_well()
    assert made.start_failed(0.0, chance=0.999) == pytest.approx(1.25, abs=0.01)


def test_starts_that_fail_together_are_one_failure():
    """A batch of six doubles no pause; the next start that fails alone does."""
    made = sizing()
    assert made.start_failed(0.0, chance=0.5) == 1.0
    assert [made.start_failed(0.1, chance=0.5, is_one_more=False) for _ in range(5)] == [1.1] * 5
    assert made.start_failed(2.0, chance=0.5) == 4.0


def test_a_pool_whose_starts_fail_for_days_goes_on_trying():
    """The pause stays at its bound, however often it was doubled."""
    made = sizing()
    assert max(made.start_failed(0.0, chance=1.0) for _ in range(5000)) == 30.0
