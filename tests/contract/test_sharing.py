"""What processes share: given to calls, given back, and kept in sessions."""

from __future__ import annotations

import asyncio
import multiprocessing

import pytest

from millpond.testing import EventRecorder
from tests.contract.sites import check, failure, until

SPAWN = multiprocessing.get_context("spawn")


async def test_a_pipe_s_end_goes_there_and_back(any_site):
    """What comes back is an end of the same pipe, and no copy of it stays on the way."""
    async with any_site.pool() as pool:
        ours, theirs = SPAWN.Pipe()
        back = await pool.call("echo", [theirs])
        theirs.close()
        back[0].send("hello")
        assert ours.recv() == "hello"
        back[0].close()
        await until(ours.poll)
        with pytest.raises(EOFError):
            ours.recv()
        ours.close()


async def test_a_session_that_keeps_a_pipe_s_end_stays_where_it_is(site):
    """Its worker is not replaced before it is closed: nobody else could have what is in its state."""
    async with site.pool() as pool, pool.session("one") as session:
        ours, theirs = SPAWN.Pipe()
        await session.call("say", theirs)
        replacing = asyncio.create_task(pool.replace_workers())
        for _ in range(3):
            said = await session.call("say", "more")
        assert said[1:] == ["more"] * 3
        said[0].send("hello")
        assert ours.recv() == "hello"
        await session.close()
        await replacing


async def test_a_pipe_s_end_in_a_session_is_not_saved(site):
    """Durability cannot keep it open: the loss is told, and no number of a descriptor is restored."""
    async with site.pool(durability="reply") as pool, pool.session("one") as session:
        await session.call("say", "something")
        _, theirs = SPAWN.Pipe()
        with EventRecorder(pool) as events:
            await session.call("say", theirs)
            site.kill(pool)
            await events.wait("worker.gone")
        check(await failure(session.call("say", "more")), "session_lost", "not_started")
