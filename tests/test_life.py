"""A scripted life of a pool, and every event it says, in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import millpond
from millpond import events
from millpond.testing import EventRecorder, FakeEngine, ManualClock


class Clerk:
    """Something to call."""

    def greet(self, name: str) -> str:
        millpond.emit("clerk.greeted", {"letters": len(name)})
        return f"hello {name}"

    def write(self, name: str) -> str:
        return f"dear {name}"

    def fail(self) -> None:
        raise ValueError("out of office")

    def remember(self, word: str, *, session: Any) -> int:
        session.state.setdefault("words", []).append(word)
        return len(session.state["words"])


class Scene:
    """A pool of one worker on a fake engine under a manual clock, and what it says."""

    def __init__(self, **settings: Any) -> None:
        self.engine, self.clock = FakeEngine(), ManualClock()
        settings = {"min_workers": 1, "max_workers": 1, "restart_backoff": 0.1, "alerts": False} | settings
        self.pool = millpond.Pool(Clerk, engine=self.engine, clock=self.clock, **settings)
        self.recorder = EventRecorder(self.pool)

    async def said(self) -> list[str]:
        """The names of what was said since the last time, metrics' own left out."""
        await self.clock.settle()
        told = [event for event in self.recorder.events if event.name != "pool.utilization"]
        self.recorder.events.clear()
        return [short(event) for event in told]


def short(event: events.Event) -> str:
    """An event's name, with its reason, cause, code or the like."""
    details = [getattr(event, name) for name in ("cause", "code", "result", "before", "after") if hasattr(event, name)]
    return " ".join([event.name, *map(str, details)])


STARTED = ["worker.starting", "worker.warming", "worker.ready"]
CALL = ["call.start", "worker.checkout", "worker.checkin", "call.stop"]


async def test_a_pools_whole_life_is_emitted_in_order():
    """From opening to closing: starts, calls, a queue, failures, sessions, resizing, a death, pings and the end."""
    scene = Scene(health_interval=5.0)
    pool, engine, clock = scene.pool, scene.engine, scene.clock

    await pool.open()
    assert await scene.said() == ["pool.open", *STARTED, "pool.ready"]

    await pool.call("greet", "Ann")
    assert await scene.said() == [*CALL[:2], "clerk.greeted", *CALL[2:]]

    with pytest.raises(ValueError, match="out of office"):
        await pool.call("fail")
    assert await scene.said() == [*CALL[:3], "call.exception handler_error"]

    with pytest.raises(millpond.BadArgument):
        await pool.call("greet")
    assert await scene.said() == ["call.refused bad_argument"]

    engine.hold("write")  # never called before, so nothing is sent ahead of its turn
    calls = [asyncio.create_task(pool.call("write", name)) for name in ("Bob", "Cyd", "Dee")]
    await engine.wait_held()
    waiting = ["call.start", "queue.depth", "call.start", "queue.depth"]
    assert await scene.said() == ["call.start", "worker.checkout", *waiting]

    calls[2].cancel()
    assert await scene.said() == ["call.exception cancelled", "queue.depth"]

    engine.release("write")
    await asyncio.gather(*calls[:2])
    served = ["worker.checkin", "call.stop", "worker.checkout", "queue.depth", "worker.checkin", "call.stop"]
    assert await scene.said() == served

    async with pool.session("customer") as session:
        await session.call("remember", "one")
        assert await scene.said() == ["session.open", *CALL]
        await session.close()
    assert await scene.said() == ["session.close"]

    await clock.advance(6.0)
    assert await scene.said() == ["worker.health answered"]

    await pool.resize(min_workers=2, max_workers=2)
    assert await scene.said() == ["pool.resize 1 2", *STARTED]

    await pool.resize(min_workers=1, max_workers=1)
    gone = ["worker.draining", "worker.gone retired"]
    assert await scene.said() == ["pool.resize 2 1", *gone]

    await clock.advance(2.0)
    next(iter(engine.workers.values())).die(9)
    assert await scene.said() == ["worker.gone crashed", *STARTED, "pool.recovery"]

    await pool.drain()
    await pool.close()
    assert await scene.said() == ["pool.draining", "pool.closing", *gone, "pool.close"]


async def test_a_death_under_calls_is_emitted_with_what_it_cost():
    """The call that had begun is lost, one that may be repeated is tried again, and the pause between is no silence."""
    scene = Scene(retry_backoff=0.5)
    pool, engine, clock = scene.pool, scene.engine, scene.clock
    async with pool:
        await pool.call("greet", "Ann")
        engine.hold("greet")
        patient = asyncio.create_task(pool.options(idempotent=True).call("greet", "Bob"))
        await engine.wait_held()
        await scene.said()
        (worker,) = engine.workers.values()
        worker.die(9)
        lost = ["worker.gone crashed", "call.retry", "worker.starting", "queue.depth"]
        assert await scene.said() == [*lost, "worker.warming", "worker.ready", "pool.recovery"]
        engine.release("greet")
        await clock.advance(1.0)
        assert await patient == "hello Bob"
        said = await scene.said()
        assert said == ["worker.checkout", "queue.depth", "clerk.greeted", "worker.checkin", "call.stop"]

        engine.hold("greet")
        doomed = asyncio.create_task(pool.call("greet", "Cyd"))
        await engine.wait_held()
        await scene.said()
        (worker,) = engine.workers.values()
        worker.die(exit_code=3)
        with pytest.raises(millpond.WorkerDied):
            await doomed
        lost = ["worker.gone crashed", "call.exception worker_died", "worker.starting"]
        assert await scene.said() == [*lost, "worker.warming", "worker.ready", "pool.recovery"]


async def test_failing_starts_are_emitted_from_degraded_to_restored():
    """Each failure, the pool's state meanwhile, and how long it took to recover from the death that began it."""
    scene = Scene()
    engine, clock = scene.engine, scene.clock
    async with scene.pool as pool:
        await pool.call("greet", "Ann")
        await clock.advance(2.0)
        engine.fail_starts("no disk", count=2)
        await scene.said()
        next(iter(engine.workers.values())).die(9)
        failure = ["worker.starting", "worker.start_failed", "worker.gone start_failed"]
        assert await scene.said() == ["worker.gone crashed", *failure, "pool.degraded"]
        await clock.advance(0.9)
        assert await scene.said() == [*failure, *STARTED, "pool.recovery"]
        await pool.call("greet", "Bob")
        assert await scene.said() == [*CALL[:2], "clerk.greeted", *CALL[2:], "pool.restored"]
        assert pool.statistics().state == "ready"


async def test_sessions_emit_where_they_go():
    """Moved with a worker that is replaced, pinned where their state cannot be taken out, lost with one that dies."""
    scene = Scene(max_workers=2)
    async with scene.pool as pool:
        session = await pool.session("customer")
        await session.call("remember", "one")
        await scene.said()
        await pool.replace_workers()
        moved = ["worker.draining", "worker.checkout", "worker.checkin", "session.moved", "session.asleep"]
        assert await scene.said() == [*STARTED, *moved, "worker.gone recycled"]
        await session.call("remember", "two")
        await scene.said()
        next(iter(scene.engine.workers.values())).die(9)
        assert await scene.said() == ["worker.gone crashed", "session.lost", *STARTED, "pool.recovery"]


async def test_a_pool_that_cannot_open_emits_that():
    """What failed, and then its end."""
    scene = Scene()
    scene.engine.fail_starts("no model on this machine")
    with pytest.raises(millpond.StartFailed):
        await scene.pool.open()
    failed = ["worker.starting", "worker.start_failed", "worker.gone start_failed"]
    assert await scene.said() == ["pool.open", *failed, "pool.error", "pool.closing", "pool.close"]


async def test_breakers_and_kills_are_emitted():
    """An operation that does not stop costs its worker; enough of that opens its breaker."""
    scene = Scene(cancel_grace=0.5, breaker_faults=1, breaker_share=0.0, breaker_reset=5.0)
    engine, clock = scene.engine, scene.clock
    async with scene.pool as pool:
        await pool.call("greet", "Ann")
        engine.hold("greet", is_stubborn=True)
        hanging = asyncio.create_task(pool.options(deadline=1.0).call("greet", "Bob"))
        await engine.wait_held()
        await scene.said()
        await clock.advance(1.1)
        with pytest.raises(millpond.DeadlineExceeded):
            await hanging
        assert await scene.said() == ["breaker.state closed open", "call.exception deadline_exceeded"]
        await clock.advance(0.6)
        killed = ["worker.killed", "worker.gone overran", *STARTED]
        assert await scene.said() == [*killed, "pool.recovery"]
        engine.release("greet")
        with pytest.raises(millpond.CircuitOpen):
            await pool.call("greet", "Cyd")
        assert await scene.said() == ["call.refused circuit_open"]
        await clock.advance(5.0)
        await pool.call("greet", "Dee")
        begun = ["breaker.state open half_open", *CALL[:2], "clerk.greeted", "worker.checkin"]
        assert await scene.said() == [*begun, "breaker.state half_open closed", "call.stop"]
