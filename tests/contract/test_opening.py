"""Calls in every form while the pool opens, before that, and when it fails."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import millpond
from millpond.testing import FakeEngine
from tests.contract.handlers import NeverMade, Plain
from tests.contract.sites import check, failure, until


class Teller:
    """A handler with all kinds of operations."""

    def echo(self, value: Any) -> Any:
        return value

    def count(self, *, session: Any) -> int:
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"]

    def letters(self, word: str):
        yield from word


async def test_whoever_calls_while_the_pool_opens_waits_for_it(any_site):
    """Calls, functions, streams, maps and sessions, from the very turn in which it is opened."""
    pool = any_site.pool(Teller)

    async def mapped() -> list[int]:
        return [answer async for answer in pool.map("echo", range(5))]

    async def streamed() -> list[str]:
        return [letter async for letter in pool.stream("letters", "pond")]

    async def in_session() -> int:
        async with pool.session("ann") as session:
            return await session.call("count")

    made = await asyncio.gather(
        pool.open(), pool.call("echo", 1), pool.run(abs, -2), mapped(), streamed(), in_session(), pool.resize()
    )
    assert made[1:] == [1, 2, [0, 1, 2, 3, 4], list("pond"), 1, None]
    facts = pool.statistics()
    assert facts.submitted == facts.endings["ok"] == 9
    await pool.close()


async def test_what_does_not_fit_is_told_when_the_operations_are_known(any_site):
    """An unknown operation, wrong arguments, the wrong verb, a session nobody opened."""
    pool = any_site.pool(Teller)
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    assert pool.statistics().state == "opening"
    wrong = [
        pool.call("nothing"),
        pool.call("echo"),
        pool.call("letters", "x"),
        pool.call("count"),
        pool.options(session="nobody").call("count"),
        pool.options(session="nobody").run(abs, -1),
    ]
    errors = await asyncio.gather(*wrong, return_exceptions=True)
    assert [error.code for error in errors] == ["bad_argument"] * 4 + ["session_lost"] * 2
    check(await failure(pool.call(7)), "bad_argument", "not_started")  # type: ignore[arg-type]
    await opening
    facts = pool.statistics()
    assert (facts.submitted, facts.endings["rejected"], facts.in_flight) == (7, 7, 0)
    await pool.close()


async def test_a_deadline_covers_the_opening_and_max_queued_bounds_who_waits():
    """Nobody waits longer than he said, and no opening collects calls without bound."""
    engine = FakeEngine()
    pool = millpond.Pool(Plain, engine=engine, min_workers=1, max_workers=1, max_queued=2)
    engine.hold_starts()
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(pool.call("echo", number)) for number in range(2)]
    await until(lambda: pool.statistics().queued == 2)
    check(await failure(pool.call("echo", 3)), "queue_full", "not_started")
    waiting[1].cancel()
    await until(lambda: pool.statistics().queued == 1)
    check(await failure(pool.options(deadline=0.01).call("echo", 4)), "deadline_exceeded", "not_started")
    engine.release_starts()
    await opening
    assert await waiting[0] == 0
    await pool.close()


async def test_calls_before_the_opening_and_after_it_failed_are_refused(any_site):
    """Those who waited are told the cause, those who come later that the pool is closed."""
    pool = any_site.pool(NeverMade)
    check(await failure(pool.call("echo", 1)), "pool_closed", "not_started")
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(pool.call("echo", 1)), asyncio.ensure_future(pool.session("a").open())]
    check(await failure(opening), "start_failed", "not_started")
    for task in waiting:
        assert "no model on this machine" in str(check(await failure(task), "start_failed", "not_started"))
    check(await failure(pool.call("echo", 1)), "pool_closed", "not_started")


async def test_calls_are_refused_when_the_opening_is_cancelled():
    """Nobody waits for what will not come."""
    engine = FakeEngine()
    engine.hold_starts()
    pool = millpond.Pool(Plain, engine=engine, min_workers=1, max_workers=1)
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(pool.call("echo", 1))
    await asyncio.sleep(0)
    opening.cancel()
    check(await failure(waiting), "pool_closed", "not_started")
    assert isinstance(await failure(opening), asyncio.CancelledError)


@pytest.mark.parametrize("fails", [False, True])
def test_a_sync_pool_that_opens_in_another_thread_is_waited_for(fails):
    """Calls and maps of any thread, as soon as the opening has begun."""
    engine = FakeEngine()
    pool = millpond.SyncPool(Teller, engine=engine, min_workers=1, max_workers=1)
    engine.hold_starts()
    told: list[BaseException] = []

    def open_pool() -> None:
        try:
            pool.open()
        except millpond.StartFailed as error:
            told.append(error)

    opener = threading.Thread(target=open_pool)
    opener.start()
    begun = threading.Event()
    while pool.statistics().state != "opening":
        begun.wait(0.001)
    answers: list[Any] = []

    def call() -> None:
        try:
            answers.extend([pool.call("echo", 1), *pool.map("echo", [2, 3]), *pool.stream("letters", "ab")])
        except millpond.PoolError as error:
            answers.append(error.code)

    caller = threading.Thread(target=call)
    caller.start()
    while pool.statistics().queued != 1:
        begun.wait(0.001)
    if fails:
        engine.fail_starts("no model on this machine")
    pool.thread.post(engine.release_starts)
    caller.join(20.0)
    opener.join(20.0)
    assert answers == (["start_failed"] if fails else [1, 2, 3, "a", "b"])
    assert len(told) == fails
    pool.close()
