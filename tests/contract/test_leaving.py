"""Callers leave: deadlines, cancellation, and what becomes of the work."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from tests.contract.handlers import Mixed
from tests.contract.sites import BEGUN_S, check, failure, until


async def test_a_deadline_that_passes_in_the_queue_proves_that_nothing_ran(site):
    """The call ends at its deadline although the worker is busy, and never runs."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "first"))
        await gate.entered()
        error = await failure(pool.options(deadline=0.05).call("stay", gate.path, "late"))
        check(error, "deadline_exceeded", "not_started")
        assert isinstance(error, TimeoutError)
        assert pool.statistics().queued == 0
        gate.open()
        assert await busy == "first"
        assert await pool.call("echo", 1) == 1
        assert gate.ran() == ["first"]


@pytest.mark.parametrize("operation", ["stay", "astay"])
async def test_a_deadline_that_passes_while_running_stops_the_work(site, operation):
    """The caller learns that the work may have run, and the same worker is free for the next call."""
    async with site.pool(Mixed) as pool:
        gate = site.gate(pool, operation)
        pids = pool.statistics().pids
        error = await failure(pool.options(deadline=BEGUN_S).call(operation, gate.path))
        check(error, "deadline_exceeded", "unknown")
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().pids == pids
        assert pool.statistics().endings["expired"] == 1


async def test_a_deadline_of_zero_never_runs(site):
    """A call that is late before it is sent is refused by the worker or before."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        gate.open()
        check(await failure(pool.options(deadline=0).call("stay", gate.path)), "deadline_exceeded", "not_started")
        assert await pool.call("echo", 1) == 1
        assert gate.ran() == []


@pytest.mark.parametrize("operation", ["stay", "astay"])
async def test_cancelling_stops_the_work(site, operation):
    """The caller is free at once; the operation is interrupted and the worker serves on."""
    async with site.pool(Mixed) as pool:
        gate = site.gate(pool, operation)
        task = asyncio.create_task(pool.call(operation, gate.path))
        await gate.entered()
        task.cancel()
        assert isinstance(await failure(task), asyncio.CancelledError)
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().endings["cancelled"] == 1


async def test_a_cancelled_call_that_waits_never_runs(site):
    """Withdrawn in time, whether it was in the queue or ahead in the worker's window."""
    async with site.pool() as pool:
        for number in range(20):
            await pool.call("echo", number)  # known to be short: sent ahead
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "first"))
        await gate.entered()
        waiting = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(3)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        for task in waiting:
            assert isinstance(await failure(task), asyncio.CancelledError)
        gate.open()
        assert await busy == "first"
        assert await pool.call("echo", 1) == 1
        assert gate.ran() == ["first"]


async def test_what_swallows_interrupts_costs_its_worker_after_the_grace(site):
    """An operation that does not come back is ended with its worker, and a new one serves."""
    async with site.pool(cancel_grace=0.1) as pool:
        gate = site.gate(pool, "stubborn")
        task = asyncio.create_task(pool.call("stubborn", gate.path))
        await gate.entered()
        task.cancel()
        assert isinstance(await failure(task), asyncio.CancelledError)
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().starts == 2


async def test_an_abandoned_call_runs_to_its_end(site):
    """With `on_cancel="abandon"` nobody interrupts it, and its answer is dropped."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        task = asyncio.create_task(pool.options(on_cancel="abandon").call("stay", gate.path, "done"))
        await gate.entered()
        task.cancel()
        assert isinstance(await failure(task), asyncio.CancelledError)
        gate.open()
        assert await pool.call("echo", 1) == 1
        await until(lambda: pool.statistics().late_answers == 1)
        assert gate.ran() == ["done"]


async def test_a_worker_that_was_interrupted_may_be_replaced(site):
    """With `on_interrupt="replace"` it serves nobody any more, although it came back."""
    async with site.pool(on_interrupt="replace") as pool:
        gate = site.gate(pool)
        pids = pool.statistics().pids
        check(
            await failure(pool.options(deadline=BEGUN_S).call("stay", gate.path)),
            "deadline_exceeded",
            "unknown",
        )
        await until(lambda: pool.statistics().workers["ready"] and pool.statistics().pids != pids)
        assert await pool.call("echo", 1) == 1


async def test_the_default_deadline_holds_where_none_is_given(site):
    """The pool's setting bounds each call, and `None` lifts it."""
    async with site.pool(deadline=BEGUN_S) as pool:
        gate = site.gate(pool)
        check(await failure(pool.call("stay", gate.path)), "deadline_exceeded", "unknown")
        patient = asyncio.create_task(pool.options(deadline=None).call("stay", gate.path, "patient"))
        await gate.entered(1 if site.is_fake else 2)
        gate.open()
        assert await patient == "patient"


async def test_a_cancelled_caller_raises_nothing_but_that(site):
    """No pool error replaces asyncio's own, so that timeouts around a call work."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await pool.call("stay", gate.path)
        assert not isinstance(caught.value, millpond.PoolError)
