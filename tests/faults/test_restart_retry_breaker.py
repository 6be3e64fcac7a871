"""Rows 19 to 21, restart, retry, breaker: failing starts back off, failing operations are fenced, retries are few."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import psutil
import pytest

import millpond
from millpond.logger.delivery import DELIVERY
from millpond.testing import EventRecorder
from tests.faults.deadly import AsyncDeadly, Clumsy, Deadly, Fragile
from tests.faults.harness import (
    SLACK,
    Mark,
    check_error,
    checked_pool,
    eventually,
    failure,
    more_open,
    open_files,
    processes_of,
    refused,
)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("tests.faults.broken:Broken", "ImportError: the weights are missing"),
        (Clumsy, "LookupError: the model is not where it should be"),
    ],
    ids=["import", "constructor"],
)
async def test_19_crash_loop_at_open(
    start_method: str, handler: Any, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that cannot be made fails the opening with its own traceback, after three tries at most."""
    imports = Mark(tmp_path)
    monkeypatch.setenv("FAULTS_IMPORTS", imports.path)
    before = open_files()
    pool = millpond.Pool(handler, min_workers=2, max_workers=2, start_method=start_method, start_timeout=20.0)
    error, _ = await failure(pool.open())
    check_error(error, "start_failed", "not_started")
    assert str(error).rstrip().endswith(reason)
    assert "Traceback" in str(error)
    assert len(imports.starts) <= 3
    assert not processes_of(pool.run_id)
    await eventually(lambda: not more_open(before), 1.0, "descriptors back")


# The row's 30 s with a first pause of 1 s, ten times as fast.
BACKOFF_S, WINDOW_S = 0.1, 3.0


async def test_19_crash_loop_later(start_method: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When new workers die at their start the pool tries ever more slowly, says so, serves on, and recovers alone."""
    record, flag = Mark(tmp_path), tmp_path / "flag"
    settings = {"args": (record.path, str(flag)), "restart_backoff": BACKOFF_S, "restart_backoff_max": 30 * BACKOFF_S}
    pool = millpond.Pool(Fragile, min_workers=2, max_workers=2, start_method=start_method, **settings)
    async with pool:
        recorder = EventRecorder(pool)
        assert await asyncio.gather(*(pool.call("echo", number) for number in range(10))) == list(range(10))
        flag.touch()
        caplog.set_level(logging.WARNING, logger="millpond")
        healthy = len(record.starts)
        first, second = pool.statistics().pids.values()
        spent, starts = _cpu(pool.run_id), list[float]()
        pool.telemetry.attach("starts", "worker.starting", lambda _: starts.append(time.monotonic()))
        os.kill(first, signal.SIGKILL)
        end = time.monotonic() + WINDOW_S
        while time.monotonic() < end or len(starts) < 4:
            assert await pool.call("echo", "served") == "served"
            await asyncio.sleep(0.02)
        spent, took = _cpu(pool.run_id) - spent, time.monotonic() - end + WINDOW_S
        facts = pool.statistics()
        assert sum(told < end for told in starts) <= 6
        assert (facts.state, facts.is_ready, facts.is_live) == ("degraded", True, True)
        assert "exit code 3" in facts.reason
        assert spent <= 0.2 * took * SLACK
        os.kill(second, signal.SIGKILL)
        await eventually(lambda: not pool.statistics().is_ready, 1.0, "readiness to turn false with the last worker")
        assert pool.statistics().is_live
        attempts = len(record.starts) - healthy
        flag.unlink()
        await eventually(lambda: pool.statistics().state == "ready", 30 * BACKOFF_S * 1.5 + 2.0, "recovery")
        assert pool.statistics().workers.get("ready", 0) == 2
        assert await asyncio.gather(*(pool.call("echo", number) for number in range(50))) == list(range(50))
        failed = [event for event in recorder.of("worker.gone") if event.exit_code == 3]
        assert await asyncio.to_thread(DELIVERY.settle, 20.0)
        lines = [
            line.getMessage()
            for line in caplog.records
            if "exit code 3" in line.getMessage() and line.name == "millpond"
        ]
        assert attempts - 1 <= len(failed) == len(lines), caplog.text
    assert not processes_of(pool.run_id)


def _cpu(run_id: str) -> float:
    """Seconds of processor time spent by this process and by the pool's oldest, its warden."""
    processes = [psutil.Process(pid) for pid in processes_of(run_id)]
    oldest = min(processes, key=lambda process: process.create_time())
    return sum(sum(process.cpu_times()[:2]) for process in (psutil.Process(), oldest))


async def many(count: int, call: Any) -> list[Any]:
    """What `count` concurrent calls end with: answers and errors."""
    return await asyncio.gather(*(call() for _ in range(count)), return_exceptions=True)


async def _open_breaker(pool: millpond.Pool, mark: Mark, flag: Path) -> None:
    """Let the operation kill five workers, each after an echo, so that no start counts as failed."""
    for _ in range(5):
        assert await pool.call("echo", "ready") == "ready"
        error, _ = await failure(pool.call("die_unless", mark.path, str(flag)))
        check_error(error, "worker_died", "unknown", signal=9)


async def _refused(call: Awaitable[Any]) -> float:
    """Check that the breaker refuses `call`, at once; return its `retry_after`."""
    error = await refused(call)
    check_error(error, "circuit_open", "not_started")
    assert isinstance(error, millpond.PoolError)
    assert error.retry_after is not None
    return error.retry_after


async def test_20_breaker(start_method: str, tmp_path: Path) -> None:
    """Five deaths close an operation, and only it; one probe at a time finds out whether it may open again."""
    mark, flag = Mark(tmp_path), tmp_path / "flag"
    async with checked_pool(
        Deadly, min_workers=2, breaker_reset=0.5, breaker_window=30.0, start_method=start_method
    ) as pool:
        await _open_breaker(pool, mark, flag)

        def call() -> Awaitable[Any]:
            return pool.call("die_unless", mark.path, str(flag))

        first = await _refused(call())
        assert 0 < first <= 0.75
        assert await pool.call("echo", "others") == "others"
        assert len(mark.starts) == 5

        await asyncio.sleep(first)
        ends = await many(50, call)
        assert sorted(end.code for end in ends) == ["circuit_open"] * 49 + ["worker_died"]
        assert len(mark.starts) == 6
        second = await _refused(call())
        assert second > first

        flag.touch()
        await asyncio.sleep(second)
        ends = await many(50, call)
        assert sum(isinstance(end, int) for end in ends) == 1
        assert sum(getattr(end, "code", "") == "circuit_open" for end in ends) == 49
        assert len(mark.starts) == 7
        assert all(isinstance(end, int) for end in await many(50, call))


async def test_20_breaker_counts_running_deadlines(start_method: str) -> None:
    """Five deadlines that pass while the operation runs open it as five deaths do."""
    async with checked_pool(min_workers=5, start_method=start_method) as pool:
        ends = await many(5, lambda: pool.options(deadline=0.5).call("nap", 30.0))
        for error in ends:
            check_error(error, "deadline_exceeded", "unknown")
        await _refused(pool.call("nap", 0.0))


async def test_20_breaker_counts_nothing_else(start_method: str, tmp_path: Path) -> None:
    """Handler exceptions, bad arguments, cancels, a full queue and expiry in the queue never open an operation."""
    mark = Mark(tmp_path)
    async with checked_pool(max_queued=60, start_method=start_method) as pool:
        assert {type(end) for end in await many(6, lambda: pool.call("raise_value_error", "x"))} == {ValueError}
        for _ in range(6):
            check_error((await failure(pool.call("nap")))[0], "bad_argument", "not_started")
            call = asyncio.create_task(pool.call("nap", 30.0, mark.path))
            await eventually(lambda: pool.statistics().running == 1, 5.0, "the start of the call")
            call.cancel()
            await asyncio.wait([call])
            await eventually(lambda: pool.statistics().running == 0, 5.0, "the end of the call")
        busy = asyncio.create_task(pool.call("nap", 0.6))
        await asyncio.sleep(0)
        ends = await many(80, lambda: pool.options(deadline=0.1).call("nap", 0.0))
        assert {end.code for end in ends} == {"queue_full", "deadline_exceeded"}
        assert {end.outcome for end in ends} == {"not_started"}
        await busy
        assert await pool.call("nap", 0.0, None, "still open") == "still open"
        assert isinstance((await failure(pool.call("raise_value_error", "x")))[0], ValueError)


LOOPS = pytest.mark.parametrize("handler", [Deadly, AsyncDeadly], ids=["blocking", "asyncio"])


@LOOPS
async def test_21_retry_only_what_may_run_twice(start_method: str, handler: type, tmp_path: Path) -> None:
    """A call that had started runs again only if its caller said that it may."""
    once, twice = Mark(tmp_path, "once"), Mark(tmp_path, "twice")
    async with checked_pool(handler, min_workers=2, start_method=start_method) as pool:
        error, _ = await failure(pool.call("die_first", once.path))
        check_error(error, "worker_died", "unknown", attempts=1, signal=9)
        assert len(once.starts) == 1
        pid = await pool.options(idempotent=True, deadline=10.0).call("die_first", twice.path)
        assert len(twice.starts) == 2
        assert twice.starts[1] == pid
        assert pool.statistics().retries == 1


@LOOPS
async def test_21_retry_of_a_call_that_kills(start_method: str, handler: type, tmp_path: Path) -> None:
    """A call that kills every worker it is given to kills two."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, min_workers=2, start_method=start_method) as pool:
        error, _ = await failure(pool.options(idempotent=True).call("die_unless", mark.path, str(tmp_path / "never")))
        check_error(error, "poison_call", "unknown", attempts=2)
        assert len(mark.starts) == 2


async def test_21_retry_within_the_deadline(start_method: str, tmp_path: Path) -> None:
    """A retry does not begin the deadline anew: it ends with a call of the same time that nobody disturbed."""
    mark = Mark(tmp_path)
    async with checked_pool(Deadly, min_workers=3, start_method=start_method) as pool:
        options = pool.options(idempotent=True, deadline=2.0)
        call = asyncio.create_task(failure(options.call("nap", 30.0, mark.path)))
        beside = asyncio.create_task(failure(options.call("nap", 30.0)))
        victim = await mark.begun()
        await asyncio.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        await beside
        assert call.done(), "it was made a moment before the other"
        check_error((await call)[0], "deadline_exceeded", "unknown", attempts=2)
        assert len(mark.starts) == 2


async def test_21_retry_never_takes_a_session_elsewhere(start_method: str, tmp_path: Path) -> None:
    """What was declared idempotent still dies with its session."""
    mark = Mark(tmp_path)
    checked = checked_pool(Deadly, min_workers=2, start_method=start_method)
    async with checked as pool, pool.session("bound") as session:
        await session.call("say")
        error, _ = await failure(pool.options(session="bound", idempotent=True).call("die_in_session", mark.path))
        check_error(error, "worker_died", "unknown", attempts=1)
        assert len(mark.starts) == 1
        error, _ = await failure(session.call("say"))
        check_error(error, "session_lost", "not_started")
