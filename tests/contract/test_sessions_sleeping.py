"""Sessions that sleep: nobody notices, whichever worker they wake in, and what cannot sleep stays."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from millpond.testing import EventRecorder
from tests.contract.handlers import Immovable, Plain, Portable
from tests.contract.sites import check, failure, until

SOON_S = 0.05


class Numbers:
    """State with a part that is large enough to leave the stream."""

    def append(self, number, *, session):
        blob = session.state.setdefault("blob", bytearray(200_000))
        blob.append(number)
        return len(blob)


class Brittle:
    """Cannot be read while the file at `path` is there."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return thawed, (self.path,)


def thawed(path):
    if os.path.exists(path):
        raise ZeroDivisionError("not today")
    return Brittle(path)


class Holder:
    """Its sessions may hold what is brittle."""

    def hold(self, path, *, session):
        session.state["it"] = Brittle(path)

    def holds(self, *, session):
        return "it" in session.state

    def close_session(self, session):
        """Asks for the state once more."""


async def test_a_session_sleeps_and_wakes_with_its_state(site, tmp_path):
    """In memory or in a file: the caller sees nothing of it."""
    for store in (None, str(tmp_path / "sessions.db")):
        async with site.pool(sleep_after=SOON_S, session_store=store) as pool, pool.session("ann") as ann:
            for word in "abc":
                await ann.call("say", word)
                await until(lambda pool=pool: pool.statistics().sessions_asleep == 1)
                assert ann.state == "open"
            assert await ann.call("say", "d") == ["a", "b", "c", "d"]
            assert pool.statistics().sessions_asleep == 0


async def test_large_states_sleep_as_well(site, tmp_path):
    """Buffers beside the stream, too."""
    for store in (None, str(tmp_path / "sessions.db")):
        async with site.pool(Numbers, sleep_after=SOON_S, session_store=store) as pool, pool.session("ann") as ann:
            for number in range(3):
                assert await ann.call("append", number) == 200_001 + number
                await until(lambda pool=pool: pool.statistics().sessions_asleep == 1)


async def test_a_state_that_cannot_be_read_is_kept(site):
    """By this code, that is: mended it goes on, and closed it may begin anew. Nothing says that it is lost."""
    path = site.path()
    async with site.pool(Holder, sleep_after=SOON_S) as pool:
        ann = await pool.session("ann")
        await ann.call("hold", path)
        await until(lambda: pool.statistics().sessions_asleep == 1)
        Path(path).touch()
        for _ in range(2):
            error = check(await failure(ann.call("holds")), "handler_error", "not_started")
            assert "ZeroDivisionError: not today" in str(error)
        assert ann.state == "open"
        Path(path).unlink()
        assert await ann.call("holds")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        Path(path).touch()
        check(await failure(ann.call("holds")), "handler_error", "not_started")
        await ann.close()
        assert await (await pool.session("ann")).call("holds") is False


async def test_a_handler_says_itself_what_sleeps(site):
    """The hooks of moving are those of sleeping."""
    async with site.pool(Portable, sleep_after=SOON_S) as pool, pool.session("ann") as ann:
        assert await ann.call("count") == 1
        await until(lambda: pool.statistics().sessions_asleep == 1)
        assert await ann.call("count") == 102


async def test_a_session_that_cannot_sleep_stays_where_it_is(site):
    """Its reason is in the statistics until it is closed."""
    async with site.pool(Immovable, sleep_after=SOON_S) as pool, pool.session("ann") as ann:
        assert await ann.call("count") == 1
        await until(lambda: pool.statistics().sessions_pinned)
        ((_, reason),) = pool.statistics().sessions_pinned.items()
        assert "bolted down" in reason
        assert await ann.call("count") == 2
        await ann.close()
        assert not pool.statistics().sessions_pinned


async def test_a_sleeping_session_is_woken_to_be_closed(site):
    """Its closing hook finds its state."""
    async with site.pool(sleep_after=SOON_S) as pool, pool.session("ann") as ann:
        path = site.path()
        await ann.call("remember_path", path)
        await until(lambda: pool.statistics().sessions_asleep == 1)
        await ann.close()
        with open(path + ".ran") as file:
            assert file.read() == "closed ann\n"
        check(await failure(ann.call("say", "after")), "session_lost", "not_started")


async def test_a_sleeping_session_survives_every_worker(site):
    """Nothing of it is in any of them."""
    async with site.pool(sleep_after=SOON_S) as pool, pool.session("ann") as ann:
        await ann.call("say", "a")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        with EventRecorder(pool) as events:
            site.kill(pool)
            await events.wait("worker.ready")
        assert await ann.call("say", "b") == ["a", "b"]


async def test_calls_made_together_wake_a_session_once_and_keep_their_order(site):
    """The first wakes it, the rest wait in line; one that is given up meanwhile never runs."""
    async with site.pool(sleep_after=SOON_S) as pool, pool.session("ann") as ann:
        await ann.call("say", "first")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        calls = [asyncio.create_task(ann.call("say", number)) for number in range(10)]
        await asyncio.sleep(0)
        calls[3].cancel()
        said = await asyncio.gather(*calls, return_exceptions=True)
        assert said[-1] == ["first", 0, 1, 2, 4, 5, 6, 7, 8, 9]


async def test_sessions_of_a_drained_worker_go_to_the_store(site):
    """If nobody needs them at the moment."""
    async with site.pool(Plain, sleep_after=None) as pool:
        sessions = [await pool.session(f"number {number}") for number in range(5)]
        for session in sessions:
            await session.call("say", session.id)
        await pool.replace_workers()
        await until(lambda: pool.statistics().sessions_asleep == 5)
        for session in sessions:
            assert await session.call("say", "more") == [session.id, "more"]


async def test_an_expired_session_is_gone_from_the_store(site, tmp_path):
    """Asleep or not, it ends after session_ttl."""
    settings = {"sleep_after": SOON_S, "session_ttl": 1.5, "session_store": str(tmp_path / "sessions.db")}
    async with site.pool(**settings) as pool, pool.session("ann") as ann:
        with EventRecorder(pool) as events:
            await ann.call("say", "a")
            await events.wait("session.asleep")
        await until(lambda: pool.statistics().sessions_open == 0)
        check(await failure(ann.call("say", "b")), "session_lost", "not_started")
