"""Which profile wins on which load, with real processes: `python -m benchmarks.profiles [part]`.

Parts: batch, bursts, sparse, swings, hung; each is the load one profile is for, and all five are put to it. Prints what
was measured, the winner marked, and fails if it is another than the load's own. Where calls only sleep, the pools run
beside each other.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from statistics import fmean

import millpond
from benchmarks.machine import facts
from benchmarks.profiles_handler import LOAD_S, Plain, Slow
from millpond.cores import cores
from millpond.profiles import PROFILES

BATCH = 40_000
BURSTS, EVERY_S, BURST_CALL_S = 8, 2.0, 0.2
SPARSE_CALLS, SPARSE_EVERY_S, SPARSE_CALL_S = 2, 30.0, 0.5
LOAD, BUSY_S, SILENT_S, SWING_CALL_S = 0.7, 30.0, 120.0, 0.1
ALLOWED_S, SHARE = 0.5, 0.99  # of the calls, the share that begins within so many seconds
LOOK_S = 0.05
CORES = cores()


@dataclass(frozen=True)
class Measured:
    """What is compared, the more the better, and how it is told."""

    worth: float
    told: str


async def batch(profile: str) -> Measured:
    """Short calls, as many as come at once: how many are answered."""
    async with millpond.Pool(Plain, profile=profile) as pool:
        await pool.call("echo", 0)
        begun = time.perf_counter()
        answers = await asyncio.gather(*(pool.call("echo", n) for n in range(BATCH)), return_exceptions=True)
        seconds = time.perf_counter() - begun
    answered = sum(not isinstance(one, BaseException) for one in answers)
    return Measured(answered, f"{answered:,} of {BATCH:,} answered, {answered / seconds:,.0f} a second")


async def bursts(profile: str) -> Measured:
    """One call more than there are cores at once, every two seconds; a worker takes a second to start."""
    waits: list[float] = []
    async with millpond.Pool(Slow, profile=profile) as pool:
        await asyncio.sleep(2 * LOAD_S)  # spares are there then
        for _ in range(BURSTS):
            waits += await waits_of(pool, CORES + 1, BURST_CALL_S)
            await asyncio.sleep(EVERY_S)
    return Measured(-fmean(waits), f"{fmean(waits) * 1e3:.0f} ms of waiting on average, {max(waits) * 1e3:.0f} at most")


async def sparse(profile: str) -> Measured:
    """A call of half a second every 30 seconds."""
    async with millpond.Pool(Plain, profile=profile) as pool, costs(pool) as spent:
        waits = []
        for _ in range(SPARSE_CALLS):
            waits += await waits_of(pool, 1, SPARSE_CALL_S)
            await asyncio.sleep(SPARSE_EVERY_S)
    return costing(spent, waits)


async def swings(profile: str) -> Measured:
    """A load of 70 % of the cores for half a minute, then silence for two."""
    async with millpond.Pool(Plain, profile=profile) as pool, costs(pool) as spent:
        begun, calls = time.monotonic(), []
        while time.monotonic() < begun + BUSY_S:
            calls.append(asyncio.create_task(waits_of(pool, 1, SWING_CALL_S)))
            await asyncio.sleep(begun + len(calls) * SWING_CALL_S / (LOAD * CORES) - time.monotonic())
        waits = [wait for one in await asyncio.gather(*calls) for wait in one]
        await asyncio.sleep(SILENT_S)
    return costing(spent, waits)


async def hung(profile: str) -> Measured:
    """The program is to end while a call hangs."""
    pool = await millpond.Pool(Plain, profile=profile).open()
    call = asyncio.create_task(waits_of(pool, 1, 3600.0))
    while not pool.statistics().running:
        await asyncio.sleep(LOOK_S)
    begun = time.perf_counter()
    await pool.close()
    seconds = time.perf_counter() - begun
    await call
    return Measured(-seconds, f"{seconds:.1f} s until it has ended")


async def waits_of(pool: millpond.Pool, calls: int, seconds: float) -> list[float]:
    """Make so many calls at once; how long each waited, infinite if it was not answered."""
    asked = time.monotonic()
    began = await asyncio.gather(*(pool.call("pause", seconds) for _ in range(calls)), return_exceptions=True)
    return [math.inf if isinstance(at, BaseException) else at - asked for at in began]


@contextlib.asynccontextmanager
async def costs(pool: millpond.Pool) -> AsyncIterator[list[float]]:
    """Add up meanwhile how many workers are there, in worker-seconds."""
    spent = [0.0]

    async def look() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            spent[0] += pool.statistics().alive * (now - before)
            before = now

    looking = asyncio.create_task(look())
    try:
        yield spent
    finally:
        looking.cancel()


def costing(spent: list[float], waits: list[float]) -> Measured:
    """The fewest worker-seconds win, of those that keep the objective."""
    met = sum(wait <= ALLOWED_S for wait in waits) / len(waits)
    told = f"{spent[0]:,.0f} worker-seconds, {met:.1%} of the calls began within {ALLOWED_S:g} s"
    return Measured(-spent[0] if met >= SHARE else -math.inf, told)


PARTS: dict[str, tuple[Callable[[str], Awaitable[Measured]], str]] = {  # part -> load, whose profile it is
    "batch": (batch, "high_throughput"),
    "bursts": (bursts, "low_latency"),
    "sparse": (sparse, "resource_constrained"),
    "swings": (swings, "balanced"),
    "hung": (hung, "development"),
}
BESIDE = ("sparse", "swings", "hung")  # parts whose calls only sleep


async def measure(part: str) -> dict[str, Measured]:
    """Put each profile to the load of a part."""
    load, _ = PARTS[part]
    if part in BESIDE:
        return dict(zip(PROFILES, await asyncio.gather(*map(load, PROFILES)), strict=True))
    return {profile: await load(profile) for profile in PROFILES}


def main() -> None:
    """Print who wins, and exit with 1 if it is another than the load's own profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    chosen = parser.parse_args().part
    print(facts())
    missed = []
    for part in [chosen] if chosen else PARTS:
        load, own = PARTS[part]
        print(f"\n{part}: {(load.__doc__ or '').strip()}")
        found = asyncio.run(measure(part))
        winner = max(found, key=lambda profile: found[profile].worth)
        for profile, measured in found.items():
            print(f"  {'*' if profile == winner else ' '} {profile:<21} {measured.told}")
        if winner != own:
            missed.append(f"{part}: {winner} wins, not {own}")
    sys.exit("; ".join(missed))


if __name__ == "__main__":
    main()
