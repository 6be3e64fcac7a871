"""What every fault row shares: both start methods, callers beside it, the measured cold start, a seed in the output.

After the row's test `harness.checked_pool` verifies what must hold after each row.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.harness import measure_cold
from tests.start_methods import METHODS


@pytest.fixture(params=METHODS)
def start_method(request: pytest.FixtureRequest) -> str:
    """Both ways to make a worker."""
    return str(request.param)


@pytest.fixture(params=["idle", "loaded"])
def load(request: pytest.FixtureRequest) -> int:
    """How many callers echo all the while: none, or eight."""
    return 8 if request.param == "loaded" else 0


@pytest.fixture
def cold(start_method: str, _colds: dict[str, float]) -> float:
    """Seconds one worker takes from being asked for to being ready, measured once in this run."""
    if start_method not in _colds:
        _colds[start_method] = asyncio.run(measure_cold(start_method))
    return _colds[start_method]


@pytest.fixture(scope="session")
def _colds() -> dict[str, float]:
    return {}


@pytest.fixture
def chance() -> random.Random:
    """Randomness whose seed stands in the output of a failing test."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)
