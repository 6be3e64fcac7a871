"""The warm-up of a pool: at opening, of workers that come later, and again while it serves."""

from __future__ import annotations

import asyncio
import queue
import threading
from pathlib import Path

import pytest

import millpond
from millpond import Warmup, warm_sequential, warm_staged
from millpond.testing import EventRecorder
from tests.contract.sites import WAIT_S, check, failure, until
from tests.warming.handlers import Cook, note, noted


async def test_commands_are_run_before_the_first_call(any_site):
    """Operations with their arguments, imports, and functions; what they return need not travel."""
    warmup = [Warmup("heat", 90), Warmup.imports("colorsys"), Warmup.run(note, "salt")]
    async with any_site.pool(Cook, warmup=warmup) as pool:
        assert await pool.call("what") == ["heat 90"]
        assert "salt" in await pool.run(noted)
        report = pool.warmer.report
        assert [(one.command, one.outcome) for one in report.workers[0].commands] == [
            ("heat", "ok"),
            ("import colorsys", "ok"),
            ("tests.warming.handlers.note", "ok"),
        ]
        said = pool.statistics()
        assert (said.submitted, said.state, dict(said.warm_failures)) == (2, "ready", {})


async def test_a_worker_that_comes_later_is_warmed_too(site):
    """Nobody meets a cold one."""
    async with site.pool(Cook, warmup=[Warmup("heat", 90)]) as pool:
        site.kill(pool)
        await until(lambda: pool.statistics().starts == 2)
        assert await pool.call("what") == ["heat 90"]


async def test_a_failing_required_command_keeps_the_pool_from_opening(site):
    """The reason is in the error: command, and what it raised."""
    path = site.path()
    Path(path).touch()
    error = check(await failure(site.pool(Cook, warmup=[Warmup("boil", path)]).open()), "start_failed", "not_started")
    assert "'boil' failed: RuntimeError: no water" in str(error)


def health_notes(pool) -> str:
    """What the pool's health notes beside its points."""
    pool.metrics.fold()
    return "; ".join(pool.metrics.snapshot().health.notes)


async def test_the_pool_opens_with_those_that_succeeded(site):
    """`min_ready` of them suffice; the others come later, and till then the pool says what is wrong."""
    warmup = [Warmup("boil_once_in_two", site.path())]
    async with site.pool(
        Cook, warmup=warmup, min_workers=3, min_ready=2, restart_backoff=0.5, warm_strategy=warm_sequential
    ) as pool:
        said = pool.statistics()
        assert dict(said.warm_failures) == {"boil_once_in_two": 1}
        if site.is_fake:  # where nothing else takes time: the third may be there by now
            assert said.state == "degraded"
            assert "no water" in said.reason
        await until(lambda: pool.statistics().workers["ready"] == 3)


async def test_a_best_effort_failure_is_seen_and_can_be_healed(site):
    """The worker serves; a warm-up in service makes the pool well."""
    path = site.path()
    Path(path).touch()
    async with site.pool(Cook, warmup=[Warmup("boil", path, required=False)]) as pool:
        said = pool.statistics()
        assert (said.state, dict(said.warm_failures), dict(said.not_warm)) == ("degraded", {"boil": 1}, {1: ("boil",)})
        assert "not fully warm" in health_notes(pool)
        Path(path).unlink()
        report = await pool.warm()
        assert (report.warm, report.success_share) == ((1,), 1.0)
        assert pool.statistics().state == "ready"
        assert "not fully warm" not in health_notes(pool)
        assert pool.statistics().starts == 1


async def test_a_running_pool_is_warmed_in_service(site):
    """Calls go on being answered, and the strategy says who is next."""
    async with site.pool(Cook, min_workers=2) as pool:
        order = []

        async def backwards(workers, warm):
            for worker in reversed(workers):
                order.append(worker)
                await warm(worker)

        warming = asyncio.ensure_future(pool.warm(backwards, commands=[Warmup("heat", 1), Warmup("heat", 2)]))
        calls = [await pool.call("what") for _ in range(20)]
        report = await warming
        assert order == [2, 1]
        assert len(calls) == 20
        assert (report.warm, report.failed, report.success_share) == ((2, 1), (), 1.0)
        assert await pool.call("what") == ["heat 1", "heat 2"]


async def test_progress_can_be_followed(site):
    """Each command is told with how many are behind and ahead; then the iteration ends."""
    async with site.pool(Cook, min_workers=2) as pool:

        async def follow():
            return [step async for step in pool.warmer]

        following = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        recorder = EventRecorder(pool)
        await pool.warm(warm_sequential, commands=[Warmup("heat", 1)])
        steps = await following
        assert [(one.worker, one.command, one.outcome, one.done, one.of) for one in steps] == [
            (1, "heat", "ok", 1, 2),
            (2, "heat", "ok", 2, 2),
        ]
        assert [event.name for event in recorder.events if event.name.startswith("warming")] == [
            "warming.start",
            "warming.command",
            "warming.command",
            "warming.stop",
        ]


async def test_who_follows_is_let_go_when_the_pool_closes(site):
    """There will be no other round; on a closed pool there is nothing to follow."""

    async def follow(pool):
        return [step async for step in pool.warmer]

    async with site.pool(Cook) as pool:
        following = asyncio.ensure_future(follow(pool))
        await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        assert await following == []
        assert await follow(pool) == []
    unopened = site.pool(Cook)
    following = asyncio.ensure_future(follow(unopened))
    await asyncio.sleep(0)
    unopened.close_unopened()
    async with asyncio.timeout(WAIT_S):
        assert await following == []


async def test_what_a_strategy_leaves_out_is_in_the_report(site):
    """A strategy that stops early is no failure of the workers that serve."""
    path = site.path()
    Path(path).touch()
    async with site.pool(Cook, min_workers=3, restart_backoff=5.0) as pool:
        report = await pool.warm(warm_staged(1, stop_above=0.0), commands=[Warmup("boil", path)])
        assert [one.failure.partition(":")[0] for one in report.workers[1:]] == ["skipped", "skipped"]
        assert report.success_share == 0.0
        assert report.failures == {"boil": 1}
        assert pool.statistics().workers["ready"] == 2


async def test_a_strategy_that_raises_is_told_to_who_asked(site):
    """The pool goes on."""

    async def broken(workers, warm):
        raise ZeroDivisionError("strategy")

    async with site.pool(Cook) as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.warm(broken, commands=[Warmup("heat", 1)])
        assert await pool.call("what") == []
    error = await failure(site.pool(Cook, warmup=[Warmup("heat", 1)], warm_strategy=broken).open())
    assert "the strategy raised ZeroDivisionError" in str(check(error, "start_failed", "not_started"))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (Warmup("hit"), "no operation 'hit'"),
        (Warmup("heat"), "missing 'degrees'"),
        (Warmup("steam"), "a stream"),
        (Warmup("serve", "soup"), "needs a session"),
        (Warmup("heat", lambda: (one for one in ())), None),
    ],
)
async def test_a_command_that_does_not_fit_is_refused(site, command, told):
    """At opening as on a running pool."""
    async with site.pool(Cook) as pool:
        if told is None:
            assert (await pool.warm(commands=[command])).success_share == 1.0
            return
        error = check(await failure(pool.warm(commands=[command])), "bad_argument", "not_started")
        assert told in str(error)
    error = check(await failure(site.pool(Cook, warmup=[command]).open()), "start_failed", "not_started")
    assert told in str(error)


async def test_a_command_beyond_its_deadline_is_given_up():
    """Its worker is interrupted; best effort as it is, the worker serves."""
    warmup = [Warmup("nap", 30.0, deadline=0.1, required=False)]
    async with millpond.Pool(Cook, max_workers=1, warmup=warmup) as pool:
        (one,) = pool.warmer.report.workers
        assert [step.outcome for step in one.commands] == ["expired"]
        assert await pool.call("what") == []


async def test_closing_during_warm_up_waits_for_nobody():
    """Neither the opening nor a round on a running pool."""
    pool = millpond.Pool(Cook, max_workers=1, warmup=[Warmup("nap", 30.0)])
    opening = asyncio.ensure_future(pool.open())
    await until(lambda: pool.statistics().workers["warming"])
    async with asyncio.timeout(WAIT_S):
        await pool.close()
    check(await failure(opening), "pool_closed", "not_started")


async def test_a_round_that_is_cancelled_is_over_at_once():
    """The command at work is interrupted, the next is not given, and the worker goes on serving."""
    async with millpond.Pool(Cook, max_workers=1) as pool:
        warming = asyncio.ensure_future(pool.warm(commands=[Warmup("nap", 60.0, deadline=90.0), Warmup("heat", 1)]))
        await until(lambda: pool.statistics().busy)
        warming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await warming
        assert await pool.options(deadline=WAIT_S).call("what") == []
        (one,) = pool.warmer.report.workers
        assert one.failure == "it was given up"
        assert (await pool.warm(commands=[Warmup("heat", 2)])).success_share == 1.0
        assert (pool.statistics().starts, pool.statistics().state) == (1, "ready")


async def test_a_round_in_service_is_over_when_the_pool_closes():
    """Its commands are nobody's calls: the drain is not for them."""
    pool = await millpond.Pool(Cook, max_workers=1, drain=30.0).open()
    warming = asyncio.ensure_future(pool.warm(commands=[Warmup("nap", 60.0, deadline=90.0)]))
    await until(lambda: pool.statistics().busy)
    async with asyncio.timeout(WAIT_S):
        await pool.close()
        report = await warming
    assert [step.outcome for one in report.workers for step in one.commands] == ["cancelled"]


async def test_a_round_that_is_on_is_counted():
    """Commands that are behind a worker, and all there are to give; nothing is told when it is over."""
    async with millpond.Pool(Cook, min_workers=1, max_workers=1) as pool:
        assert pool.warmer.underway() is None
        commands = [Warmup("heat", 1), Warmup("nap", 60.0, deadline=90.0)]
        warming = asyncio.ensure_future(pool.warm(commands=commands))
        await until(lambda: pool.warmer.underway() == (1, 2, 0))
        warming.cancel()
        await until(lambda: pool.warmer.underway() is None)


def test_a_sync_pool_tells_its_progress():
    """A thread follows, another warms; the iteration ends with the round, and with the pool."""
    with millpond.SyncPool(Cook, max_workers=1) as pool:
        told = queue.SimpleQueue()

        def follow():
            for step in pool.warmer:
                told.put((step.command, step.outcome))
            told.put("over")

        following = threading.Thread(target=follow)
        following.start()
        while following.is_alive():  # it may not listen yet, and each round is followed to its end
            pool.warm(commands=[Warmup("heat", 1)])
        assert [told.get(timeout=WAIT_S) for _ in range(2)] == [("heat", "ok"), "over"]
        assert len(pool.warmer.report.warm) == 1
        following = threading.Thread(target=follow)
        following.start()
    following.join(WAIT_S)
    assert told.get(timeout=WAIT_S) == "over"
    assert list(pool.warmer) == []


def test_a_sync_pool_warms_as_well():
    """The same verb, blocking."""
    with millpond.SyncPool(Cook, max_workers=1, spare_workers=1) as pool:
        report = pool.warm(commands=[Warmup("heat", 1)])
        assert len(report.warm) >= 1
        assert pool.call("what") == ["heat 1"]
