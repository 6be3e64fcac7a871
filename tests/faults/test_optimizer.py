"""The optimizer of a real pool: it can be stopped, it says why, and it takes no worker that a session needs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import millpond

MOST_S = 30.0


class Busy:
    """Calls that take time, and a session whose state cannot leave its worker."""

    def work(self, seconds: float) -> None:
        time.sleep(seconds)

    def hold(self, *, session: Any) -> int:
        session.state.setdefault("lock", threading.Lock())
        session.state["n"] = session.state.get("n", 0) + 1
        return int(session.state["n"])


@contextlib.asynccontextmanager
async def callers(pool: millpond.Pool, count: int) -> AsyncIterator[None]:
    """So many at a time, each calling again as soon as it is answered."""

    async def call() -> None:
        while True:
            await pool.call("work", 0.02)

    calling = [asyncio.create_task(call()) for _ in range(count)]
    yield
    for one in calling:
        one.cancel()
    await asyncio.gather(*calling, return_exceptions=True)


async def until(holds: Any) -> None:
    async with asyncio.timeout(MOST_S):
        while not holds():
            await asyncio.sleep(0.02)


async def test_the_kill_switch_holds_and_each_decision_is_told():
    """Frozen, nothing changes the rule under whatever load; before that each change has its inputs and its reason."""
    async with millpond.Pool(Busy, min_workers=1, max_workers=4, optimizer=True, policy="threshold") as pool:
        optimizer = pool.optimizer
        optimizer.configure(interval_s=1.0)
        async with callers(pool, 6):
            await until(lambda: any(one.is_change for one in optimizer.journal()))
            optimizer.freeze("somebody looks into it")
            rule, answered = pool.driver.view.rule, pool.statistics().endings["ok"]
            frozen_at = time.monotonic()
            await until(lambda: time.monotonic() > frozen_at + 3.0)
            assert pool.statistics().endings["ok"] > answered
            assert optimizer.scale_down(1).kind == "hold"
            assert pool.driver.view.rule == rule
        for decision in optimizer.journal():
            assert decision.reason
            assert {"busy_workers", "waiting_calls", "ready_workers"} <= decision.inputs.keys()


async def test_scaling_down_takes_no_worker_that_a_session_needs():
    """Its state is a lock, which cannot leave: the other workers go, that one stays, and so does the state."""
    async with millpond.Pool(
        Busy, min_workers=0, max_workers=4, optimizer=True, policy="fixed", sleep_after=0.2
    ) as pool:
        pool.optimizer.scale_up(4)
        await until(lambda: pool.statistics().workers["ready"] == 4)
        async with pool.session("a") as session:
            assert await session.call("hold") == 1
            await until(lambda: pool.statistics().sessions_pinned)
            pool.optimizer.scale_down(4)
            pool.optimizer.scale_down(4)
            await until(lambda: pool.statistics().alive == 1)
            assert await session.call("hold") == 2
