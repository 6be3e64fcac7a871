"""The fake engine's own controls; that it behaves like processes otherwise is the contract's to test."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

import millpond
from millpond.seams import Engine
from millpond.testing import EventRecorder, FakeEngine, ManualClock


class Handler:
    """Counts its calls; lives in the test's process."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.calls = 0

    def echo(self, value):
        self.calls += 1
        return value

    def keep(self, word, *, session):
        session.state[word] = True
        return sorted(session.state)

    async def wait(self, event):
        await event.wait()


def make(**settings):
    """A pool of one worker on a fake engine, with the engine and its clock."""
    engine, clock = FakeEngine(), ManualClock()
    settings = {"min_workers": 1, "max_workers": 1} | settings
    return millpond.Pool(Handler, engine=engine, clock=clock, **settings), engine, clock


def test_it_is_an_engine():
    """As the type checker sees the seam."""
    engine: Engine = FakeEngine()
    assert engine.facts() is None


async def test_the_handler_lives_in_the_test():
    """Its instance can be looked at while it serves."""
    pool, engine, _ = make()
    async with pool:
        await pool.call("echo", 1)
        await pool.call("echo", 2)
        (worker,) = engine.workers.values()
        assert worker.handler.calls == 2
        assert "alive, 0 running" in repr(worker)


async def test_what_was_sent_can_be_looked_at():
    """Worker, operation, session and the arguments as they travelled."""
    pool, engine, _ = make()
    async with pool:
        given = ["as it was"]
        await pool.call("echo", given)
        given[0] = "changed"
        async with pool.session("ann") as ann:
            await ann.call("keep", word="a")
        assert [(sent.worker, sent.operation, sent.session) for sent in engine.sent] == [
            (1, "echo", None),
            (1, "keep", "ann"),
        ]
        assert [sent.arguments() for sent in engine.sent] == [((["as it was"],), {}), ((), {"word": "a"})]
        assert "echo to worker 1" in repr(engine.sent[0])


async def test_a_held_call_has_begun_and_goes_on_when_released():
    """All of an operation, or one of them."""
    pool, engine, _ = make(concurrency=2)
    async with pool:
        engine.hold("echo")
        calls = [asyncio.create_task(pool.call("echo", number)) for number in range(3)]
        first, second = await engine.wait_held(2)
        assert (first.worker, first.operation, pool.statistics().running) == (1, "echo", 2)
        second.release()
        assert await calls[1] == 1
        await engine.wait_held(2)
        assert len(engine.held("echo")) == 2
        assert not calls[0].done()
        engine.release("echo")
        assert await asyncio.gather(*calls) == [0, 1, 2]
        assert engine.held() == []
        assert await pool.call("echo", 4) == 4


async def test_waiting_for_held_calls_ends():
    """With a `TimeoutError` if they never come."""
    _, engine, _ = make()
    with pytest.raises(TimeoutError):
        await engine.wait_held(timeout=0.01)


async def test_an_interrupt_ends_a_held_call_unless_it_is_stubborn():
    """The stubborn one costs its worker when the grace is over, at the clock's time."""
    pool, engine, clock = make(cancel_grace=2.0)
    async with pool:
        for is_stubborn in (False, True):
            engine.hold("echo", is_stubborn=is_stubborn)
            call = asyncio.create_task(pool.options(deadline=1.0).call("echo", 1))
            await engine.wait_held()
            await clock.advance(1.01)
            with pytest.raises(millpond.DeadlineExceeded):
                await call
            assert list(engine.workers) == [1]
            assert len(engine.held()) == is_stubborn
        await clock.advance(1.9)
        assert list(engine.workers) == [1]
        await clock.advance(0.2)
        assert list(engine.workers) == [2]
        engine.release()
        assert await pool.call("echo", 2) == 2


async def test_a_worker_dies_as_the_test_says():
    """By signal or exit code, with words on stderr, having begun what the test says it had."""
    pool, engine, _ = make(max_workers=2, min_workers=2, concurrency=2)
    async with pool:
        engine.hold()
        begun, other = (asyncio.create_task(pool.call("echo", number)) for number in range(2))
        held = await engine.wait_held(2)
        engine.release()
        victim = engine.workers[held[0].worker]
        victim.die(exit_code=3, stderr_tail="out of memory", started=[held[0].call_id])
        with pytest.raises(millpond.WorkerDied, match="exit code 3") as caught:
            await begun
        assert (caught.value.signal, caught.value.exit_code, caught.value.stderr_tail) == (None, 3, "out of memory")
        assert await other == 1
        victim.die()
        assert "dead" in repr(victim)


async def test_a_call_that_had_not_begun_survives_the_death():
    """An empty list of started calls means that all are sent again."""
    pool, engine, clock = make()
    async with pool:
        engine.hold()
        call = asyncio.create_task(pool.call("echo", 1))
        await engine.wait_held()
        engine.release()
        engine.workers[1].die(started=[])
        await clock.advance(2.0)  # a worker that died so young is replaced after a pause
        assert await call == 1
        assert [sent.worker for sent in engine.sent] == [1, 2]


async def test_a_frozen_worker_says_nothing_until_it_is_thawed():
    """Its answers come then; one that stays frozen is replaced."""
    pool, engine, clock = make(stopped_timeout=2.0)
    async with pool:
        worker = engine.workers[1]
        worker.freeze()
        call = asyncio.create_task(pool.call("echo", 1))
        await clock.settle()
        assert not call.done()
        assert pool.statistics().busy[0].unresponsive_s > 0
        worker.thaw()
        assert await call == 1
        await clock.advance(5.0)
        assert engine.workers[1] is worker
        with EventRecorder(pool) as events:
            worker.freeze()
            await clock.advance(2.01)
            assert events.of("worker.gone", reason="was stopped (SIGSTOP)")
        assert list(engine.workers) == [2]


async def test_starts_are_held_and_fail_as_the_test_says():
    """While they are held nothing is ready; a failure's message is the pool's reason."""
    pool, engine, clock = make()
    engine.hold_starts()
    opening = asyncio.create_task(pool.open())
    await clock.settle()
    assert pool.statistics().workers["starting"] == 1
    engine.release_starts()
    await opening
    engine.fail_starts("no memory left", count=2)
    engine.workers[1].die()
    await clock.advance(2.0)
    assert pool.statistics().state == "degraded"
    assert "no memory left" in pool.statistics().reason
    await clock.advance(10.0)
    assert await pool.call("echo", 1) == 1
    assert (pool.statistics().state, pool.statistics().starts) == ("ready", 4)
    await pool.close()


async def test_pings_and_memory_are_what_the_test_says():
    """A worker that does not answer is replaced after three pings, one that grew too large at once."""
    pool, engine, clock = make(health_interval=1.0, max_memory=1024**2)
    async with pool:
        await clock.advance(10.0)
        engine.workers[1].answers_pings = False
        await clock.advance(6.0)
        assert list(engine.workers) == [2]
        engine.workers[2].memory_bytes = 1024**2 + 1
        await clock.advance(3.0)
        assert list(engine.workers) == [3]


async def test_the_same_things_happen_in_the_same_order_each_time():
    """Two runs of one test are one story: the jitter of retries is drawn from what the test gives."""

    async def story():
        pool, engine, clock = make(min_workers=2, max_workers=2, random=Random(7))
        with EventRecorder(pool) as events:
            async with pool:
                calls = [asyncio.create_task(pool.call("echo", number)) for number in range(20)]
                await asyncio.sleep(0)
                engine.workers[1].die()
                await clock.advance(5.0)
                await asyncio.gather(*calls, return_exceptions=True)
            return [(sent.worker, sent.operation) for sent in engine.sent], events.names()

    assert await story() == await story()


async def test_an_engine_serves_a_sync_pool_too():
    """Its workers then run on the pool's thread."""
    engine = FakeEngine()

    def use():
        with millpond.SyncPool(Handler, engine=engine) as pool:
            return pool.call("echo", 1), pool.statistics().endings["ok"]

    assert await asyncio.to_thread(use) == (1, 1)
