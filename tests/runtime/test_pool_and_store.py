"""A pool and its session store: what "acknowledged" means, and what a failing or late store may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import millpond
from millpond.seams import SessionRecord
from millpond.sessions.memory import MemoryStore
from millpond.testing import EventRecorder, FakeEngine
from tests.contract.sites import check, failure, until
from tests.runtime.stores import SlowStore, full


class Counter:
    """A session of it counts."""

    def count(self, *, session: Any) -> int:
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"]

    def read(self, *, session: Any) -> int:
        return session.state.get("n", 0)

    def echo(self, value: Any) -> Any:
        return value


def pool_on(store: Any, **settings: Any) -> millpond.Pool:
    settings = {"durability": "disk", "min_workers": 1, "max_workers": 1, "restart_backoff": 0.01, **settings}
    return millpond.Pool(Counter, engine=FakeEngine(), session_store=store, **settings)


async def turns(count: int = 20) -> None:
    """Let everything happen that needs no more than turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def stored(store: MemoryStore) -> dict[str, SessionRecord]:
    return {name: store.get(name) for name in store.ids()}


async def test_an_answer_waits_for_its_commit():
    """Acknowledged means committed: before that the caller has nothing, and the call is in flight."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        store.hold()
        call = asyncio.create_task(session.call("count"))
        await asyncio.to_thread(store.wait_held)
        await turns()
        assert not call.done()
        assert pool.statistics().in_flight == 1
        store.release()
        assert await call == 1
        assert [record.id for record in store.batches[-1]] == ["a"]


async def test_nobody_else_waits_for_a_commit():
    """Neither calls without a session nor other sessions, whose commits follow together."""
    store = SlowStore()
    async with pool_on(store) as pool:
        sessions = [await pool.session(name) for name in "abc"]
        store.hold()
        calls = [asyncio.create_task(sessions[0].call("count"))]
        await asyncio.to_thread(store.wait_held)
        assert await pool.call("echo", 1) == 1
        calls += [asyncio.create_task(session.call("count")) for session in sessions[1:]]
        await turns()
        store.release()
        assert await asyncio.gather(*calls) == [1, 1, 1]
    assert [{record.id for record in batch} for batch in store.batches] == [{"a"}, {"b", "c"}]


async def test_what_changes_nothing_waits_for_nothing():
    """A call that leaves the state as it was is answered at once."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        await session.call("count")
        store.hold()
        assert await session.call("read") == 1
        store.release()


async def test_a_state_that_cannot_be_committed_withholds_its_answer():
    """The operation ran: store_failed, completed, counted as failed. The next commit carries everything on."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        store.failures.append(full())
        error = check(await failure(session.call("count")), "store_failed", "completed")
        assert "the disk is full" in str(error)
        assert pool.statistics().endings["failed"] == 1
        assert await session.call("count") == 2
    assert stored(store)["a"].version > 0


async def test_after_a_failed_commit_a_call_that_only_looks_is_answered():
    """It commits what could not be before, and is refused while that fails; the reason is told once."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        store.failures += [full(), full()]
        for operation in ("count", "read"):
            error = check(await failure(session.call(operation)), "store_failed", "completed")
            assert str(error).count("the disk is full") == 1
        assert await session.options(deadline=5.0).call("read") == 1
        assert stored(store)["a"].state


async def test_a_restarted_program_finds_its_sessions():
    """In the state of the last acknowledged answer; the first call says once that the session was restored."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        for _ in range(3):
            await session.call("count")
    async with pool_on(store) as pool:
        session = await pool.session("a")
        check(await failure(session.call("count")), "session_restored", "not_started")
        assert await session.call("count") == 4
        other = await pool.session("b")
        assert await other.call("count") == 1


async def test_who_expects_a_restoration_is_not_notified_of_it():
    """`on_restore="continue"`, for one session or as the pool's setting."""
    store = SlowStore()
    async with pool_on(store) as pool:
        for name in "ab":
            await (await pool.session(name)).call("count")
    async with pool_on(store) as pool:
        assert await (await pool.session("a", on_restore="continue")).call("count") == 2
    async with pool_on(store, on_restore="continue") as pool:
        assert await (await pool.session("b")).call("count") == 2


async def test_a_restarted_session_can_be_stored_again():
    """Its lease goes on from the stored one: nothing of the new program is taken for late."""
    store = SlowStore()
    ages = []
    for expected in (1, 2, 3):
        async with pool_on(store, on_restore="continue") as pool:
            assert await (await pool.session("a")).call("count") == expected
        ages.append(stored(store)["a"].age)
    assert ages == sorted(set(ages))


async def test_a_closed_session_is_not_found_again():
    """Nor one that expired: the next of that id begins anew, and is stored like any other."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        await session.call("count")
        await session.call("count")
        await session.close()
        assert await (await pool.session("a")).call("count") == 1
        assert stored(store)["a"].state
        await (await pool.session("a")).close()
    assert stored(store) == {}


async def test_closing_the_pool_forgets_nothing_that_lasts():
    """With sessions in workers, asleep, and one whose call was running."""
    store = SlowStore()
    async with pool_on(store, sleep_after=0.02) as pool:
        await (await pool.session("asleep")).call("count")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        await (await pool.session("awake")).call("count")
    assert sorted(stored(store)) == ["asleep", "awake"]


async def test_two_who_open_a_stored_session_at_once_share_it():
    """One record makes one session."""
    store = SlowStore()
    async with pool_on(store) as pool:
        await (await pool.session("a")).call("count")
    async with pool_on(store, on_restore="continue") as pool:
        one, other = await asyncio.gather(pool.session("a").open(), pool.session("a").open())
        assert [await one.call("count"), await other.call("count")] == [2, 3]
        assert pool.statistics().sessions_open == 1


async def test_a_store_that_cannot_be_asked_opens_no_session():
    """A session that may be there is not begun anew behind its owner's back."""
    store = SlowStore()
    async with pool_on(store) as pool:
        store.failures.append(full())
        check(await failure(pool.session("a").open()), "store_failed", "not_started")
        assert await (await pool.session("a")).call("count") == 1


async def test_a_store_that_cannot_be_opened_opens_no_pool(tmp_path):
    """`open` says why, and nothing is left."""
    (tmp_path / "file").write_text("no database, this; " * 100)
    pool = millpond.Pool(Counter, engine=FakeEngine(), session_store=str(tmp_path / "file"))
    check(await failure(pool.open()), "store_failed", "not_started")
    assert pool.statistics().state == "closed"


async def test_a_caller_may_leave_while_its_commit_is_under_way():
    """The work was done: the state is stored all the same, and nobody is told twice."""
    store = SlowStore()
    async with pool_on(store) as pool:
        session = await pool.session("a")
        store.hold()
        call = asyncio.create_task(session.call("count"))
        await asyncio.to_thread(store.wait_held)
        await turns()
        call.cancel()
        assert isinstance(await failure(call), asyncio.CancelledError)
        store.release()
        assert await session.call("count") == 2
        assert pool.statistics().in_flight == 0
        assert pool.statistics().endings["cancelled"] == 1


def sleeping(store: Any, **settings: Any) -> millpond.Pool:
    return pool_on(store, durability="none", sleep_after=0.02, **settings)


@pytest.mark.parametrize("make", [MemoryStore, SlowStore])
async def test_a_sleeping_session_wakes_with_its_next_call(make: Callable[[], MemoryStore]):
    """Its worker holds nothing of it meanwhile, and its owner sees nothing of it."""
    store = make()
    async with sleeping(store) as pool:
        session = await pool.session("a")
        for expected in (1, 2, 3):
            assert await session.call("count") == expected
            await until(lambda: pool.statistics().sessions_asleep == 1)
            assert store.ids() == ["a"]
        assert pool.statistics().sessions_open == 1


async def test_a_session_that_cannot_be_stored_stays_in_hand():
    """Nothing is lost: it goes on with its next call, the failure is said, and sleep is tried again."""
    store = SlowStore()
    async with sleeping(store) as pool:
        with EventRecorder(pool) as recorder:
            session = await pool.session("a")
            store.failures.append(full())
            assert await session.call("count") == 1
            await recorder.wait("session.unstored")
        assert pool.statistics().sessions_asleep == 0
        assert await session.call("count") == 2
        await until(lambda: pool.statistics().sessions_asleep == 1)
        assert await session.call("count") == 3


async def test_a_call_does_not_wait_for_a_session_to_be_stored():
    """It uses what is in hand; the late result of the storing changes nothing."""
    store = SlowStore()
    async with sleeping(store) as pool:
        session = await pool.session("a")
        store.hold()
        assert await session.call("count") == 1
        await asyncio.to_thread(store.wait_held)
        assert await session.call("count") == 2
        store.release()
        assert await session.call("count") == 3
        await until(lambda: pool.statistics().sessions_asleep == 1)
        assert await session.call("count") == 4


async def test_a_session_that_cannot_be_read_now_can_be_later():
    """Its calls fail, not started; it sleeps on."""
    store = SlowStore()
    async with sleeping(store) as pool:
        session = await pool.session("a")
        await session.call("count")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        store.failures.append(full())
        check(await failure(session.call("count")), "store_failed", "not_started")
        assert await session.call("count") == 2


async def test_a_record_that_vanished_is_a_lost_session():
    """Loud, and never a new session in its place."""
    store = MemoryStore()
    async with sleeping(store) as pool:
        session = await pool.session("a")
        await session.call("count")
        await until(lambda: pool.statistics().sessions_asleep == 1)
        store.delete_many([("a", 9)])
        check(await failure(session.call("count")), "session_lost", "not_started")
