"""The stacks of a worker's threads now: of processes the handler's own lines, of others the reason why not."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.seams import NoStack
from tests.contract.sites import until


async def test_a_busy_workers_stack_shows_what_it_runs_and_its_call_goes_on(any_site):
    """However it was started; three who ask at once get the same. A worker that is no process says so."""
    async with any_site.pool() as pool:
        gate = any_site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "done"))
        await gate.entered()
        if any_site.is_fake:
            with pytest.raises(NoStack, match="no process"):
                await pool.stack(1)
        else:
            texts = await asyncio.gather(*(pool.stack(1) for _ in range(3)))
            assert len(set(texts)) == 1
            assert " in stay\n" in texts[0]
            assert "control_thread" not in texts[0]
        gate.open()
        assert await busy == "done"
        assert pool.statistics().starts == 1


async def test_a_worker_that_is_not_there_has_no_stack(site):
    """Neither one that never was, nor one that died."""
    async with site.pool() as pool:
        with pytest.raises(NoStack, match="no worker 77"):
            await pool.stack(77)
        site.kill(pool)
        await until(lambda: 1 not in pool.statistics().pids)
        with pytest.raises(NoStack, match=r"no worker 1 is there|gone"):
            await pool.stack(1)


async def test_a_blocking_pool_tells_stacks_too(site):
    """From any other thread."""

    def use() -> None:
        with millpond.SyncPool("tests.contract.handlers:Plain", max_workers=1, min_workers=1) as pool:
            assert " in main" in pool.stack(1)

    if not site.is_fake:
        await asyncio.to_thread(use)
