"""A storm: many calls that answer, raise, hang, outrun their deadline, are given up, and lose their workers.

Every caller writes down how its call ended for it. The collector's counts have to be the same, one by one.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import millpond
from millpond.errors import TABLE, PoolError

CALLERS = 200
WORKERS = 4
KILL_EVERY_S = 0.5
KINDS = {"echo": 0.94, "fail": 0.02, "hang": 0.02, "late": 0.019, "die": 0.001}
DEADLINE_S = 30.0


class Prey:
    """Operations that end in every way."""

    def echo(self, value: int) -> int:
        return value

    def fail(self) -> None:
        raise ValueError("as it should")

    def late(self) -> None:
        time.sleep(0.004)

    async def hang(self) -> None:
        await asyncio.sleep(60.0)

    def die(self) -> None:
        os._exit(3)


@dataclass
class Told:
    """What the callers were told, and what the collector counted."""

    endings: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def note(self, error: BaseException | None) -> None:
        """One call ended."""
        if error is None:
            self.endings["ok"] += 1
            return
        code = error.code if isinstance(error, PoolError) else "handler_error"
        if isinstance(error, asyncio.CancelledError):
            code = "cancelled"
        self.endings[TABLE[code].ending] += 1
        self.codes[code] += 1


async def storm(calls: int, seed: int = 1) -> tuple[Told, Told]:
    """What callers were told and what was counted, of as many calls."""
    told, dice = Told(), random.Random(seed)
    numbers = iter(range(calls))
    began = time.perf_counter()
    pool = millpond.Pool(Prey, name="storm", min_workers=WORKERS, max_workers=WORKERS, cancel_grace=0.05)
    async with pool:
        killer = asyncio.create_task(kill_workers(pool, dice))
        await asyncio.gather(*(caller(pool, numbers, told, dice) for _ in range(CALLERS)))
        killer.cancel()
    told.seconds = time.perf_counter() - began
    reading = pool.metrics.snapshot().reading
    return told, Told(Counter(reading.endings), Counter(reading.codes))


async def caller(pool: millpond.Pool, numbers: object, told: Told, dice: random.Random) -> None:
    """Make calls as long as there are numbers, and write down how they end."""
    kinds, weights = list(KINDS), list(KINDS.values())
    for number in numbers:  # type: ignore[attr-defined]
        kind = dice.choices(kinds, weights)[0]
        args = (number,) if kind == "echo" else ()
        deadline = 0.002 if kind == "late" else DEADLINE_S
        task = asyncio.ensure_future(pool.options(deadline=deadline).call(kind, *args))
        if kind == "hang":
            asyncio.get_running_loop().call_later(dice.uniform(0.0, 0.02), give_up, task)
        await asyncio.wait([task])
        told.note(asyncio.CancelledError() if task.cancelled() else task.exception())


def give_up(task: asyncio.Future[object]) -> None:
    """Cancel a call, but not one that just ended: asyncio would tell its caller something else than the pool did."""
    waits_for = task._fut_waiter  # type: ignore[attr-defined]
    if waits_for is not None and not waits_for.done():
        task.cancel()
    elif not task.done():
        asyncio.get_running_loop().call_soon(give_up, task)


async def kill_workers(pool: millpond.Pool, dice: random.Random) -> None:
    """Kill one worker after the other, from outside."""
    while True:
        await asyncio.sleep(KILL_EVERY_S)
        pids = list(pool.statistics().pids.values())
        if pids:
            try:
                os.kill(dice.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass
