"""Sessions: state that stays, calls in order, and a loss that everybody is told of."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.testing import EventRecorder
from tests.contract.handlers import Immovable, Plain, Portable
from tests.contract.sites import BEGUN_S, check, failure


async def test_state_stays_between_calls_and_apart_between_sessions(site):
    """Each session sees what it said itself, whichever worker it is in."""
    async with site.pool(min_workers=2) as pool:
        async with pool.session("ann") as ann, pool.session("bob") as bob:
            assert await ann.call("say", "a") == ["a"]
            assert await bob.call("say", "b") == ["b"]
            assert await ann.call("say", "c") == ["a", "c"]
            assert await ann.call("about") == ("ann", 1, False)
        assert pool.statistics().sessions_open == 2


async def test_leaving_the_handle_keeps_the_session_and_others_join_it(site):
    """By another handle or by options, it is the same session."""
    async with site.pool() as pool:
        async with pool.session("ann") as ann:
            await ann.call("say", "a")
        again = await pool.session("ann")
        assert await again.call("say", "b") == ["a", "b"]
        assert await pool.options(session="ann").call("say", "c") == ["a", "b", "c"]
        assert (again.id, again.generation, again.state) == ("ann", 1, "open")
        check(await failure(pool.options(session="nobody").call("say", "a")), "session_lost", "not_started")


async def test_calls_of_one_session_run_in_order_one_at_a_time(site):
    """Even in a pool with room for all of them at once, and whatever their priority."""
    async with site.pool(min_workers=2, concurrency=2) as pool, pool.session("ann") as ann:
        calls = [ann.options(priority=number).call("say", number) for number in range(50)]
        assert await asyncio.gather(*calls) == [list(range(number + 1)) for number in range(50)]


async def test_a_session_waits_for_its_own_worker(site):
    """Strict affinity: another worker is free, and the session's call waits nevertheless."""
    async with site.pool(min_workers=2) as pool, pool.session("ann") as ann, pool.session("bob") as bob:
        gate = site.gate(pool, "stay_and_say")
        await asyncio.gather(ann.call("say", "a"), bob.call("say", "b"))
        busy = asyncio.create_task(ann.call("stay_and_say", gate.path, "busy"))
        await gate.entered()
        waiting = asyncio.create_task(ann.call("say", "after"))
        assert await pool.call("echo", 1) == 1
        assert not waiting.done()
        gate.open()
        assert await busy == ["a", "busy"]
        assert await waiting == ["a", "busy", "after"]


async def test_fail_fast_refuses_while_its_worker_is_busy_with_others(site):
    """Busy is busy, whoever is served."""
    async with site.pool() as pool, pool.session("ann", affinity="fail_fast") as ann:
        await ann.call("say", "a")
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        check(await failure(ann.call("stay_and_say", gate.path, "b")), "session_busy", "not_started")
        gate.open()
        await busy
        assert await ann.call("say", "c") == ["a", "c"]


async def test_a_hint_is_no_reason_to_wait_before_there_is_state(site):
    """A session that has nothing in its worker is served by another; one that has never loses it."""
    async with site.pool(min_workers=2, affinity="hint") as pool, pool.session("ann") as ann:
        gate = site.gate(pool)
        assert await ann.call("say", "a") == ["a"]
        busy = [asyncio.create_task(pool.call("stay", gate.path)) for _ in range(2)]
        await gate.entered(2)
        waiting = asyncio.create_task(ann.call("say", "b"))
        gate.open()
        await asyncio.gather(*busy)
        assert await waiting == ["a", "b"]


async def test_a_session_dies_with_its_worker_and_every_call_says_so(site):
    """The running call is lost, the waiting ones and all later ones are told, until somebody reopens it."""
    async with site.pool(min_workers=1) as pool, pool.session("ann") as ann:
        gate = site.gate(pool, "stay_and_say")
        await ann.call("say", "a")
        running = asyncio.create_task(ann.call("stay_and_say", gate.path, "b"))
        await gate.entered()
        waiting = asyncio.create_task(ann.call("say", "c"))
        await asyncio.sleep(0)
        with EventRecorder(pool) as events:
            site.kill(pool)
            check(await failure(running), "worker_died", "unknown")
            check(await failure(waiting), "session_lost", "not_started")
            await events.wait("session.lost", generation=1)
        check(await failure(ann.call("say", "d")), "session_lost", "not_started")
        check(await failure(pool.session("ann").open()), "session_lost", "not_started")
        check(await failure(pool.options(session="ann").call("say", "d")), "session_lost", "not_started")
        async with pool.session("ann", reopen=True) as new:
            assert new.generation == 2
            assert await new.call("say", "new") == ["new"]
            assert await new.call("about") == ("ann", 2, False)
            await use_old_handle(ann)
            assert await new.call("say", "still there") == ["new", "still there"]


async def use_old_handle(ann):
    """A handle of a generation that was lost can do nothing, not even close."""
    check(await failure(ann.call("say", "old")), "session_lost", "not_started")
    assert ann.state == "lost"
    check(await failure(ann.close()), "session_lost", "not_started")
    check(await failure(ann.open()), "session_lost", "not_started")


async def test_a_closed_session_is_closed_again_in_silence(site):
    """Its end was wished for; only using the handle again is refused. So is what a closed pool ended."""
    async with site.pool() as pool:
        ann, bob, unused = [await pool.session(name) for name in ("ann", "bob", "unused")]
        await ann.call("say", "a")
        await ann.close()
        await ann.close()
        check(await failure(ann.open()), "session_lost", "not_started")
        await bob.call("say", "b")
    await bob.close()
    await unused.close()  # nothing of it was in a worker that went


async def test_a_session_lost_while_it_closes_says_so(site):
    """Its hook did not run: whoever waits for the closing is told."""
    async with site.pool(deadline=None) as pool, pool.session("ann") as ann:
        gate = site.gate(pool, "stay_and_say")
        busy = asyncio.create_task(ann.call("stay_and_say", gate.path, "busy"))
        await gate.entered()
        closing = asyncio.create_task(ann.close())
        await asyncio.sleep(0)
        site.kill(pool)
        check(await failure(busy), "worker_died", "unknown")
        check(await failure(closing), "session_lost", "not_started")
        gate.open()


async def test_closing_runs_the_hook_after_the_calls_already_made(site):
    """Then the session is gone, and its id begins anew."""
    async with site.pool() as pool, pool.session("ann") as ann:
        path = site.path()
        gate = site.gate(pool, "stay_and_say")
        await ann.call("remember_path", path)
        busy = asyncio.create_task(ann.call("stay_and_say", gate.path, "busy"))
        await gate.entered()
        closing = asyncio.create_task(ann.close())
        await asyncio.sleep(0)
        check(await failure(ann.call("say", "too late")), "session_lost", "not_started")
        assert not closing.done()
        gate.open()
        assert await busy == ["busy"]
        await closing
        assert ann.state == "closed"
        with open(path + ".ran") as file:
            assert file.read() == "closed ann\n"
        check(await failure(ann.call("say", "after")), "session_lost", "not_started")
        async with pool.session("ann") as new:
            assert await new.call("say", "new") == ["new"]
        assert pool.statistics().sessions_open == 1


async def test_a_session_that_cannot_be_opened_tells_its_first_call(site):
    """The opening hook's exception is the call's, and the session may be tried again."""
    async with site.pool() as pool, pool.session("cannot open") as session:
        for _ in range(2):
            assert type(await failure(session.call("say", "a"))) is ValueError
        assert await pool.call("echo", 1) == 1


async def test_the_next_caller_learns_that_a_call_was_interrupted(site):
    """Its state may be half changed; after one whole call all is well again."""
    async with site.pool() as pool, pool.session("ann") as ann:
        gate = site.gate(pool, "stay_and_say")
        await ann.call("say", "a")
        error = await failure(ann.options(deadline=BEGUN_S).call("stay_and_say", gate.path, "b"))
        check(error, "deadline_exceeded", "unknown")
        assert (await ann.call("about"))[2] is True
        assert (await ann.call("about"))[2] is False
        assert await ann.call("say", "c") == ["a", "c"]


async def test_replacing_workers_keeps_the_sessions_state(any_site):
    """The state goes along to the new workers; nobody notices but the handler that asks."""
    async with any_site.pool(min_workers=2) as pool:
        sessions = [await pool.session(f"number {number}") for number in range(6)]
        for session in sessions:
            await session.call("say", session.id)
        pids = pool.statistics().pids
        await pool.replace_workers()
        assert not set(pids) & set(pool.statistics().pids)
        for session in sessions:
            assert await session.call("say", "more") == [session.id, "more"]
            assert session.generation == 1


async def test_a_handler_says_itself_what_moves(site):
    """`export_session` and `import_session` carry the state in a form of their own."""
    async with site.pool(Portable) as pool, pool.session("ann") as ann:
        assert await ann.call("count") == 1
        await pool.replace_workers()
        assert await ann.call("count") == 102
        await pool.replace_workers()
        await pool.replace_workers()
        assert await ann.call("count") == 203


async def test_a_session_that_cannot_move_keeps_its_worker(site):
    """It is pinned there, said in an event, and serves on until it is closed."""
    async with site.pool(Immovable, min_workers=1, max_workers=2) as pool, pool.session("ann") as ann:
        assert await ann.call("count") == 1
        with EventRecorder(pool) as events:
            replacing = asyncio.create_task(pool.replace_workers())
            (pinned,) = await events.wait("session.pinned")
            assert "bolted down" in pinned.reason
            assert await ann.call("count") == 2
            await ann.close()
            await replacing


async def test_private_sessions_have_a_process_each(any_site):
    """`isolation="process"`: a fresh one for every session, thrown away afterwards."""
    async with any_site.pool(isolation="process", min_workers=1, max_workers=2) as pool:
        ann, bob = await pool.session("ann"), await pool.session("bob")
        assert await ann.call("say", "a") == ["a"]
        assert await bob.call("say", "b") == ["b"]
        assert len(pool.statistics().pids) == 2
        check(await failure(pool.session("eve").open()), "too_many_sessions", "not_started")
        before = set(pool.statistics().pids)
        await ann.close()
        eve = await pool.session("eve")
        assert await eve.call("say", "e") == ["e"]
        assert set(pool.statistics().pids) - before
        assert await bob.call("say", "again") == ["b", "again"]


async def test_a_handle_that_was_not_opened_says_so(site):
    """And an id that is no id is refused where it is given."""
    async with site.pool(Plain) as pool:
        with pytest.raises(RuntimeError, match="was not opened"):
            pool.session("ann").generation
        with pytest.raises(RuntimeError, match="was not opened"):
            pool.session("ann").options(deadline=1)
        for wrong in ("", 7, None):
            with pytest.raises(ValueError if wrong == "" else TypeError, match="session id"):
                pool.session(wrong)
        with pytest.raises(millpond.BadArgument):
            await pool.session("ann").call("say", "a")


class Guest:
    """Operations that do without a session."""

    def by_keyword(self, word, *, session=None):
        return word, session and session.id

    def by_position(self, session=None, word="nothing"):
        return word, session and session.id


async def test_a_session_with_a_default_may_be_absent(site):
    """The operation then gets its default, wherever the parameter stands, and the caller's arguments are its own."""
    async with site.pool(Guest) as pool, pool.session("ann") as ann:
        for operation in ("by_keyword", "by_position"):
            assert tuple(await pool.call(operation, "word")) == ("word", None)
            assert tuple(await pool.call(operation, word="word")) == ("word", None)
            assert tuple(await ann.call(operation, "word")) == ("word", "ann")
        assert tuple(await pool.call("by_position")) == ("nothing", None)
