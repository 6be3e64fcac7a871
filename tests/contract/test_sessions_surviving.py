"""Durability: what was acknowledged survives the worker, and whoever comes next is told once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from millpond.testing import EventRecorder
from tests.contract.handlers import Portable
from tests.contract.sites import check, failure, until


class Holder:
    """State that is large, that cannot be taken along, or that changes little."""

    def fill(self, size, *, session):
        session.state["blob"] = b"x" * size
        session.state["n"] = 0

    def count(self, *, session):
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"], len(session.state.get("blob", b""))

    def lock(self, *, session):
        session.state["lock"] = threading.Lock()

    def unlock(self, *, session):
        session.state.pop("lock", None)

    def fail(self, *, session):
        session.state["n"] = session.state.get("n", 0) + 1
        raise ValueError("after the change")

    def items(self, upto, *, session):
        for number in range(upto):
            session.state["n"] = number
            yield number


async def killed(site, pool):
    """End the only worker, and wait until the pool knows."""
    with EventRecorder(pool) as events:
        site.kill(pool)
        await events.wait("worker.gone")


async def test_the_state_of_the_last_answer_survives_the_worker(site):
    """The next call is told once, and the one after goes on."""
    async with site.pool(durability="reply") as pool, pool.session("ann") as ann:
        for word in "abc":
            await ann.call("say", word)
        await killed(site, pool)
        check(await failure(ann.call("say", "told")), "session_restored", "not_started")
        assert await ann.call("say", "d") == ["a", "b", "c", "d"]
        assert ann.generation == 1


async def test_whoever_wants_to_go_on_is_not_told(site):
    """`on_restore="continue"`, of the pool or of one session."""
    async with site.pool(durability="reply") as pool, pool.session("ann", on_restore="continue") as ann:
        await ann.call("say", "a")
        await killed(site, pool)
        assert await ann.call("say", "b") == ["a", "b"]


async def test_what_ran_is_lost_and_what_waited_is_told_first(site):
    """The running call is unknown, the first behind it learns of the restoration, the others run."""
    async with site.pool(durability="reply") as pool, pool.session("ann") as ann:
        gate = site.gate(pool, "stay_and_say")
        await ann.call("say", "a")
        running = asyncio.create_task(ann.call("stay_and_say", gate.path, "b"))
        await gate.entered()
        waiting = [asyncio.create_task(ann.call("say", word)) for word in "cde"]
        await asyncio.sleep(0)
        site.kill(pool)
        check(await failure(running), "worker_died", "unknown")
        check(await failure(waiting[0]), "session_restored", "not_started")
        assert await waiting[1] == ["a", "d"]
        assert await waiting[2] == ["a", "d", "e"]


@pytest.mark.parametrize("size", [10, 10_000, 300_000])
async def test_states_of_any_size_survive(site, size):
    """Whole, as a difference, and with buffers beside the stream."""
    async with site.pool(Holder, durability="reply", on_restore="continue") as pool, pool.session("ann") as ann:
        await ann.call("fill", size)
        for number in range(1, 4):
            assert await ann.call("count") == (number, size)
        await killed(site, pool)
        assert await ann.call("count") == (4, size)
        await killed(site, pool)
        assert await ann.call("count") == (5, size)


async def test_failures_and_streams_are_answers_too(site):
    """What they changed was acknowledged with them."""
    async with site.pool(Holder, durability="reply", on_restore="continue") as pool, pool.session("ann") as ann:
        assert await ann.call("count") == (1, 0)
        assert type(await failure(ann.call("fail"))) is ValueError
        await killed(site, pool)
        assert await ann.call("count") == (3, 0)
        assert [item async for item in ann.stream("items", 6)] == list(range(6))
        await killed(site, pool)
        assert await ann.call("count") == (6, 0)


async def test_a_state_that_cannot_be_saved_is_lost_loudly(site):
    """The session is pinned with the reason while that lasts, and lost with its worker."""
    async with site.pool(Holder, durability="reply") as pool, pool.session("ann") as ann:
        await ann.call("count")
        await ann.call("lock")
        ((_, reason),) = pool.statistics().sessions_pinned.items()
        assert "lock" in reason
        await ann.call("unlock")
        assert not pool.statistics().sessions_pinned
        await ann.call("lock")
        await killed(site, pool)
        check(await failure(ann.call("count")), "session_lost", "not_started")


async def test_a_handler_says_itself_what_is_saved(site):
    """`export_session` is called after each answer, and `import_session` after a death."""
    async with site.pool(Portable, durability="reply", on_restore="continue") as pool, pool.session("ann") as ann:
        assert await ann.call("count") == 1
        assert await ann.call("count") == 2
        await killed(site, pool)
        assert await ann.call("count") == 103


async def test_durable_sessions_sleep_and_move_too(site):
    """Their worker is told to forget them: what they are is here already."""
    async with site.pool(durability="reply", sleep_after=0.05) as pool, pool.session("ann") as ann:
        await ann.call("say", "a")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        assert await ann.call("say", "b") == ["a", "b"]
        await pool.replace_workers()
        assert await ann.call("say", "c") == ["a", "b", "c"]
        gate = site.gate(pool, "stay_and_say")
        running = asyncio.create_task(ann.call("stay_and_say", gate.path, "x"))  # so that it is awake
        await gate.entered()
        site.kill(pool)
        check(await failure(running), "worker_died", "unknown")
        check(await failure(ann.call("say", "told")), "session_restored", "not_started")
        gate.open()
        assert await ann.call("say", "d") == ["a", "b", "c", "d"]


async def test_a_session_whose_first_call_died_begins_anew_and_says_so(site):
    """Nothing of it was acknowledged."""
    async with site.pool(durability="reply") as pool, pool.session("ann") as ann:
        gate = site.gate(pool, "stay_and_say")
        running = asyncio.create_task(ann.call("stay_and_say", gate.path, "a"))
        await gate.entered()
        site.kill(pool)
        check(await failure(running), "worker_died", "unknown")
        check(await failure(ann.call("say", "told")), "session_restored", "not_started")
        gate.open()
        assert await ann.call("say", "b") == ["b"]
