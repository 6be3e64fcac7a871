"""Who is served first, and how many may wait."""

from __future__ import annotations

import asyncio

from tests.contract.handlers import Mixed
from tests.contract.sites import until


async def line_up(pool, gate, priorities):
    """Calls of these priorities, submitted in order behind a busy worker; the tokens are their places."""
    calls = []
    for place, priority in enumerate(priorities):
        calls.append(asyncio.create_task(pool.options(priority=priority).call("stay", gate.path, place)))
        await asyncio.sleep(0)
    await until(lambda: pool.statistics().queued == len(priorities))
    return calls


async def test_the_higher_priority_goes_first_and_equals_keep_their_order(site):
    """Priority decides among those who wait; the order of submission decides among equals."""
    async with site.pool(priority_age=60.0) as pool:
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "first"))
        await gate.entered()
        calls = await line_up(pool, gate, [0, 5, 0, 5, -1])
        gate.open()
        await asyncio.gather(busy, *calls)
        assert gate.ran() == ["first", "1", "3", "0", "2", "4"]


async def test_who_waited_long_enough_goes_before_a_higher_priority(site):
    """A priority is worth a time of waiting, so that nobody starves."""
    async with site.pool(priority_age=0.01) as pool:
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "first"))
        await gate.entered()
        old = asyncio.create_task(pool.call("stay", gate.path, "old"))
        await asyncio.sleep(0.1)
        new = asyncio.create_task(pool.options(priority=3).call("stay", gate.path, "new"))
        await until(lambda: pool.statistics().queued == 2)
        gate.open()
        await asyncio.gather(busy, old, new)
        assert gate.ran() == ["first", "old", "new"]


async def test_a_worker_runs_as_many_calls_as_its_concurrency_says(site):
    """Async operations run at once up to the bound, and no more."""
    async with site.pool(Mixed, concurrency=3) as pool:
        path = site.path()
        assert await asyncio.gather(*(pool.call("meet", path, 3) for _ in range(3))) == [3, 3, 3]
        gate = site.gate(pool, "astay")
        calls = [asyncio.create_task(pool.call("astay", gate.path, number)) for number in range(4)]
        await gate.entered(3)
        assert pool.statistics().queued == 1
        gate.open()
        assert await asyncio.gather(*calls) == [0, 1, 2, 3]


async def test_plain_operations_share_a_worker_in_threads(site):
    """With concurrency above one a plain call does not wait for another."""
    async with site.pool(concurrency=2) as pool:
        gate = site.gate(pool)
        calls = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(2)]
        await gate.entered(2)
        gate.open()
        assert await asyncio.gather(*calls) == [0, 1]


async def test_the_pool_grows_for_work_that_waits_and_no_further_than_its_bound(site):
    """Calls that would wait longer than a start takes get workers of their own, up to `max_workers`."""
    async with site.pool(min_workers=1, max_workers=2) as pool:
        gate = site.gate(pool)
        calls = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(3)]
        await gate.entered(2)
        facts = pool.statistics()
        assert (facts.alive, facts.running, facts.queued) == (2, 2, 1)
        gate.open()
        assert await asyncio.gather(*calls) == [0, 1, 2]
