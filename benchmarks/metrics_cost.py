"""What the default listeners cost: calls a second of a pool with and without them, in pairs.

Two pools are open beside each other and take short turns, in changing order, so that what the machine does meanwhile is
done to both; every few turns both are replaced, because two pools are never quite alike. A turn with listeners ends
with a fold, so that it pays for all it left behind. The collector's own fold each second goes on beside that, in turns
of the other pool too, where it has nothing to add up: what a fold costs at least is paid too often rather than too
seldom. The cost is what the median of the pairs' ratios lacks to 1.
"""

from __future__ import annotations

import asyncio
import random
import time

import numpy as np

import millpond
from benchmarks.operations import Echo

IN_FLIGHT = 64
WORKERS = 2
WARM_CALLS = 2_000
PAIRS_A_POOL = 15


def make_pool(with_listeners: bool) -> millpond.Pool:
    """A pool as it comes, or one to which nobody listens."""
    if with_listeners:
        return millpond.Pool(Echo, name="with", min_workers=WORKERS, max_workers=WORKERS)
    pool = millpond.Pool(Echo, name="without", min_workers=WORKERS, max_workers=WORKERS, metrics=False, alerts=False)
    for listener in pool.telemetry.listeners():
        pool.telemetry.detach(listener.id)
    return pool


async def turn(pool: millpond.Pool, calls: int, with_listeners: bool) -> float:
    """Calls a second of one turn."""
    began = time.perf_counter()
    await make_calls(pool, calls)
    if with_listeners:
        pool.metrics.fold()
    return calls / (time.perf_counter() - began)


async def some_ratios(pairs: int, calls: int, dice: random.Random) -> list[float]:
    """Calls a second with the listeners over those without, of each pair of turns of two pools."""
    found = []
    async with make_pool(True) as one, make_pool(False) as other:
        pools = {True: one, False: other}
        for which in pools:
            await make_calls(pools[which], WARM_CALLS)
        one.metrics.fold()
        for _ in range(pairs):
            order = [True, False] if dice.random() < 0.5 else [False, True]
            speed = {which: await turn(pools[which], calls, which) for which in order}
            found.append(speed[True] / speed[False])
    return found


async def make_calls(pool: millpond.Pool, calls: int) -> None:
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            if await pool.call("echo", number) != number:
                raise AssertionError("another call's answer")

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


def ratios(pairs: int, calls: int, seed: int = 1) -> list[float]:
    """Those of many pairs, with new pools every `PAIRS_A_POOL`."""
    dice, found = random.Random(seed), []
    while len(found) < pairs:
        found += asyncio.run(some_ratios(min(PAIRS_A_POOL, pairs - len(found)), calls, dice))
    return found


def spread(found: list[float], seed: int = 1) -> tuple[float, float, float]:
    """The median and its 95 % interval, by drawing the pairs again and again."""
    drawn = np.random.default_rng(seed).choice(found, (10_000, len(found)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(np.median(found)), float(low), float(high)
