"""A worker dies: what it had begun is lost, loudly, and nothing else is."""

from __future__ import annotations

import asyncio

from millpond.testing import EventRecorder
from tests.contract.sites import check, failure, until


async def test_a_dead_worker_costs_its_own_call(any_site):
    """The call it ran is lost with outcome unknown, its neighbour's answer comes, and a new worker takes its place."""
    async with any_site.pool(min_workers=2) as pool:
        gate = any_site.gate(pool)
        calls = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(2)]
        await gate.entered(2)
        victim = pool.statistics().busy[0].worker
        any_site.kill(pool, victim)
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        error = check(done.pop().exception(), "worker_died", "unknown")
        assert (error.signal, error.exit_code, error.attempts) == (9, None, 1)
        gate.open()
        assert len([a for a in await asyncio.gather(*calls, return_exceptions=True) if a in (0, 1)]) == 1
        await until(lambda: pool.statistics().workers["ready"] == 2)
        assert victim not in pool.statistics().pids


async def test_what_had_not_begun_is_given_to_another_worker_in_silence(site):
    """Calls sent ahead of a busy one survive the worker's death."""
    async with site.pool() as pool:
        for number in range(20):
            await pool.call("echo", number)
        gate = site.gate(pool)
        with EventRecorder(pool) as events:
            busy = asyncio.create_task(pool.call("stay", gate.path))
            await gate.entered()
            ahead = [asyncio.create_task(pool.call("echo", number)) for number in range(5)]
            await asyncio.sleep(0)
            site.kill(pool)
            check(await failure(busy), "worker_died", "unknown")
            assert await asyncio.gather(*ahead) == [0, 1, 2, 3, 4]
            (gone,) = await events.wait("worker.gone")
            assert (gone.signal, gone.lost) == (9, 1)


async def test_an_idempotent_call_is_tried_again(site):
    """Its caller sees nothing of the death."""
    async with site.pool(retry_backoff=0.01) as pool:
        gate = site.gate(pool)
        call = asyncio.create_task(pool.options(idempotent=True).call("stay", gate.path, "again"))
        await gate.entered()
        site.kill(pool)
        await until(lambda: pool.statistics().retries == 1)
        gate.open()
        assert await call == "again"
        assert pool.statistics().endings["lost"] == 0


async def test_an_operation_that_keeps_killing_is_shut_off(site):
    """Its breaker opens, other operations go on, and the first success after the reset closes it again."""
    async with site.pool(breaker_faults=2, breaker_reset=1.0) as pool:
        gate = site.gate(pool)
        with EventRecorder(pool) as events:
            for number in range(2):
                assert await pool.call("echo", number) == number
                call = asyncio.create_task(pool.call("stay", gate.path))
                await gate.entered(1 if site.is_fake else number + 1)
                site.kill(pool)
                check(await failure(call), "worker_died", "unknown")
            error = check(await failure(pool.call("stay", gate.path)), "circuit_open", "not_started")
            assert 0 < error.retry_after <= 1.0
            assert await pool.call("echo", 1) == 1
            gate.open()
            await asyncio.sleep(error.retry_after)
            assert await pool.call("stay", gate.path, "probe") == "probe"
            await events.wait("breaker.state", after="closed")
            assert pool.statistics().breakers["stay"] == "closed"


async def test_a_death_between_calls_costs_no_call(site):
    """An idle worker that dies is replaced before anybody notices."""
    async with site.pool() as pool:
        await pool.call("echo", 1)
        pids = pool.statistics().pids
        site.kill(pool)
        assert await pool.call("echo", 2) == 2
        assert pool.statistics().pids != pids
        assert pool.statistics().endings["lost"] == 0
