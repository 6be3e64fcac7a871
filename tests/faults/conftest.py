"""What every fault row shares: coroutines as tests, both start methods, the measured cold start, a seed in the output.

A coroutine test gets an event loop of its own; what the loop would only log (an exception nobody retrieved) fails the
test. Before it comes the row's test, after it `harness.checked_pool` verifies what must hold after each row.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
from typing import Any

import pytest

from tests.faults.harness import measure_cold
from tests.start_methods import METHODS

HARD_LIMIT_S = 240


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each row a hard limit with a dump of all stacks, unless it names its own."""
    for item in items:
        if "tests/faults" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HARD_LIMIT_S))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end on a fresh loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    unheard: list[dict[str, Any]] = []
    asyncio.run(_attended(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}), unheard))
    assert not unheard, f"the loop had to report: {unheard}"
    return True


async def _attended(test: Any, unheard: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    await test
    gc.collect()


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
