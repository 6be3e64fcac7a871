"""A pool's workers when asked: those that are there with what they do, and the last that are gone with the reasons."""

from __future__ import annotations

import asyncio
import time

import millpond
from millpond.core.records.ended import TAIL
from millpond.core.records.gone import MOST_LOST
from millpond.testing import FakeEngine, ManualClock
from tests.contract.documented import Shop
from tests.contract.handlers import Mixed, Plain
from tests.contract.sites import failure, until


async def test_each_worker_is_listed_with_what_it_does(site):
    """The busy one with its operation and for how long; the counts are those of the statistics."""
    async with site.pool(Mixed, min_workers=2) as pool, pool.session("a") as session:
        await session.call("say", "hi")
        gate = site.gate(pool)
        call = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        listed = pool.workers()
        assert [one.worker for one in listed] == sorted(pool.statistics().pids)
        assert {one.worker: one.pid for one in listed} == pool.statistics().pids
        (busy,) = (one for one in listed if one.state == "busy")
        (idle,) = (one for one in listed if one.state == "ready")
        assert (busy.operation, busy.in_flight, idle.operation, idle.seconds, idle.in_flight) == (
            "stay",
            1,
            None,
            None,
            0,
        )
        assert 0 <= busy.seconds <= busy.age_s
        assert 0 < busy.utilization <= 1
        assert (busy.sessions + idle.sessions, busy.calls + idle.calls) == (1, 1)
        gate.open()
        await call
        await until(lambda: {one.state for one in pool.workers()} == {"ready"})


async def test_a_worker_that_is_gone_is_remembered_with_its_cause_and_what_it_cost(site):
    """The newest first; one that died by a signal with it, one that was replaced without."""
    async with site.pool(Mixed) as pool, pool.session("a") as session:
        await session.call("say", "hi")
        assert pool.gone_workers() == ()
        gate = site.gate(pool)
        call = asyncio.create_task(failure(pool.call("stay", gate.path)))
        await gate.entered()
        (worker,) = pool.workers()
        before = time.time()
        site.kill(pool)
        await call
        (gone,) = pool.gone_workers()
        assert (gone.worker, gone.pid, gone.cause, gone.reason) == (worker.worker, worker.pid, "crashed", "died")
        assert (gone.signal, gone.exit_code, gone.lost, gone.sessions) == (9, None, 1, 1)
        assert worker.age_s < gone.seconds
        assert abs(gone.wall - before) < 60
        await until(lambda: pool.statistics().is_ready)
        await pool.replace_workers()
        newest, oldest = pool.gone_workers()
        assert (newest.cause, oldest) == ("recycled", pool.gone_workers()[1])
        assert newest.worker > oldest.worker == gone.worker
        assert gone.worker not in {one.worker for one in pool.workers()}


async def test_workers_are_listed_without_metrics(site):
    """Then nobody looks at their processes."""
    async with site.pool(Plain, metrics=False) as pool:
        (worker,) = pool.workers()
        assert (worker.rss, worker.cpu, worker.state) == (None, None, "ready")


async def test_the_memory_of_a_worker_is_told_once_somebody_has_looked_at_its_process(site):
    """The metrics do, a moment after each second; a fake worker has no process."""
    async with site.pool(Plain) as pool:
        assert pool.metrics.settle(10.0)
        if site.is_fake:
            assert pool.workers()[0].rss is None
        else:
            await until(lambda: pool.workers()[0].rss)
            assert pool.workers()[0].cpu >= 0


async def test_what_is_remembered_of_workers_that_are_gone_is_bounded():
    """However many went, and whatever they wrote."""
    clock, engine = ManualClock(), FakeEngine()
    settings = {"min_workers": 1, "max_workers": 1, "restart_backoff": 0.01, "metrics": False}
    async with millpond.Pool(Shop, engine=engine, clock=clock, **settings) as pool:
        for _ in range(MOST_LOST + 5):
            await pool.call("say", "hi")
            (worker,) = pool.workers()
            engine.workers[worker.worker].die(9, stderr_tail="x" * 100_000)
            await clock.advance(10.0)
            await until(lambda: pool.statistics().is_ready)
        gone = pool.gone_workers()
        assert len(gone) == MOST_LOST
        assert {len(one.stderr_tail) for one in gone} == {TAIL}
        assert [one.worker for one in gone] == sorted((one.worker for one in gone), reverse=True)


async def test_a_blocking_pool_tells_of_its_workers_from_any_thread():
    """The same records."""

    def use() -> None:
        with millpond.SyncPool(Shop, engine=FakeEngine(), min_workers=1) as pool:
            (worker,) = pool.workers()
            assert (worker.state, pool.gone_workers()) == ("ready", ())
            pool.replace_workers()
            assert [one.worker for one in pool.gone_workers()] == [worker.worker]

    await asyncio.to_thread(use)
