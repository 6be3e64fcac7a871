"""How much of the time for waiting is left unused."""

from __future__ import annotations

from millpond.optimizer.reserve import FORGIVEN_CALLS, LEAST, MOST, Reserve


def test_more_is_kept_while_calls_wait_too_long():
    """It doubles each time, up to a bound."""
    reserve = Reserve(0.01)
    shares = []
    for _ in range(6):
        reserve.note(100, 5)
        shares.append(reserve.share)
    assert shares == [2 * LEAST, 4 * LEAST, 8 * LEAST, 16 * LEAST, MOST, MOST]


def test_as_few_as_may_wait_too_long_change_nothing():
    """Half of the share that the objective allows, or a single call of few."""
    reserve = Reserve(0.01)
    reserve.note(10, 1)
    for _ in range(50):
        reserve.note(1000, 2)
    assert reserve.share == LEAST


def test_less_is_kept_again_after_many_calls_that_did_not():
    """Never less than at first."""
    reserve = Reserve(0.01)
    reserve.note(100, 50)
    reserve.note(FORGIVEN_CALLS - 1, 0)
    assert reserve.share == 2 * LEAST
    reserve.note(1, 0)
    assert reserve.share == LEAST
    reserve.note(FORGIVEN_CALLS, 0)
    assert reserve.share == LEAST
