"""What an optimizer sees of a pool: exact counts of calls and of the time they were there, and what it may set."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import millpond
from millpond.core import SizingRule
from millpond.sized_pool import SizedPool, spread
from millpond.testing import EventRecorder, FakeEngine, ManualClock


class Clerk:
    """Something to call."""

    def greet(self, name: str) -> str:
        return f"hello {name}"

    def fail(self) -> None:
        raise ValueError("out of office")


class Scene:
    """A pool under a manual clock, and a look at it of its own."""

    def __init__(self, **settings: Any) -> None:
        self.engine, self.clock = FakeEngine(), ManualClock()
        given = {"min_workers": 1, "max_workers": 4, "policy": "target", "optimizer": True} | settings
        self.pool = millpond.Pool(Clerk, engine=self.engine, clock=self.clock, **given)

    def sized(self) -> SizedPool:
        monitors = self.pool._monitors
        return SizedPool(self.pool.driver, monitors._pool_source, monitors._fold, monitors._watch)

    async def held(self, count: int) -> list[asyncio.Task[Any]]:
        """So many calls that are at work or wait."""
        self.engine.hold()
        tasks = [asyncio.create_task(self.pool.call("greet", "Ann")) for _ in range(count)]
        await self.engine.wait_held()
        return tasks


async def test_calls_are_counted_when_they_come_and_again_when_they_end():
    """One that runs across an observation is an arrival of the first and an ended one of the second."""
    scene = Scene(max_workers=1)
    async with scene.pool:
        sized = scene.sized()
        await scene.clock.advance(1.0)
        tasks = await scene.held(2)
        await scene.clock.advance(2.0)
        first = sized.observe()
        scene.engine.release()
        await asyncio.gather(*tasks)
        await scene.clock.advance(1.0)
        second = sized.observe()
    assert (len(first.arrivals), len(first.ended), first.busy, first.waiting) == (2, 0, 1, 1)
    assert (len(second.arrivals), len(second.ended), second.busy, second.waiting) == (0, 2, 0, 0)
    assert sorted(second.waits["greet"]) == pytest.approx([0.0, 2.0])
    assert sorted(second.ended[:, 2]) == pytest.approx([0.0, 2.0])


async def test_the_time_that_calls_were_there_is_exact():
    """Two calls for two seconds in one observation, and for one more in the next."""
    scene = Scene(max_workers=1)
    async with scene.pool:
        sized = scene.sized()
        tasks = await scene.held(2)
        await scene.clock.advance(2.0)
        first = sized.observe()
        await scene.clock.advance(0.5)
        scene.engine.release()
        await asyncio.gather(*tasks)
        await scene.clock.advance(1.0)
        second = sized.observe()
    assert first.in_system_s == pytest.approx(4.0)
    assert second.in_system_s == pytest.approx(1.0)


async def test_calls_that_fail_are_load_as_well():
    """They took a worker's time; their code is counted."""
    scene = Scene()
    async with scene.pool as pool:
        sized = scene.sized()
        with pytest.raises(ValueError, match="out of office"):
            await pool.call("fail")
        await scene.clock.advance(1.0)
        seen = sized.observe()
    assert len(seen.ended) == 1
    assert dict(seen.errors) == {"handler_error": 1}


async def test_a_reading_is_taken_only_for_calls_that_ended_since_the_last():
    """A look right after the metrics' own adds no step to history, however long that one took."""
    scene = Scene(max_workers=1)
    async with scene.pool:
        sized, folds = scene.sized(), lambda: scene.pool.metrics.snapshot().watch.folds
        await scene.pool.call("greet", "Ann")
        await scene.clock.advance(1.0)
        before = folds()
        await scene.clock.advance(0.5)
        assert len(sized.observe().ended) == 1
        assert folds() == before
        await scene.pool.call("greet", "Bob")
        assert len(sized.observe().ended) == 1
        assert folds() == before + 1


async def test_a_glance_takes_nothing():
    """What came is left for the next observation."""
    scene = Scene()
    async with scene.pool as pool:
        sized = scene.sized()
        await pool.call("greet", "Ann")
        await scene.clock.advance(0.5)
        assert len(sized.glance().ended) == 0
        assert len(sized.observe().ended) == 1
        assert len(sized.observe().ended) == 0


async def test_a_rule_that_is_set_is_the_one_in_force():
    """The core goes by it: its floor is started."""
    scene = Scene()
    async with scene.pool as pool:
        sized = scene.sized()
        sized.size_by(SizingRule(floor=3, ceiling=4), "because")
        await scene.clock.advance(0.5)
        assert sized.rule == SizingRule(floor=3, ceiling=4)
        assert sized.glance().ready == pool.statistics().wanted == 3


def test_rows_that_stand_for_many_calls_are_spread_over_the_time_before_them():
    """Three calls between the row before and this one, evenly; each took as long."""
    rows = np.array([[10.0, 10.0, 0.5, 10.5], [13.0, 13.1, 0.5, 13.6]])
    found = spread(rows, np.array([1.0, 3.0]))
    assert found[:, 0] == pytest.approx([10.0, 11.0, 12.0, 13.0])
    assert found[:, 3] - found[:, 0] == pytest.approx([0.5, 0.6, 0.6, 0.6])
    assert spread(rows, np.ones(2)) is rows


async def test_the_pools_optimizer_sizes_it_and_says_why():
    """Four calls at work for a quarter of a minute are worth more than one worker; the decision is told."""
    scene = Scene()
    with EventRecorder(scene.pool) as events:
        async with scene.pool as pool:
            tasks = await scene.held(4)
            await scene.clock.advance(16.0)
            (entry, *_) = pool.optimizer.journal()
            assert pool.driver.view.rule.floor == 4
            assert "calls were at work or waiting on average" in entry.reason
            scene.engine.release()
            await asyncio.gather(*tasks)
    assert events.of("optimizer.decision")
    assert pool.optimizer.state == "closed"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({}, "running"),
        ({"concurrency": 2}, "paused"),
        ({"isolation": "process"}, "paused"),
        ({"concurrency": 2, "policy": "target"}, "running"),
    ],
)
async def test_what_cannot_be_rehearsed_is_not(settings, state):
    """Workers that run several calls at a time, and private processes, stay as they are unless a policy is named."""
    scene = Scene(**{"policy": "rehearsal"} | settings)
    async with scene.pool as pool:
        assert pool.optimizer.state == state
        await scene.clock.advance(40.0)


async def test_a_pool_that_is_to_have_no_optimizer_has_none():
    """Neither without it nor without the metrics that feed it."""
    for settings in ({"optimizer": False}, {"metrics": False}):
        scene = Scene(**settings)
        async with scene.pool as pool:
            with pytest.raises(RuntimeError, match="no optimizer"):
                _ = pool.optimizer


def test_a_blocking_pool_has_it_too():
    """Its methods run on the pool's thread, and what is to be awaited is waited for."""
    with millpond.SyncPool(Clerk, engine=FakeEngine(), max_workers=4, optimizer=True, policy="target") as pool:
        pool.call("greet", "Ann")
        assert pool.optimizer.state == "running"
        assert pool.optimizer.perform_optimization().policy == "target"
        assert pool.optimizer.scale_up(1).rule.floor == 2
        assert len(pool.optimizer.journal()) == 2
