"""Rules compared: what matters, and whether it is more or less."""

from __future__ import annotations

import pytest

from millpond.core import SizingRule
from millpond.optimizer.rules import is_same, lowered, raised, wanted

RULE = SizingRule(floor=10, spares=1, idle_timeouts=(60.0, 20.0), patience_s=0.5, drain_s=2.0)


def changed(**changes) -> SizingRule:
    fields = {name: getattr(RULE, name) for name in RULE.__slots__}
    return SizingRule(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"floor": 12}, "floor 10 -> 12"),
        ({"spares": 2}, "spares 1 -> 2"),
        ({"patience_s": 0.2}, "patience_s 0.5 -> 0.2"),
        ({"drain_s": 1.0}, "drain_s 2 -> 1"),
        ({"drain_s": 0.0}, "drain_s 2 -> 0"),
        ({"idle_timeouts": (60.0, 40.0)}, "idle_timeouts 60 to 20 s -> 60 to 40 s"),
        ({"idle_timeouts": (90.0,)}, "idle_timeouts 60 to 20 s -> 90 s"),
    ],
)
def test_what_keeps_or_starts_more_workers_is_a_raise_and_back_again_a_lowering(changes, text):
    """Whichever parameter it is."""
    assert raised(RULE, changed(**changes)) == (text,)
    assert lowered(RULE, changed(**changes)) == ()
    assert raised(changed(**changes), RULE) == ()
    assert len(lowered(changed(**changes), RULE)) == 1


@pytest.mark.parametrize(
    "changes", [{"floor": 11}, {"patience_s": 0.52}, {"drain_s": 2.1}, {"idle_timeouts": (70.0, 21.0)}]
)
def test_what_differs_little_is_the_same(changes):
    """A tenth of a number, a quarter of a timeout."""
    assert is_same(RULE, changed(**changes))


def test_the_time_of_a_start_is_another_drain_time_but_neither_more_nor_less():
    """Which of the two is longer is not known; one worker a call is more than either."""
    start = changed(drain_s=None)
    assert not is_same(RULE, start)
    assert raised(RULE, start) == lowered(RULE, start) == ()
    assert raised(start, changed(drain_s=0.0)) == ("drain_s that of a start -> 0",)


def test_a_rule_wants_what_is_needed_and_the_spares_or_the_floor():
    """Never more than the ceiling."""
    rule = SizingRule(floor=3, ceiling=6, spares=1)
    assert [wanted(rule, needed) for needed in (0, 2, 3, 5, 9)] == [3, 3, 4, 6, 6]


def test_short_timeouts_differ_as_long_ones_do():
    """Where workers start in no time they idle for fractions of a second."""
    assert raised(changed(idle_timeouts=(0.0,)), changed(idle_timeouts=(0.1,)))
    assert not is_same(changed(idle_timeouts=(0.4,)), changed(idle_timeouts=(0.2,)))
