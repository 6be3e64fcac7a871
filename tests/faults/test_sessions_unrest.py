"""Rows 14 to 16 once more, while sessions sleep, wake and move at random and workers die.

What a session promises does not depend on where its state happens to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import millpond
from millpond.testing import EventRecorder
from tests.faults.harness import Mark, check_error, checked_pool, eventually, failure

SECONDS, AT_MOST_S = 2.0, 40.0  # of unrest; longer only until what is looked for has happened
SLEEP_AFTER_S = 0.03
WORKERS = 3


@asynccontextmanager
async def unrest(pool: millpond.Pool, chance: random.Random, kills: bool = False) -> AsyncIterator[None]:
    """Replace and kill workers, and change how many there are, at random all through the body."""

    is_over = asyncio.Event()

    async def stir() -> None:
        while not is_over.is_set():
            await asyncio.sleep(chance.uniform(0.02, 0.25))
            what = chance.random()
            if what < 0.4:
                await pool.resize(min_workers=chance.randint(1, WORKERS), max_workers=WORKERS + 1)
            elif what < 0.7 or not kills:
                await pool.replace_workers()
            else:
                kill_one(pool, chance)

    task = asyncio.create_task(stir())
    try:
        yield
        assert not task.done(), task
    finally:
        is_over.set()
        await asyncio.wait([task])
        await pool.resize(min_workers=WORKERS, max_workers=WORKERS + 1)


def kill_one(pool: millpond.Pool, chance: random.Random) -> None:
    """SIGKILL for a worker that is there."""
    pids = list(pool.statistics().pids.values())
    if pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)


class Counter:
    """One session's user, who counts along: `acknowledged` is what the session answered last."""

    def __init__(self, pool: millpond.Pool, name: str, chance: random.Random) -> None:
        self.pool, self.name, self.chance = pool, name, chance
        self.acknowledged = self.generation = self.unknown = 0
        self.losses = self.restorations = self.calls = 0

    async def count(self, is_over: Callable[[], bool]) -> None:
        """Call again and again, now and then with a pause long enough to fall asleep in."""
        await self.open(reopen=False)
        while not is_over():
            await asyncio.sleep(self.chance.choice([0.0, 0.0, 0.01, 4 * SLEEP_AFTER_S]))
            try:
                answer = await self.session.call("say")
            except millpond.PoolError as error:
                await self.failed(error)
            else:
                self.answered(*answer)

    async def open(self, reopen: bool) -> None:
        self.session = await self.pool.session(self.name, reopen=reopen).open()
        assert self.session.generation > self.generation or not reopen
        self.generation, self.acknowledged, self.unknown = self.session.generation, 0, 0

    def answered(self, count: int, generation: int, _pid: int) -> None:
        """Every answer follows the last one, give or take calls whose outcome was unknown."""
        self.calls += 1
        assert generation == self.generation
        assert self.acknowledged < count <= self.acknowledged + 1 + self.unknown, (self.name, count, vars(self))
        self.acknowledged, self.unknown = count, 0

    async def failed(self, error: millpond.PoolError) -> None:
        if error.code == "worker_died":
            self.unknown += error.outcome == "unknown"
        elif error.code == "session_restored":
            self.restorations += 1
        else:
            check_error(error, "session_lost", "not_started")
            self.losses += 1
            await self.open(reopen=True)


class Counters(list[Counter]):
    """All of them."""

    def sum(self, what: str) -> int:
        return sum(getattr(counter, what) for counter in self)


async def counted(
    pool: millpond.Pool, chance: random.Random, kills: bool, enough: Callable[[Counters], bool] = lambda _: True
) -> Counters:
    """Counters at work while there is unrest, until there was `enough`: how fast kills come depends on the machine."""
    counters = Counters(Counter(pool, f"session {number}", chance) for number in range(12))
    start = time.monotonic()

    def is_over() -> bool:
        return time.monotonic() > start + (SECONDS if enough(counters) else AT_MOST_S)

    async with unrest(pool, chance, kills):
        await asyncio.gather(*(counter.count(is_over) for counter in counters))
    assert enough(counters), [vars(counter) for counter in counters]
    return counters


async def test_14_loss_is_loud_in_unrest(start_method: str, chance: random.Random) -> None:
    """No session ever begins anew in silence, wherever it was when a worker died."""
    settings = {"sleep_after": SLEEP_AFTER_S, "affinity": "hint", "start_method": start_method}
    async with checked_pool(min_workers=WORKERS, max_workers=WORKERS + 1, restart_backoff=0.01, **settings) as pool:
        await counted(
            pool, chance, kills=True, enough=lambda those: those.sum("losses") > 0 and those.sum("calls") > 100
        )


async def test_14_nothing_acknowledged_is_lost_with_durability(start_method: str, chance: random.Random) -> None:
    """Every death is survived, and whoever comes next is told."""
    settings = {"sleep_after": SLEEP_AFTER_S, "durability": "reply", "start_method": start_method}
    async with checked_pool(min_workers=WORKERS, max_workers=WORKERS + 1, restart_backoff=0.01, **settings) as pool:
        counters = await counted(pool, chance, kills=True, enough=lambda those: those.sum("restorations") > 0)
        assert counters.sum("losses") == 0


async def test_14_moves_and_sleeps_lose_nothing(start_method: str, chance: random.Random) -> None:
    """As long as nobody dies, nobody is told anything."""
    settings = {"sleep_after": SLEEP_AFTER_S, "affinity": "hint", "start_method": start_method}
    async with checked_pool(min_workers=WORKERS, max_workers=WORKERS + 1, **settings) as pool:
        counters = await counted(pool, chance, kills=False)
        assert [counters.sum(what) for what in ("losses", "restorations", "unknown")] == [0, 0, 0]


async def test_15_a_busy_worker_blocks_no_session_that_may_move(start_method: str, tmp_path: Path) -> None:
    """Those that are bound to it go elsewhere; the one that runs there keeps its order."""
    mark = Mark(tmp_path)
    settings = {"affinity": "hint", "sleep_after": SLEEP_AFTER_S, "start_method": start_method}
    async with checked_pool(min_workers=WORKERS, **settings) as pool:
        sessions = [await pool.session(f"session {number}").open() for number in range(12)]
        for session in sessions:
            await session.call("say")
        busy, others = sessions[0], sessions[1:]
        gate = tmp_path / "gate"
        first = asyncio.create_task(busy.call("stay_in_session", str(gate), mark.path))
        await mark.begun()
        following = [asyncio.create_task(busy.call("say")) for _ in range(3)]
        for number in range(200):
            await (others[number % len(others)].call("say") if number % 2 else pool.call("echo", number))
        assert not first.done()
        gate.touch()
        assert [(await call)[0] for call in (first, *following)] == [2, 3, 4, 5]


async def test_16_sleeping_sessions_expire(start_method: str, tmp_path: Path) -> None:
    """A thousand sessions that sleep in a file are gone two seconds after their time, and the file is empty."""
    settings: dict[str, Any] = {"sleep_after": 0.1, "session_ttl": 1.0, "start_method": start_method}
    path = tmp_path / "sessions.db"
    async with checked_pool(min_workers=2, session_store=str(path), **settings) as pool:

        async def abandon(number: int) -> None:
            async with pool.session(f"abandoned {number}") as session:
                await session.call("say")

        with EventRecorder(pool, "session.asleep") as recorder:
            await asyncio.gather(*(abandon(number) for number in range(1000)))
            await recorder.wait("session.asleep", timeout=20.0)
        await eventually(lambda: pool.statistics().sessions_open == 0, 3.0, "no session left")
        error, _ = await failure(pool.options(session="abandoned 7").call("say"))
        check_error(error, "session_lost", "not_started")
