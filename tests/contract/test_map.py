"""`map`: results in the order of the arguments, a bounded number ahead, the first failure at its place."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.sites import read, until


async def test_results_come_in_the_order_of_the_arguments(site):
    """Whatever order they were ready in, from plain and async sources."""
    async with site.pool(min_workers=2) as pool:

        async def source():
            for number in range(50):
                yield number

        assert [result async for result in pool.map("echo", range(300))] == list(range(300))
        assert [result async for result in pool.map("echo", source())] == list(range(50))
        assert [result async for result in pool.map("echo", [])] == []


async def test_no_more_is_taken_from_the_source_than_fits_ahead(site):
    """An endless source is no problem."""
    async with site.pool() as pool:
        taken = []

        def source():
            for number in iter(int, 1):
                taken.append(number)
                yield number

        results = pool.map("echo", source())
        for _ in range(10):
            await anext(results)
        assert len(taken) <= 10 + pool.map_window
        await results.aclose()
        await until(lambda: pool.statistics().in_flight == 0)


async def test_the_first_failure_is_raised_at_its_place(site):
    """Results before it come, and what was sent ahead is given up."""
    async with site.pool() as pool:
        seen = []
        with pytest.raises(TypeError):
            await read(pool.map("large", [1, 2, "three", 4]), seen)
        assert seen == [b"x", b"xx"]
        await until(lambda: pool.statistics().in_flight == 0)
        assert await pool.call("echo", 1) == 1


async def test_closing_the_iterator_gives_up_what_is_ahead(site):
    """Calls that wait never run."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        results = pool.options(deadline=None).map("stay", iter([gate.path] * 5))
        first = asyncio.create_task(anext(results))
        await gate.entered()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await results.aclose()
        await until(lambda: pool.statistics().in_flight == 0)
        gate.open()
        assert await pool.call("echo", 1) == 1
        assert len(gate.ran()) <= 1
