"""Row 22, health and clock: who is hung is replaced, who is only busy is not, and nobody looks at the wall clock."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import HUNG_S, Callers, Mark, at_most, check_late, checked_pool, eventually, failure, is_alive

HOUR_S = 3600.0


class Skewed(Plain):
    """Its worker's wall clock is an hour ahead or behind, and jumps to the other side with every look."""

    def setup(self) -> None:
        self.skew = HOUR_S
        time.time = self.skewed_time

    def skewed_time(self) -> float:
        self.skew = -self.skew
        return time.clock_gettime(time.CLOCK_REALTIME) + self.skew


async def test_22_hung(start_method: str, tmp_path: Path) -> None:
    """A stopped worker is replaced, and the caller it kept waiting is told."""
    mark = Mark(tmp_path)
    async with checked_pool(min_workers=2, start_method=start_method) as pool:
        call = asyncio.create_task(failure(pool.options(deadline=30.0).call("nap", 60.0, mark.path)))
        victim = await mark.begun()
        os.kill(victim, signal.SIGSTOP)
        await eventually(
            lambda: victim not in pool.statistics().pids.values() and pool.statistics().alive == 2,
            HUNG_S,
            "a replacement",
        )
        assert not is_alive(victim)
        error, _ = await call
        assert (error.code, error.outcome) == ("worker_died", "unknown")


async def test_22_hung_gets_no_more_calls(start_method: str) -> None:
    """Stopping one of two workers holds up no caller for longer than its replacement takes."""
    settings = {"stopped_timeout": 0.5, "start_method": start_method}
    async with checked_pool(min_workers=2, **settings) as pool, Callers(pool, 4).calling() as callers:
        victim = min(pool.statistics().pids.values())
        os.kill(victim, signal.SIGSTOP)
        await eventually(lambda: victim not in pool.statistics().pids.values(), HUNG_S, "a replacement")
        answered = callers.answered
        await eventually(lambda: callers.answered > answered + 100, HUNG_S, "answers")


async def test_22_continued_in_time(start_method: str) -> None:
    """A worker that goes on before its time is over stays."""
    async with checked_pool(min_workers=2, stopped_timeout=1.5, start_method=start_method) as pool:
        pids = pool.statistics().pids
        victim = min(pids.values())
        os.kill(victim, signal.SIGSTOP)
        await asyncio.sleep(0.1)
        os.kill(victim, signal.SIGCONT)
        await asyncio.sleep(1.8)
        assert pool.statistics().pids == pids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_method", "handler"),
    [("fork", Plain), pytest.param("spawn", AsyncPlain, marks=pytest.mark.spawn)],
    ids=["fork-blocking", "spawn-asyncio"],
)
async def test_22_busy_with_the_gil(start_method: str, handler: type, tmp_path: Path) -> None:
    """A worker inside native code that holds its GIL is shown as unresponsive, left alone, and answers."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, min_workers=2, health_interval=0.2, start_method=start_method) as pool:
        pids = pool.statistics().pids
        call = asyncio.create_task(pool.options(deadline=30.0).call("hold_gil", 2.5, mark.path))
        pid = await mark.begun()
        seen = unseen = 0.0
        looked = time.monotonic()
        while not call.done():
            unseen, looked = max(unseen, time.monotonic() - looked), time.monotonic()
            for record in pool.statistics().busy:
                seen = max(seen, record.unresponsive_s)
                assert (record.operation, pids[record.worker]) == ("hold_gil", pid)
            await asyncio.sleep(0.02)
        held = await call
        assert held >= 1.6, "the regular expression was tuned too short for this machine"
        assert held - 1.0 - unseen <= seen <= held + at_most(0.25)
        assert (pool.statistics().pids, pool.statistics().starts) == (pids, 2)


@pytest.mark.parametrize("skew", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
async def test_22_clock(start_method: str, skew: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour more or less on the wall clock, here or in the workers, ends nothing and no duration changes."""
    mark, true_time = Mark(tmp_path), time.time
    async with checked_pool(Skewed, min_workers=2, health_interval=0.1, start_method=start_method) as pool:
        pids = pool.statistics().pids
        async with pool.session("kept") as session:
            await session.call("say")
            running = asyncio.create_task(pool.options(deadline=10.0).call("nap", 0.5, mark.path, "done"))
            await mark.begun()
            monkeypatch.setattr(time, "time", lambda: true_time() + skew)
            assert await running == "done"
            error, took = await failure(pool.options(deadline=0.5).call("nap", 30.0))
            assert (error.code, error.outcome) == ("deadline_exceeded", "unknown")
            check_late(took, 0.5)
            assert (await session.call("say"))[0] == 2
        assert (pool.statistics().pids, pool.statistics().starts) == (pids, 2)
        monkeypatch.undo()
