"""What is measured: each scenario puts one question to some peers and returns named figures, once a round.

A scenario's measurement takes about `scale.seconds`, whatever the peer's speed, so that slow peers do not get longer
slices of a drifting machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import processes

MB = 1_000_000
STDLIB = "ProcessPoolExecutor"
MULTIPROCESSING = "multiprocessing.Pool"
POOL, EXECUTOR = "millpond Pool", "millpond Executor"
PING_PONG, PING_PONG_APART = "bare socketpair", "bare socketpair, on two cores"
COPIED, IN_PLACE = "bare shared memory, copied out", "bare shared memory, in place"
COPIED_APART = "bare shared memory, copied out, on two cores"
BARE_COPIES = (COPIED, COPIED_APART, IN_PLACE)
POOLS = (POOL, EXECUTOR, STDLIB, MULTIPROCESSING, "loky", "pebble", "mpire")

Figures = dict[str, float]


@dataclass(frozen=True)
class Scale:
    """How long a slice is: seconds of measuring, seconds of idling, sessions opened."""

    seconds: float
    idle_seconds: float
    sessions: int


FULL = Scale(seconds=0.5, idle_seconds=5.0, sessions=10_000)
QUICK = Scale(seconds=0.1, idle_seconds=1.0, sessions=10_000)


@dataclass(frozen=True)
class Scenario:
    """A question, who is asked, and whether the peer's standing pool of two workers is used (or one made here)."""

    name: str
    question: str
    peers: tuple[str, ...]
    measure: Callable[[Any, Scale], Awaitable[Figures]]
    standing: bool = True


@dataclass(frozen=True)
class Measure:
    """One figure of a scenario: its unit, and whether more is better."""

    scenario: str
    unit: str
    more_is_better: bool


async def round_trip(peer: Any, scale: Scale) -> Figures:
    warm = await peer.round_trips(range(200))
    count = max(200, int(scale.seconds / float(np.median(warm))))
    p50, p99 = np.percentile(await peer.round_trips(range(count)), (50, 99)) * 1e6
    return {"round trip p50": float(p50), "round trip p99": float(p99)}


async def rate(drive: Callable[[int, int], Awaitable[float]], depth: int, scale: Scale) -> float:
    """Calls per second, driven `depth` at a time; a short run first tells how many calls fill the slice."""
    trial = max(512, depth)
    per_second = trial / await drive(trial, depth)
    calls = max(2 * depth, int(per_second * scale.seconds))
    return calls / await drive(calls, depth)


async def in_flight_64(peer: Any, scale: Scale) -> Figures:
    return {"64 in flight": await rate(peer.in_flight, 64, scale)}


async def in_flight_1000(peer: Any, scale: Scale) -> Figures:
    return {"1,000 in flight": await rate(peer.in_flight, 1000, scale)}


async def batches_64(peer: Any, scale: Scale) -> Figures:
    return {"batches of 64": await rate(peer.batches, 64, scale)}


async def megabytes_per_second(peer: Any, megabytes: int, scale: Scale) -> float:
    """Size of an array over the median time it takes there and back."""
    array = np.arange(megabytes * MB // 8, dtype=np.float64)
    warm = await peer.round_trips([array] * 5)
    count = max(5, int(scale.seconds / float(np.median(warm))))
    return megabytes / float(np.median(await peer.round_trips([array] * count)))


async def array_1(peer: Any, scale: Scale) -> Figures:
    return {"1 MB array": await megabytes_per_second(peer, 1, scale)}


async def array_16(peer: Any, scale: Scale) -> Figures:
    return {"16 MB array": await megabytes_per_second(peer, 16, scale)}


async def sessions(peer: Any, scale: Scale) -> Figures:
    """The same number of callers without and with a session each, in one pool made for this round."""
    await peer.open(2)
    try:
        opened = await peer.sessions(scale.sessions)
        calls = scale.sessions * max(2, round(scale.seconds * 6))
        stateless = [peer.pool] * scale.sessions
        await peer.callers(stateless, "echo", scale.sessions)
        return {
            "10,000 stateless callers": calls / await peer.callers(stateless, "echo", calls),
            "10,000 sessions": calls / await peer.callers(opened, "count", calls),
        }
    finally:
        await peer.close()


async def heavy_start(peer: Any, scale: Scale) -> Figures:
    """Time until one more worker of a handler with a long `preload` is ready."""
    if hasattr(peer, "heavy_starts"):
        preload, seconds = await peer.heavy_starts(3)
        return {"one more worker ready": float(np.median(seconds)) * 1e3, "its preload": preload * 1e3}
    loop = asyncio.get_running_loop()
    started = loop.time()
    peer.start_heavy()
    return {"one more worker ready": (loop.time() - started) * 1e3}


async def idle(peer: Any, scale: Scale) -> Figures:
    await asyncio.sleep(0.2)
    pids = [os.getpid(), *processes.descendants()]
    before = processes.cpu_seconds(pids)
    await asyncio.sleep(scale.idle_seconds)
    return {"idle": (processes.cpu_seconds(pids) - before) / scale.idle_seconds * 100}


async def one_more(peer: Any, scale: Scale) -> Figures:
    """Memory of pools of two and of three workers, each of which answered calls."""
    sizes = []
    for workers in (2, 3):
        await peer.open(workers)
        await peer.in_flight(300, 64)
        sizes.append(processes.proportional_mb())
        await peer.close()
    return {"one more worker's memory": sizes[1] - sizes[0]}


SCENARIOS = (
    Scenario(
        "round trip",
        "How long does one call take when nothing else runs?",
        (*POOLS, PING_PONG, PING_PONG_APART),
        round_trip,
    ),
    Scenario("64 in flight", "How many tiny calls a second, with 64 in flight?", POOLS, in_flight_64),
    Scenario("1,000 in flight", "And with 1,000 in flight?", POOLS, in_flight_1000),
    Scenario("batches of 64", "And 64 at once, waiting for all of them before the next 64?", POOLS, batches_64),
    Scenario("1 MB array", "How fast does a 1 MB array travel there and back?", (*POOLS, *BARE_COPIES), array_1),
    Scenario("16 MB array", "And one of 16 MB?", (*POOLS, *BARE_COPIES), array_16),
    Scenario("idle", "What does a pool cost while nobody calls?", (POOL, EXECUTOR, STDLIB, MULTIPROCESSING), idle),
    Scenario("sessions", "What do 10,000 sessions cost, against 10,000 callers without?", (POOL,), sessions, False),
    Scenario(
        "heavy start",
        "How soon does one more worker of a slow-to-load handler serve?",
        (POOL, STDLIB),
        heavy_start,
        False,
    ),
    Scenario(
        "one more", "What does one more worker of a plain handler add in memory?", (POOL, STDLIB), one_more, False
    ),
)

MEASURES = {
    "round trip p50": Measure("round trip", "us", more_is_better=False),
    "round trip p99": Measure("round trip", "us", more_is_better=False),
    "64 in flight": Measure("64 in flight", "calls/s", more_is_better=True),
    "1,000 in flight": Measure("1,000 in flight", "calls/s", more_is_better=True),
    "batches of 64": Measure("batches of 64", "calls/s", more_is_better=True),
    "1 MB array": Measure("1 MB array", "MB/s", more_is_better=True),
    "16 MB array": Measure("16 MB array", "MB/s", more_is_better=True),
    "idle": Measure("idle", "% of a core", more_is_better=False),
    "10,000 stateless callers": Measure("sessions", "calls/s", more_is_better=True),
    "10,000 sessions": Measure("sessions", "calls/s", more_is_better=True),
    "one more worker ready": Measure("heavy start", "ms", more_is_better=False),
    "its preload": Measure("heavy start", "ms", more_is_better=False),
    "one more worker's memory": Measure("one more", "MB", more_is_better=False),
}
