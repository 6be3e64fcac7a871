"""Metrics and alerts come with every pool, run on its clock, and cost nothing where they are not wanted."""

from __future__ import annotations

import asyncio
import math

import pytest

import millpond
from millpond.alerts.rules import Group, Rule
from millpond.facts import Statistics
from millpond.metrics.snapshot import WINDOWS
from millpond.testing import EventRecorder, FakeEngine, ManualClock


class Clerk:
    """Something to call."""

    def greet(self, name: str) -> str:
        return f"hello {name}"


def pool_of(**settings) -> tuple[millpond.Pool, ManualClock]:
    """A pool of one fake worker under a manual clock."""
    clock = ManualClock()
    return millpond.Pool(Clerk, engine=FakeEngine(), clock=clock, min_workers=1, max_workers=1, **settings), clock


async def test_metrics_follow_the_pools_clock():
    """Once a second by that clock, and once more at the end, so that no call is missed."""
    pool, clock = pool_of()
    async with pool:
        await pool.call("greet", "Ann")
        assert pool.metrics.snapshot().reading.submitted == 0
        await clock.advance(1.0)
        assert pool.metrics.snapshot().reading.endings["ok"] == 1
        await clock.advance(3.0)
        assert pool.metrics.snapshot().watch.folds == 4
        await pool.call("greet", "Bob")
    assert pool.metrics.snapshot().reading.endings["ok"] == 2
    assert pool.metrics.operation("greet").endings["ok"] == 2


async def test_a_clock_that_jumps_is_followed_once():
    """After a suspended machine there is one late fold, not one for each second slept."""
    pool, clock = pool_of()
    async with pool:
        await clock.advance(1.0)
        clock.jump(100.0)
        await clock.settle()
        assert pool.metrics.snapshot().watch.folds == 2
        await clock.advance(1.0)
        assert pool.metrics.snapshot().watch.folds == 3


async def test_utilization_is_emitted_once_a_second():
    """Busy worker-seconds over available ones, exactly."""
    pool, clock = pool_of()
    engine = pool.driver.engine
    with EventRecorder(pool) as events:
        async with pool:
            await clock.advance(1.0)
            engine.hold()
            held = asyncio.create_task(pool.call("greet", "Ann"))
            await engine.wait_held()
            await clock.advance(0.5)
            engine.release()
            await held
            await clock.advance(0.5)
            assert [event.ratio for event in events.of("pool.utilization")] == [0.0, 0.5]


async def test_a_fold_that_raises_ends_nothing():
    """It is noted as a fault; the next one comes, and closing goes on to its end."""

    def broken():
        raise LookupError("no figures")

    pool, clock = pool_of()
    async with pool:
        pool.metrics.fold = broken
        await clock.advance(2.0)
        assert await pool.call("greet", "Ann") == "hello Ann"
        assert pool.statistics().faults == {"the fold of the metrics": 2}
    assert pool.statistics().state == "closed"
    assert pool.statistics().faults == {"the fold of the metrics": 3}


def check_percentiles(told: Statistics, calls: int) -> None:
    """That there is a figure of so many calls wherever there is to be one."""
    assert set(told.percentiles) == set(WINDOWS)
    for window in told.percentiles.values():
        assert set(window) == {"wait", "service", "latency"}
        assert {figures.count for figures in window.values()} == {calls}
        for figures in window.values():
            ordered = [figures.p50, figures.p90, figures.p95, figures.p99, figures.p999]
            assert ordered == sorted(ordered) if calls else all(map(math.isnan, ordered))


async def test_statistics_have_the_percentiles_of_the_last_second():
    """Counts are of now; percentiles as of the last fold, which asking does not bring about; after closing, of all."""
    pool, clock = pool_of()
    assert pool.statistics().percentiles == {}
    async with pool:
        check_percentiles(pool.statistics(), calls=0)
        await pool.call("greet", "Ann")
        assert pool.statistics().endings["ok"] == 1
        check_percentiles(pool.statistics(), calls=0)
        await clock.advance(1.0)
        check_percentiles(pool.statistics(), calls=1)
        assert pool.metrics.snapshot().watch.folds == 1
        with pytest.raises(TypeError):
            pool.statistics().percentiles[60]["latency"] = None
        await pool.call("greet", "Bob")
    check_percentiles(pool.statistics(), calls=2)


def test_every_face_has_the_percentiles():
    """From any thread; an executor has them if it is told to keep metrics."""
    with millpond.SyncPool(Clerk, engine=FakeEngine(), max_workers=1) as pool:
        pool.call("greet", "Ann")
        pool.thread.ask(pool.metrics.fold)
        check_percentiles(pool.statistics(), calls=1)
    with (
        millpond.Executor(1, engine=FakeEngine()) as plain,
        millpond.Executor(1, engine=FakeEngine(), metrics=True) as it,
    ):
        assert [one.submit(len, "Ann").result(10.0) for one in (plain, it)] == [3, 3]
    assert plain.statistics().percentiles == {}
    check_percentiles(it.statistics(), calls=1)


async def test_alerts_are_evaluated_and_told():
    """A rule over the pool's own metrics, added before it opens, fires as an event."""
    pool, clock = pool_of()
    pool.alerts.add_rules(Group("mine", (Rule("Served", of="calls_submitted_total", over_s=60, above=0),)))
    with EventRecorder(pool) as events:
        async with pool:
            await pool.call("greet", "Ann")
            await clock.advance(30.0)
            assert events.of("alert.firing", alert="Served")
            assert "Served" in [alert.name for alert in pool.alerts.firing()]


async def test_a_pool_without_metrics_has_neither():
    """And says why; no call leaves samples."""
    pool, clock = pool_of(metrics=False)
    async with pool:
        await pool.call("greet", "Ann")
        await clock.advance(2.0)
        with pytest.raises(RuntimeError, match="metrics=False"):
            pool.metrics
        with pytest.raises(RuntimeError, match="alerts=False or metrics=False"):
            pool.alerts
        assert pool.statistics().percentiles == {}
        assert not pool.driver.view.operations["greet"].samples.has_news


async def test_metrics_may_be_kept_without_alerts():
    """One does not need the other."""
    pool, clock = pool_of(alerts=False)
    async with pool:
        await clock.advance(1.0)
        assert pool.metrics.snapshot().watch.folds == 1
        with pytest.raises(RuntimeError, match="alerts=False"):
            pool.alerts


async def test_history_survives_the_pool(tmp_path):
    """What was added up before is there for the next pool on the same file."""
    path = str(tmp_path / "history.db")
    for served in (1, 2):
        pool, clock = pool_of(history_path=path)
        async with pool:
            for _ in range(served):
                await pool.call("greet", "Ann")
            await clock.advance(130.0)
            assert pool.metrics.settle(10.0)
    assert (tmp_path / "history.db").stat().st_size > 0


def test_a_sync_pool_gives_them_to_any_thread():
    """Questions are asked on the pool's own thread, where nothing changes meanwhile."""
    with millpond.SyncPool(Clerk, engine=FakeEngine(), max_workers=1) as pool:
        assert pool.call("greet", "Ann") == "hello Ann"
        assert pool.metrics.snapshot().pool == "default"
        assert pool.alerts.firing() == ()
        with pytest.raises(ValueError, match="nonsense"):
            pool.alerts.silence("nonsense{", 1.0)
