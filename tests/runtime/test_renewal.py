"""Replacing all workers: cancelled, closed, asked for twice, and with starts that failed before. On the fake engine."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.testing import EventRecorder, FakeEngine
from tests.contract.sites import check, failure, until


class First:
    def version(self) -> int:
        return 1


class Second:
    def version(self) -> int:
        return 2


def pool_of(workers: int = 1, **settings) -> tuple[millpond.Pool, FakeEngine]:
    """A pool whose `replace_workers` finds new code."""
    engine = FakeEngine()
    settings = {"min_workers": workers, "max_workers": workers, "restart_backoff": 0.01, **settings}
    pool = millpond.Pool(First, engine=engine, **settings)
    engine.new_handler = Second
    return pool, engine


async def version(pool: millpond.Pool) -> int:
    """The version of whoever serves."""
    return await pool.call("version")


async def test_cancelled_before_a_new_worker_was_ready_the_code_before_stays():
    """Whoever gives up waiting for code that hangs is not left with it."""
    pool, engine = pool_of()
    async with pool:
        engine.hold_starts()
        replacing = asyncio.create_task(pool.replace_workers())
        await until(lambda: pool.statistics().starts == 2)
        replacing.cancel()
        assert isinstance(await failure(replacing), asyncio.CancelledError)
        engine.release_starts()
        await until(lambda: pool.statistics().asked_for == 1)
        assert await version(pool) == 1
        next(iter(engine.workers.values())).die(9)
        assert await version(pool) == 1


async def test_cancelled_half_way_what_was_replaced_stays_so():
    """The code is known to start; those that are left come to it when they go."""
    pool, engine = pool_of(2)
    async with pool:
        with EventRecorder(pool) as events:
            replacing = asyncio.create_task(pool.replace_workers())
            await events.wait("worker.draining")
            engine.hold_starts()
            await until(lambda: pool.statistics().starts == 4)
            replacing.cancel()
            await failure(replacing)
        engine.release_starts()
        await until(lambda: pool.statistics().asked_for == 2)
        assert set(await asyncio.gather(*(version(pool) for _ in range(20)))) == {1, 2}
        for worker in list(engine.workers.values()):
            worker.die(9)
        await until(lambda: pool.statistics().workers["ready"] == 2)
        assert {await version(pool) for _ in range(20)} == {2}


async def test_a_pool_that_closes_meanwhile_raises_that():
    """Whoever replaces its workers is told that it closed."""
    pool, engine = pool_of()
    await pool.open()
    engine.hold_starts()
    replacing = asyncio.create_task(pool.replace_workers())
    await until(lambda: pool.statistics().starts == 2)
    await pool.close()
    check(await failure(replacing), "pool_closed", "not_started")
    assert pool.statistics().asked_for == 0


async def test_two_callers_replace_one_after_the_other():
    """The second begins anew when the first is through."""
    pool, _ = pool_of()
    async with pool:
        await asyncio.gather(pool.replace_workers(), pool.replace_workers())
        assert (pool.statistics().starts, await version(pool)) == (3, 2)


async def test_workers_made_from_code_that_does_not_stay_are_replaced_again():
    """The first came up and the second failed: the first goes, when one with the code before serves."""
    pool, engine = pool_of(2, restart_backoff=10.0)
    async with pool:
        with EventRecorder(pool) as events:
            replacing = asyncio.create_task(pool.replace_workers())
            await events.wait("worker.draining")
            engine.fail_starts("out of luck")
            error = check(await failure(replacing), "start_failed", "not_started")
            assert "out of luck" in str(error)
            await events.wait("pool.restored")
        await until(lambda: pool.statistics().workers["ready"] == pool.statistics().asked_for == 2)
        assert {await version(pool) for _ in range(20)} == {1}
        assert (pool.statistics().state, pool.statistics().reason) == ("ready", "")


async def test_an_engine_that_is_lost_meanwhile_ends_the_replacement():
    """No worker can be made of either code until it is back; then it is the code before."""
    pool, engine = pool_of()
    async with pool:
        engine.hold_starts()
        replacing = asyncio.create_task(pool.replace_workers())
        await until(lambda: pool.statistics().starts == 2)
        engine.lose("the warden ended", revivals_to_fail=1)
        error = check(await failure(replacing), "start_failed", "not_started")
        assert "the warden ended" in str(error)
        check(await failure(pool.replace_workers()), "start_failed", "not_started")
        engine.release_starts()
        assert await version(pool) == 1


async def test_a_floor_that_no_engine_is_there_for_is_an_error():
    """It is not waited for until somebody has mended what is wrong."""
    pool, engine = pool_of(1, max_workers=2, restart_backoff=30.0)
    async with pool:
        engine.lose("the warden ended", revivals_to_fail=1)
        error = check(await failure(pool.resize(min_workers=2)), "start_failed", "not_started")
        assert "it could not be revived" in str(error)
        assert not pool.statistics().is_ready
        refused = check(await failure(pool.options(deadline=1.0).call("version")), "start_failed", "not_started")
        assert refused.retry_after is not None


@pytest.mark.parametrize("workers", [0, 1])
async def test_new_code_of_a_pool_without_a_worker_has_to_start(workers):
    """Where one is wanted; it is not waited for as long as the code before would have been."""
    pool, engine = pool_of(1, min_workers=workers, restart_backoff=30.0)
    async with pool:
        if workers:
            assert await version(pool) == 1
            engine.fail_starts("no disk", count=2)
            next(iter(engine.workers.values())).die(9)
            await until(lambda: pool.statistics().state == "degraded")
            check(await failure(pool.replace_workers()), "start_failed", "not_started")
        await pool.replace_workers()
        assert await version(pool) == 2
