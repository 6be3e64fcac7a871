"""The pytest plugin: `millpond_pool` makes pools on a fake engine, `millpond_events` records what a pool says.

Loaded by pytest itself where Millpond is installed; nothing else imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from millpond.pool import Pool
from millpond.telemetry.bus import HasTelemetry
from millpond.testing.engine import FakeEngine
from millpond.testing.recorder import EventRecorder


@pytest.fixture
def millpond_pool() -> Iterator[Callable[..., Pool]]:
    """A function that makes pools as `millpond.Pool` does, on a `FakeEngine` unless another `engine` is given.

    They have to be opened (`async with`), and the test fails if one of them is left open.
    """
    made: list[Pool] = []

    def make(handler: Any, *, engine: Any = None, **settings: Any) -> Pool:
        pool = Pool(handler, engine=engine or FakeEngine(), **settings)
        made.append(pool)
        return pool

    yield make
    left_open = [pool.name for pool in made if pool.statistics().is_live]
    if left_open:
        pytest.fail(f"the test left pools open: {', '.join(left_open)}")


@pytest.fixture
def millpond_events() -> Iterator[Callable[[HasTelemetry], EventRecorder]]:
    """A function that begins to record a pool's events and returns the `EventRecorder`."""
    made: list[EventRecorder] = []

    def record(pool: HasTelemetry) -> EventRecorder:
        made.append(EventRecorder(pool))
        return made[-1]

    yield record
    for recorder in made:
        recorder.close()
