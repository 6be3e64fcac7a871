"""A reading says what the pool's records say, and hands the samples over once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import millpond
from millpond.pool_source import PoolSource
from millpond.testing import FakeEngine, ManualClock


class Clerk:
    """Something to call."""

    def greet(self, name: str) -> str:
        return f"hello {name}"

    def fail(self) -> None:
        raise ValueError("out of office")

    def remember(self, word: str, *, session: Any) -> None:
        session.state["word"] = word


class Scene:
    """A pool on a fake engine under a manual clock, and a source of readings of its own."""

    def __init__(self, **settings: Any) -> None:
        self.engine, self.clock = FakeEngine(), ManualClock()
        settings = {"min_workers": 1, "max_workers": 1, "metrics": False, "restart_backoff": 0.01} | settings
        self.pool = millpond.Pool(Clerk, engine=self.engine, clock=self.clock, **settings)
        self.driver = self.pool.driver
        self.driver.sample(True)
        self.source = PoolSource(self.driver)


async def test_samples_are_handed_over_once():
    """What one reading has taken is not in the next, whose counts go on."""
    scene = Scene()
    async with scene.pool as pool:
        for name in ("Ann", "Bob"):
            await pool.call("greet", name)
        (first,) = scene.source.read().operations
        await pool.call("greet", "Cyd")
        (second,) = scene.source.read().operations
        assert scene.source.read().operations == ()
    arrays = ("waits", "services", "latencies", "request_bytes", "answer_bytes")
    assert [len(getattr(first, name)) for name in arrays] == [2] * 5
    assert [len(getattr(second, name)) for name in arrays] == [1] * 5
    assert (first.endings["ok"], second.endings["ok"]) == (2, 3)
    assert min(*first.request_bytes, *first.answer_bytes) > 0


async def test_a_call_that_leaves_no_row_is_counted_in_the_next_reading():
    """Where calls come thick, one in a few leaves a row; the first of a quiet second may leave none, and is counted."""
    scene = Scene()
    async with scene.pool as pool:
        await pool.call("greet", "Ann")
        scene.source.read()
        samples = scene.driver.view.operations["greet"].samples
        samples.gap = samples.left = 3  # as after a second with tens of thousands of calls
        await pool.call("greet", "Bob")
        reading = scene.source.read()
    (greet,) = reading.operations
    assert (greet.endings["ok"], reading.endings["ok"], greet.dropped) == (2, 2, 1)


async def test_the_bounds_are_those_of_now():
    """A pool that was resized says its new floor and ceiling."""
    scene = Scene(min_workers=1, max_workers=4)
    async with scene.pool as pool:
        before = scene.source.read()
        await pool.resize(min_workers=2, max_workers=3)
        after = scene.source.read()
    assert (before.min_workers, before.max_workers) == (1, 4)
    assert (after.min_workers, after.max_workers) == (2, 3)


async def test_a_failed_call_counts_by_operation_and_code():
    """Per operation what the pool counts in all."""
    scene = Scene()
    async with scene.pool as pool:
        with pytest.raises(ValueError, match="office"):
            await pool.call("fail")
        with pytest.raises(millpond.BadArgument):
            await pool.call("greet")
        reading = scene.source.read()
    (fail,) = reading.operations
    assert (fail.name, fail.endings["failed"], fail.codes) == ("fail", 1, {"handler_error": 1})
    assert (reading.submitted, reading.endings["failed"], reading.endings["rejected"]) == (2, 1, 1)
    assert reading.codes == {"handler_error": 1, "bad_argument": 1}


async def test_waiting_calls_and_busy_workers_are_seen():
    """The oldest wait, what is queued and running, and the time a worker is busy while it still is."""
    scene = Scene()
    async with scene.pool as pool:
        scene.engine.hold("greet")
        calls = [asyncio.create_task(pool.call("greet", name)) for name in ("Ann", "Bob")]
        await scene.engine.wait_held()
        await scene.clock.advance(4.0)
        reading = scene.source.read()
        assert (reading.queued, reading.running, reading.oldest_wait_s) == (1, 1, 4.0)
        assert (reading.states["busy"], reading.workers[0].in_flight) == (1, 1)
        assert (reading.busy_s, reading.available_s, scene.source.utilization) == (4.0, 4.0, 1.0)
        scene.engine.release("greet")
        await asyncio.gather(*calls)
        await scene.clock.advance(6.0)
        reading = scene.source.read()
        assert (reading.busy_s, reading.available_s, scene.source.utilization) == (4.0, 10.0, 0.0)
        assert reading.oldest_wait_s == 0.0


async def test_what_gone_workers_did_stays_counted():
    """Busy and available seconds never fall, whoever dies."""
    scene = Scene()
    async with scene.pool as pool:
        scene.engine.hold("greet")
        lost = asyncio.create_task(pool.call("greet", "Ann"))
        await scene.engine.wait_held()
        await scene.clock.advance(3.0)
        next(iter(scene.engine.workers.values())).die(9)
        with pytest.raises(millpond.WorkerDied):
            await lost
        await scene.clock.advance(1.0)
        reading = scene.source.read()
    assert (reading.busy_s, round(reading.available_s, 3)) == (3.0, 4.0)
    assert (reading.deaths, reading.starts, len(reading.start_seconds)) == ({"crashed": 1}, 2, 2)


async def test_sessions_and_breakers_are_seen():
    """Opened, open, closed; and which operations are refused."""
    scene = Scene(breaker_faults=1, breaker_share=0.0)
    async with scene.pool as pool:
        async with pool.session("customer") as session:
            await session.call("remember", "one")
            reading = scene.source.read()
            assert (reading.sessions_open, reading.sessions_opened, reading.workers[0].sessions) == (1, 1, 1)
            await session.close()
        assert (scene.source.read().sessions_open, scene.source.read().sessions_closed) == (0, 1)
        scene.engine.hold("greet")
        lost = asyncio.create_task(pool.call("greet", "Ann"))
        await scene.engine.wait_held()
        next(iter(scene.engine.workers.values())).die(9)
        with pytest.raises(millpond.WorkerDied):
            await lost
        assert scene.source.read().breakers_open == ("greet",)
