"""Sessions leave busy workers for idle ones, and idle workers that are not wanted, with their state."""

from __future__ import annotations

import asyncio

from millpond.testing import EventRecorder
from tests.contract.handlers import Mixed, Plain
from tests.contract.sites import until


async def together(pool, count=2):
    """Sessions that have state in one worker, the only one so far."""
    sessions = [await pool.session(f"number {number}") for number in range(count)]
    for session in sessions:
        await session.call("say", session.id)
    return sessions


async def test_a_session_leaves_a_busy_worker_for_an_idle_one(site):
    """Its call does not wait for the other session's, its state goes along, and its calls keep their order."""
    for handler in (Plain, Mixed):
        async with site.pool(handler, max_workers=2, affinity="hint") as pool:
            first, second = await together(pool)
            await pool.resize(min_workers=2)
            gate = site.gate(pool, "stay_and_say")
            busy = asyncio.create_task(first.call("stay_and_say", gate.path, "busy"))
            await gate.entered()
            with EventRecorder(pool) as events:
                said = await asyncio.gather(*(second.call("say", number) for number in range(5)))
                await events.wait("session.moved")
            assert said[-1] == [second.id, 0, 1, 2, 3, 4]
            assert not busy.done()
            gate.open()
            assert await busy == [first.id, "busy"]


async def test_a_session_leaves_when_another_worker_becomes_free(site):
    """All were busy when its call came."""
    async with site.pool(max_workers=2, affinity="hint") as pool:
        first, second = await together(pool)
        await pool.resize(min_workers=2)
        gates = [site.gate(pool, "stay_and_say"), site.gate(pool)]
        busy = asyncio.create_task(first.call("stay_and_say", gates[0].path, "busy"))
        await gates[0].entered()
        other = asyncio.create_task(pool.call("stay", gates[1].path))
        await gates[1].entered()
        waiting = asyncio.create_task(second.call("say", "soon"))
        await asyncio.sleep(0)
        gates[1].open()
        await other
        assert await waiting == [second.id, "soon"]
        assert not busy.done()
        gates[0].open()
        await busy


async def test_a_draining_worker_gives_its_idle_sessions_away_while_it_is_busy(site):
    """They do not wait for the end of another session's call."""
    async with site.pool(max_workers=2) as pool:
        first, second = await together(pool)
        gate = site.gate(pool, "stay_and_say")
        busy = asyncio.create_task(first.call("stay_and_say", gate.path, "busy"))
        await gate.entered()
        replacing = asyncio.create_task(pool.replace_workers())
        await until(lambda: pool.statistics().sessions_asleep == 1)
        assert await second.call("say", "elsewhere") == [second.id, "elsewhere"]
        assert not busy.done()
        gate.open()
        assert await busy == [first.id, "busy"]
        await replacing
        assert await first.call("say", "after") == [first.id, "busy", "after"]


async def test_idle_workers_with_sessions_are_retired(site):
    """Their sessions lose nothing; scaling down hurts nobody."""
    async with site.pool(min_workers=3, sleep_after=None) as pool:
        sessions = [await pool.session(f"number {number}") for number in range(9)]
        for session in sessions:
            await session.call("say", session.id)
        await pool.resize(min_workers=1, max_workers=1)
        await until(lambda: pool.statistics().asked_for == 1)
        for session in sessions:
            assert await session.call("say", "more") == [session.id, "more"]
