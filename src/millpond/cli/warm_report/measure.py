"""Measures one way of having workers: how soon after a death a new one answers, what it weighs, what it costs to start.

Uses the pool's public verbs, and reads the processes from outside. One worker is killed again and again; the call that
is made when its death is told is answered by the next.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import millpond

WAYS = ("cold", "imported", "preloaded", "spare")
WEIGHED = 3  # workers whose memory is compared with that of one
TICK_S = 0.005
LONGEST_S = 120.0


@dataclass
class Measured:
    """One way: seconds to the first answer, processor seconds of each new worker, megabytes of each one more."""

    way: str
    answers: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    pss_mb: float = 0.0


def make_pool(way: str, handler: type, **settings: Any) -> millpond.Pool:
    """A pool whose workers come about in this way.

    `cold` and `imported` have no image in which `preload()` ran: each worker runs it for itself. The image of
    `imported` has the handler's module.
    """
    if way in ("cold", "imported") and hasattr(handler, "preload"):
        handler = _loading_by_itself(handler)
    if way == "cold":
        return millpond.Pool(handler, start_method="spawn", **settings)
    spares = 1 if way == "spare" else 0
    return millpond.Pool(handler, spare_workers=spares, **settings)


def _loading_by_itself(handler: Any) -> type:
    """The same handler, whose `preload()` runs in each worker instead of the image."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        handler.preload()
        handler.__init__(self, *args, **kwargs)

    nothing = classmethod(lambda cls: None)
    return type(handler.__name__, (handler,), {"preload": nothing, "__init__": __init__, "__module__": "__main__"})


async def measure(way: str, handler: type, samples: int, advance: Callable[[], None]) -> Measured:
    """Measure one way; `advance` is called after each sample, and once more for the memory."""
    found = Measured(way)
    async with make_pool(way, handler, min_workers=1, max_workers=1, restart_backoff=0.01) as pool:
        await pool.run(os.getpid)
        for _ in range(samples):
            await _one_death(pool, found)
            advance()
    async with make_pool(way, handler, min_workers=1, max_workers=1) as pool:
        await _used(pool)
        one = _pss_mb()
        await pool.resize(min_workers=WEIGHED, max_workers=WEIGHED)
        await _used(pool)
        found.pss_mb = (_pss_mb() - one) / (WEIGHED - 1)
    advance()
    return found


async def _one_death(pool: millpond.Pool, found: Measured) -> None:
    spares = pool.settings.spare_workers
    await _until(lambda: pool.statistics().spares == spares)
    victim, pid = min(pool.statistics().pids.items())
    os.kill(pid, signal.SIGKILL)
    await _until(lambda: victim not in pool.statistics().pids)
    began = time.perf_counter()
    answering = await pool.run(os.getpid)
    found.answers.append(time.perf_counter() - began)
    found.cpu.append(_cpu_s(answering))


async def _used(pool: millpond.Pool) -> None:
    """Let every worker answer: one that never did has not touched what it will need.

    Each call takes longer than what is sent ahead to a worker, so that all are given some. A function of this module
    would have the workers import it.
    """
    await asyncio.gather(*(pool.run(time.sleep, TICK_S) for _ in range(10 * WEIGHED)))


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not holds():  # noqa: ASYNC110 - processes are looked at from outside
            await asyncio.sleep(TICK_S / 10)


def _pss_mb() -> float:
    """Of the warden and all workers: pages that n processes share count 1/n for each."""
    kilobytes = 0
    for process in psutil.Process().children(recursive=True):
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def _cpu_s(pid: int) -> float:
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
