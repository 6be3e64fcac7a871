"""Streams: items in order, no further ahead than the window, and an end that frees the worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contract.handlers import Mixed
from tests.contract.sites import BEGUN_S, check, failure, read, until


@pytest.mark.parametrize("operation", ["count", "acount"])
async def test_items_come_in_order_and_end(site, operation):
    """All of them, once, from plain and async generators."""
    async with site.pool(Mixed) as pool:
        assert [item async for item in pool.stream(operation, 100)] == list(range(100))
        assert [item async for item in pool.stream(operation, 0)] == []
        assert pool.statistics().endings["ok"] == 2


async def test_a_slow_reader_slows_the_generator(site):
    """It makes no more items than the window allows, and goes on when they are taken."""
    async with site.pool(stream_window=4) as pool:
        path = site.path()
        async with pool.stream("count_for_ever", path) as stream:
            assert [await anext(stream) for _ in range(10)] == list(range(10))
            ran = Path(path + ".ran")
            await until(lambda: len(ran.read_text().splitlines()) > 10)
            assert len(ran.read_text().splitlines()) <= 10 + 4 + 1


async def test_leaving_early_closes_the_generator(site):
    """Its `finally` runs in the worker, which then serves others."""
    async with site.pool() as pool:
        path = site.path()
        async with pool.stream("count_for_ever", path) as stream:
            assert await anext(stream) == 0
        await until(lambda: Path(path + ".closed").exists())
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().endings["cancelled"] == 1


async def test_a_stream_nobody_names_any_more_is_closed(site):
    """After a bare `break` too, once the stream is collected."""
    async with site.pool() as pool:
        path = site.path()
        async for item in pool.stream("count_for_ever", path):
            assert item == 0
            break
        del item
        await until(lambda: Path(path + ".closed").exists())
        assert await pool.call("echo", 1) == 1


async def test_an_error_in_the_middle_comes_after_the_items_before_it(site):
    """Nothing that was made is lost, and the exception is the handler's own."""
    async with site.pool() as pool:
        seen = []
        with pytest.raises(ValueError, match="in the middle"):
            await read(pool.stream("count_and_fail", 30), seen)
        assert seen == list(range(30))


async def test_cancelling_the_reader_ends_the_stream(site):
    """The generator is closed, also while it waits for its reader."""
    async with site.pool(stream_window=2) as pool:
        path = site.path()

        async def read_slowly():
            async with pool.stream("count_for_ever", path) as stream:
                await read(stream, [], pause=0.001)

        task = asyncio.create_task(read_slowly())
        await until(lambda: Path(path + ".ran").exists())
        task.cancel()
        assert isinstance(await failure(task), asyncio.CancelledError)
        await until(lambda: Path(path + ".closed").exists())
        assert await pool.call("echo", 1) == 1


async def test_one_deadline_covers_the_whole_stream(site):
    """It ends the stream in the middle, however far its reader is."""
    async with site.pool() as pool:
        path = site.path()
        seen = []
        error = await failure(read(pool.options(deadline=BEGUN_S).stream("count_for_ever", path), seen, pause=0.002))
        check(error, "deadline_exceeded", "unknown")
        assert seen == list(range(len(seen)))
        await until(lambda: Path(path + ".closed").exists())
        assert await pool.call("echo", 1) == 1


async def test_a_stream_is_refused_like_a_call(site):
    """What is no generator, or does not fit, raises at the first item."""
    async with site.pool() as pool:
        check(await failure(anext(pool.stream("echo", 1))), "bad_argument", "not_started")
        check(await failure(anext(pool.stream("count"))), "bad_argument", "not_started")
        check(await failure(anext(pool.stream("no_such"))), "bad_argument", "not_started")
        assert pool.statistics().endings["rejected"] == 3


async def test_an_item_that_cannot_be_sent_ends_the_stream(site):
    """The error says so, and the worker serves on."""
    async with site.pool(max_payload=10_000) as pool:
        assert [item async for item in pool.stream("count", 3)] == [0, 1, 2]
    async with site.pool(Streamer) as pool:
        seen = []
        error = await failure(read(pool.stream("spoiled"), seen))
        assert "stays where it is" in str(check(error, "result_not_serializable", "completed"))
        assert seen == [1]
        assert await pool.call("echo", 1) == 1


async def test_a_worker_that_dies_ends_its_stream(site):
    """Items that came are kept, then the loss is told; a stream is never begun again."""
    async with site.pool(stream_window=4) as pool:
        path = site.path()
        stream = pool.options(idempotent=True).stream("count_for_ever", path)
        assert await anext(stream) == 0
        site.kill(pool)
        seen = []
        check(await failure(read(stream, seen)), "worker_died", "unknown")
        assert seen == list(range(1, len(seen) + 1))


class Streamer(Mixed):
    """A stream whose second item cannot travel."""

    def spoiled(self):
        yield 1
        yield self.unsendable()
        yield 3
