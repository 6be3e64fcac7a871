"""What happens in the core costs the same in a pool of any size: counted in instructions, not in seconds."""

from __future__ import annotations

import pytest

from benchmarks.costs import FLAT, SCENARIOS, WORKERS, instructions

SIZES = {WORKERS: (8, 200)}  # of the pools compared; what is linear is far above the bound at these already
SESSIONS = (200, 4_000)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_it_costs_does_not_grow_with_the_pool(scenario):
    """No call, session or worker pays for the others that are there."""
    small, large = SIZES.get(scenario.sizes, SESSIONS)
    assert instructions(scenario, large) <= FLAT * instructions(scenario, small)
