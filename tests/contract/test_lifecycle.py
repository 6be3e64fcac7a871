"""A pool's own life: opening, failing to open, growing, draining, closing."""

from __future__ import annotations

import asyncio
import logging

import pytest

import millpond
from millpond.logger.delivery import DELIVERY
from millpond.testing import EventRecorder, FakeEngine
from tests.contract.handlers import Forging, Hooked, NeverMade, Plain
from tests.contract.sites import check, failure, until


async def test_nothing_starts_before_the_pool_is_opened(site):
    """Constructing one costs nothing, and its verbs say what to do."""
    pool = site.pool()
    assert pool.statistics().state == "new"
    error = check(await failure(pool.call("echo", 1)), "pool_closed", "not_started")
    assert "never opened" in str(error)
    await pool.close()
    assert pool.statistics().state == "closed"
    check(await failure(pool.open()), "pool_closed", "not_started")


async def test_opening_twice_is_opening_once_and_closing_twice_too(site):
    """Also at the same time."""
    pool = site.pool()
    assert await asyncio.gather(pool.open(), pool.open()) == [pool, pool]
    assert await pool.open() is pool
    assert pool.statistics().starts == 1
    await asyncio.gather(pool.close(), pool.close())
    await pool.close()
    check(await failure(pool.call("echo", 1)), "pool_closed", "not_started")


async def test_an_opening_that_is_cancelled_leaves_nothing_running(any_site):
    """At whatever point; whoever waited for the same opening is told that the pool is closed."""
    for turns in (0, 1, 2, 5, 40):
        pool = any_site.pool()
        opening = asyncio.create_task(pool.open())
        await asyncio.sleep(0)
        joined = asyncio.create_task(pool.open())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        if opening.cancel():
            assert isinstance(await failure(opening), asyncio.CancelledError)
            (told,) = await asyncio.gather(joined, return_exceptions=True)
            if told is not pool:  # it was ready in the very turn of the cancellation
                check(told, "pool_closed", "not_started")
            assert (pool.statistics().state, pool.statistics().alive) == ("closed", 0)
        await asyncio.gather(opening, joined, return_exceptions=True)
        await pool.close()


async def test_a_pool_may_be_closed_while_it_opens(any_site):
    """Whoever opens it is told, and nothing is left running."""
    for turns in (0, 1, 20):
        pool = any_site.pool()
        opening = asyncio.create_task(pool.open())
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0.001)
        await pool.close()
        assert (pool.statistics().state, pool.statistics().alive) == ("closed", 0)
        if turns == 0:
            check(await failure(opening), "pool_closed", "not_started")
        await asyncio.gather(opening, return_exceptions=True)


async def test_the_floor_is_ready_when_the_pool_is_open(any_site):
    """`min_workers` have answered; none is needed if none is wanted."""
    async with any_site.pool(min_workers=2) as pool:
        facts = pool.statistics()
        assert (facts.workers["ready"], facts.wanted, facts.alive, facts.is_ready) == (2, 2, 2, True)
    async with any_site.pool(min_workers=0, max_workers=1) as pool:
        # Only a worker can tell what operations a spawned handler has.
        assert pool.statistics().alive == (any_site.name == "spawn")
        assert await pool.call("echo", 1) == 1


async def test_hooks_run_in_their_order(any_site):
    """`preload` in the image, `setup` and `warmup` before the first call, `teardown` at the goodbye."""
    path = any_site.path()
    async with any_site.pool(Hooked, args=(path,)) as pool:
        assert await pool.call("was_preloaded") is (any_site.name != "spawn")
    with open(path + ".ran") as file:
        assert file.read().split() == ["setup", "warmup", "teardown"]


@pytest.mark.parametrize(
    ("handler", "last_line"),
    [
        (NeverMade, "OSError: no model on this machine"),
        ("tests.contract.unimportable:Reader", "ImportError: the author's own mistake"),
        ("tests.contract.handlers:Nobody", "has no attribute 'Nobody'"),
        ("tests.contract.handlers:double", "is no class"),
    ],
)
async def test_a_failing_start_ends_with_the_users_own_traceback(any_site, handler, last_line):
    """Opening raises, says why, and leaves nothing running."""
    pool = any_site.pool(handler)
    error = check(await failure(pool.open()), "start_failed", "not_started")
    assert last_line in str(error).rstrip().splitlines()[-1]
    facts = pool.statistics()
    assert (facts.state, facts.alive) == ("closed", 0)
    await pool.close()


async def test_a_failed_start_is_logged_by_type_and_place_and_told_with_its_text(any_site, caplog):
    """One line a record; constructor arguments and texts of exceptions are the caller's to read, and in no log."""
    caplog.set_level(logging.DEBUG)
    pool = any_site.pool(Forging, args=("a secret",))
    error = check(await failure(pool.open()), "start_failed", "not_started")
    assert "cannot start with a secret" in str(error)
    await pool.close()
    assert DELIVERY.settle(20)
    lines = [caplog.handler.format(record) for record in caplog.records]
    (line,) = [line for line in lines if "could not start" in line]
    assert "RuntimeError in __init__ (" in line
    assert "handlers.py:" in line
    assert [one for one in lines if "secret" in one or "forged" in one or not one.isprintable()] == []


def test_what_can_be_no_handler_is_refused_by_the_constructor(site):
    """Nothing has to be started to see that."""
    for wrong in (Plain(), lambda: Plain, 7):
        with pytest.raises(TypeError, match="must be a class"):
            site.pool(wrong)
    with pytest.raises(ValueError, match="module:Class"):
        site.pool("tests.contract.handlers")


def test_wrong_settings_are_refused_by_the_constructor(site):
    """With the nearest name for one that is unknown, and the bounds for one that is out of range."""
    with pytest.raises(TypeError, match="'max_worker'; did you mean 'max_workers'"):
        site.pool(max_worker=2)
    with pytest.raises(ValueError, match="concurrency must be from 1 to 256"):
        site.pool(concurrency=0)
    with pytest.raises(ValueError, match="above max_workers"):
        site.pool(min_workers=3, max_workers=2)


async def test_resizing_waits_for_the_floor_and_never_ends_who_is_busy(any_site):
    """Growing is done when the new workers are ready; shrinking takes idle ones, and the busy one last."""
    async with any_site.pool(min_workers=1) as pool:
        await pool.resize(min_workers=3, max_workers=3)
        assert pool.statistics().workers["ready"] == 3
        gate = any_site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path, "busy"))
        await gate.entered()
        with EventRecorder(pool) as events:
            await pool.resize(min_workers=1, max_workers=1)
            await events.wait("worker.gone", count=2, reason="not wanted")
        gate.open()
        assert await busy == "busy"
        with pytest.raises(ValueError, match="above max_workers"):
            await pool.resize(min_workers=2)


async def test_only_live_settings_change_and_the_pool_says_which(site):
    """What has the value already is not among those that changed; what may not change changes nothing beside it."""
    async with site.pool(min_workers=1, max_workers=2) as pool:
        assert await pool.configure(overload_control=False, max_workers=2) == {"overload_control": False}
        assert await pool.configure(min_workers=2) == {"min_workers": 2}
        assert pool.statistics().workers["ready"] == 2
        with pytest.raises(ValueError, match="max_payload cannot change while the pool runs"):
            await pool.configure(overload_control=True, max_payload=1)
        with pytest.raises(TypeError, match="did you mean 'overload_control'"):
            await pool.configure(overload_controls=True)
        assert not pool.settings.overload_control
    check(await failure(pool.configure(overload_control=True)), "pool_closed", "not_started")


async def test_a_floor_that_is_not_reached_is_an_error():
    """The new bounds stay, and are reached when starts succeed again; asking for fewer meanwhile is no failure."""
    engine = FakeEngine()
    pool = millpond.Pool(Plain, engine=engine, min_workers=1, max_workers=4, restart_backoff=0.01)
    async with pool:
        engine.fail_starts("no disk", count=2)
        error = check(await failure(pool.resize(min_workers=3)), "start_failed", "not_started")
        assert "1 of 3 workers are ready" in str(error)
        assert "no disk" in str(error)
        await until(lambda: pool.statistics().workers["ready"] == 3)
        engine.hold_starts()
        growing = asyncio.create_task(pool.resize(min_workers=4))
        await until(lambda: pool.statistics().asked_for == 4)
        await pool.resize(min_workers=2)
        await growing
        growing = asyncio.create_task(pool.resize(min_workers=4))
        await until(lambda: pool.statistics().asked_for == 4)
    check(await failure(growing), "pool_closed", "not_started")
    check(await failure(pool.resize(min_workers=1)), "pool_closed", "not_started")


async def test_replacing_workers_loses_no_call(any_site):
    """Calls go on while each worker is replaced by a new one."""
    async with any_site.pool(min_workers=2) as pool:
        before = set(pool.statistics().pids)
        replacing = asyncio.create_task(pool.replace_workers())
        number = 0
        while not replacing.done():
            assert await pool.call("echo", number) == number
            number += 1
        await replacing
        assert not before & set(pool.statistics().pids)
        assert pool.statistics().endings["lost"] == 0


async def test_draining_finishes_what_is_there_and_takes_no_more(site):
    """Queued and running calls are answered, new ones refused."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        calls = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(3)]
        await gate.entered()
        draining = asyncio.create_task(pool.drain())
        await asyncio.sleep(0)
        check(await failure(pool.call("echo", 1)), "pool_closing", "not_started")
        assert not draining.done()
        gate.open()
        assert await asyncio.gather(*calls) == [0, 1, 2]
        await draining
        await pool.drain()


async def test_closing_refuses_the_queued_and_waits_for_the_running(site):
    """What runs has the drain time; what waits is told at once."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        running = asyncio.create_task(pool.call("stay", gate.path, "done"))
        await gate.entered()
        queued = asyncio.create_task(pool.call("stay", gate.path, "queued"))
        await until(lambda: pool.statistics().queued == 1)
        closing = asyncio.create_task(pool.close(drain=20.0))
        check(await failure(queued), "pool_closed", "not_started")
        assert not running.done()
        gate.open()
        assert await running == "done"
        await closing
        assert gate.ran() == ["done"]
    assert pool.statistics().alive == 0


async def test_statistics_add_up(site):
    """Every call is in exactly one of its endings, or in flight."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        running = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        await failure(pool.call("nothing"))
        waiting = asyncio.create_task(pool.call("fail", "no"))
        late = await failure(pool.options(deadline=0.01).call("echo", 1))
        check(late, "deadline_exceeded", "not_started")
        facts = pool.statistics()
        assert facts.submitted == 4
        assert facts.submitted == sum(facts.endings.values()) + facts.in_flight
        assert (facts.running, facts.queued, facts.in_flight) == (1, 1, 2)
        gate.open()
        await running
        await failure(waiting)
        facts = pool.statistics()
        assert dict(facts.endings) == {"ok": 1, "failed": 1, "cancelled": 0, "expired": 1, "rejected": 1, "lost": 0}
        assert dict(facts.codes) == {"bad_argument": 1, "deadline_exceeded": 1, "handler_error": 1}
        assert "1 of 1 workers" in repr(pool)


async def test_a_pool_tells_its_life(any_site):
    """Its states and its workers' as events, in order."""
    pool = any_site.pool()
    with EventRecorder(pool) as events:
        async with pool:
            await pool.call("echo", 1)
        states = [name for name in events.names() if name.startswith("pool.")]
        assert states == ["pool.open", "pool.ready", "pool.closing", "pool.close"]
        assert [name for name in events.names() if name.startswith("worker.")] == [
            "worker.starting",
            "worker.warming",
            "worker.ready",
            "worker.checkout",
            "worker.checkin",
            "worker.draining",
            "worker.gone",
        ]
        assert events.of("worker.gone", exit_code=0, signal=None, lost=0, cause="retired")


async def test_a_worker_that_has_served_enough_is_replaced(site):
    """`max_calls` recycles it between two calls, and nobody waits for nothing."""
    async with site.pool(max_calls=5, max_workers=2) as pool:
        for number in range(12):
            assert await pool.call("echo", number) == number
        await until(lambda: pool.statistics().starts >= 3)
        assert pool.statistics().endings["ok"] == 12


async def test_a_pool_is_used_on_its_own_loop_only(site):
    """Another thread's loop is told to take a `SyncPool`."""
    async with site.pool() as pool:
        told = await asyncio.to_thread(lambda: asyncio.run(failure(pool.call("echo", 1))))
        assert type(told) is RuntimeError
        assert "SyncPool" in str(told)
