"""What warm-up ahead of the calls is worth: `python -m benchmarks.warming [--quick] [part]`.

Prints each figure with what it is held against, and fails if one is missed. Parts: ready, memory, gap.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from statistics import median

import millpond
from benchmarks.processes import proportional_mb
from benchmarks.warming_handler import LOAD_S, Echo, Large, Slow

RATE = 1000  # calls a second while the only worker is killed
GAP_S = 0.1
PRELOADED_S = 0.05
FASTER = 20.0
GROWTH_MB, GROWTH_AFTER_CALLS_MB = 10.0, 20.0
CALLS = 10_000

Row = tuple[str, str, str, bool]


async def until(holds: Callable[[], bool], step: float = 0.0005) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(step)


async def one_more_s(pool: millpond.Pool, rounds: int) -> list[float]:
    """Seconds from asking for one more worker until it is ready."""
    seconds = []
    for size in range(2, 2 + rounds):
        begun = time.perf_counter()
        await pool.resize(min_workers=size, max_workers=size)
        seconds.append(time.perf_counter() - begun)
    return seconds


async def ready(is_quick: bool) -> AsyncIterator[Row]:
    """One more worker of a handler that takes over a second to start: cold, and from the preloaded image."""
    async with millpond.Pool(Slow, min_workers=1, max_workers=1, start_method="spawn") as pool:
        cold = await one_more_s(pool, 2 if is_quick else 5)
    async with millpond.Pool(Slow, min_workers=1, max_workers=1) as pool:
        preloaded = await one_more_s(pool, 5 if is_quick else 20)
    faster = median(cold) / median(preloaded)
    yield f"one more worker ready, cold (loads {LOAD_S:g} s), median", f"{median(cold) * 1e3:.0f} ms", "", True
    worst = f"{median(preloaded) * 1e3:.1f} ms, longest {max(preloaded) * 1e3:.1f} ms"
    yield "one more worker ready, preloaded, median", worst, "at most 50 ms", median(preloaded) <= PRELOADED_S
    yield "preloaded against cold", f"{faster:.0f} x faster", "at least 20 x", faster >= FASTER


async def memory(is_quick: bool) -> AsyncIterator[Row]:
    """What one more worker of a handler with 200 MB adds to the memory of warden and workers together."""
    async with millpond.Pool(Large, min_workers=2, max_workers=2) as pool:
        await asyncio.gather(*(pool.call("ask", n) for n in range(100)))
        before = proportional_mb()
        await pool.resize(min_workers=3, max_workers=3)
        grown = proportional_mb() - before
        yield "one more 200 MB worker, preloaded", f"{grown:.1f} MB", "at most 10 MB", grown <= GROWTH_MB
        for start in range(0, CALLS, 500):
            await asyncio.gather(*(pool.call("ask", start + n) for n in range(500)))
        after = proportional_mb() - before
        yield f"the same after {CALLS:,} calls", f"{after:.1f} MB", "at most 20 MB", after <= GROWTH_AFTER_CALLS_MB


async def gap(is_quick: bool) -> AsyncIterator[Row]:
    """SIGKILL of the only worker under 1,000 calls a second: the longest time in which nothing is answered."""
    gaps = {spares: [await one_gap(spares) for _ in range(3 if is_quick else 10)] for spares in (1, 0)}
    for spares, found in gaps.items():
        with_them = f"SIGKILL of the only worker, {RATE} calls/s, {spares} spare"
        told = f"median {median(found) * 1e3:.1f} ms, longest {max(found) * 1e3:.1f} ms"
        yield (
            f"{with_them}: gap between answers",
            told,
            "at most 100 ms" if spares else "",
            max(found) <= GAP_S or not spares,
        )


async def one_gap(spares: int) -> float:
    answered: list[float] = []
    async with millpond.Pool(Echo, min_workers=1, max_workers=1, spare_workers=spares) as pool:
        await until(lambda: pool.statistics().spares == spares)

        async def ask(number: int) -> None:
            try:
                if await pool.call("echo", number) == number:
                    answered.append(time.perf_counter())
            except millpond.WorkerDied:  # type: ignore[attr-defined]
                pass  # the one that ran

        asking: set[asyncio.Task[None]] = set()
        began = time.perf_counter()
        is_killed = False
        while (now := time.perf_counter() - began) < 2.0:
            while len(asking) < now * RATE:
                asking.add(asyncio.ensure_future(ask(len(asking))))
            if now > 1.2 and not is_killed:
                is_killed = True
                serving = min(pool.statistics().pids.items())[1]  # the oldest: the other stands by
                os.kill(serving, signal.SIGKILL)
            await asyncio.sleep(0.0005)
        await asyncio.gather(*asking)
    answered.sort()
    return max(later - sooner for sooner, later in itertools.pairwise(answered))


PARTS = {"ready": ready, "memory": memory, "gap": gap}


async def measure(parts: list[str], is_quick: bool) -> bool:
    is_good = True
    for part in parts:
        async for name, figure, held, is_met in PARTS[part](is_quick):
            is_good &= is_met
            mark = "" if not held else "reached" if is_met else "MISSED"
            print(f"{name:<64} {figure:<44} {held:<16} {mark}".rstrip(), flush=True)
    return is_good


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warming", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to try things, not to publish")
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="which parts (default: all)")
    chosen = parser.parse_args()
    sys.exit(0 if asyncio.run(measure(chosen.part or list(PARTS), chosen.quick)) else 1)


if __name__ == "__main__":
    main()
