"""The rules that are rehearsed, and the numbers they take from the load."""

from __future__ import annotations

import numpy as np

from millpond.optimizer import experts
from millpond.optimizer.experts import EXPERTS, PRICES_S, WINDOWS_S


def test_every_expert_has_a_name_of_its_own():
    """A plan is told apart by it."""
    assert len({one.name for one in EXPERTS}) == len(EXPERTS) <= 100


def test_the_rule_of_an_expert_is_what_its_shadow_pool_goes_by():
    """Floor, spares, draining and the timeout of each level."""
    random = np.random.default_rng(3)
    learned = -np.sort(-random.uniform(0.0, 500.0, (len(PRICES_S), 12)), axis=1)
    floors, timeouts = experts.floors(np.array([0.4, 3.0, 7.5])), experts.timeouts(learned)
    for number, one in enumerate(EXPERTS):
        rule = experts.rule(number, int(floors[number]), timeouts[:, number], 64)
        assert rule.ceiling == 64
        assert rule.spares == experts.SPARES[number] == one.spares
        assert rule.drain_s == (None if experts.DRAINS[number] else 0.0)
        assert [rule.timeout(level) for level in range(1, 13)] == timeouts[:, number].tolist()
        if one.price_s:
            assert timeouts[:, number].tolist() == learned[PRICES_S.index(one.price_s)].tolist()
        else:
            assert set(timeouts[:, number]) == {one.timeout_s}


def test_a_floor_follows_the_load_of_its_window():
    """The load and some times its square root, rounded up; or a number, whatever the load."""
    load = np.array([0.0, 4.0, 9.0])
    floors = experts.floors(load)
    for number, one in enumerate(EXPERTS):
        mean = load[WINDOWS_S.index(one.window_s)] if one.window_s else 0.0
        assert floors[number] == max(one.floor, np.ceil(mean + one.margin * np.sqrt(mean)))
