"""What happens in the core costs the same in a pool of any size: counted in instructions, not in seconds."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.costs import FLAT, SCENARIOS, WORKERS, Scenario
from tests.core.steps import steps

SIZES = {WORKERS: (8, 200)}  # of the pools compared; what is linear is far above the bound at these already
SESSIONS = (200, 4_000)
WARM = 8  # times it is done before it is counted, where it can be done again


def cost(scenario: Scenario, size: int) -> float:
    """The instructions it takes once, in the middle of a few times."""
    act = scenario.prepare(size)
    if scenario.times == 1:
        return steps(act) / (size if scenario.is_per_worker else 1)
    for _ in range(WARM):
        act()
    return median(steps(act) for _ in range(WARM)) / (size if scenario.is_per_worker else 1)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_it_costs_does_not_grow_with_the_pool(scenario):
    """No call, session or worker pays for the others that are there."""
    small, large = SIZES.get(scenario.sizes, SESSIONS)
    assert cost(scenario, large) <= FLAT * cost(scenario, small)
