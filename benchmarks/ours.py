"""Millpond as a contender: `Pool` from asyncio tasks, and `Executor` like any other pool of futures.

Default settings but for the number of workers, and nothing switched off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import millpond
from benchmarks.driving import check
from benchmarks.operations import Echo, Heavy
from benchmarks.process_pools import FuturePool

OPERATION = "echo"


class Pool:
    name = "millpond Pool"
    pool: millpond.Pool

    async def open(self, workers: int) -> None:
        self.pool = millpond.Pool(Echo, min_workers=workers, max_workers=workers)
        await self.pool.open()
        await self.in_flight(200, 50)

    async def close(self) -> None:
        await self.pool.close()

    async def round_trips(self, values: Iterable[Any]) -> list[float]:
        seconds = []
        for value in values:
            started = time.perf_counter()
            got = await self.pool.call(OPERATION, value)
            seconds.append(time.perf_counter() - started)
            check(value, got)
        return seconds

    async def in_flight(self, calls: int, depth: int) -> float:
        return await self.callers([self.pool] * depth, OPERATION, calls)

    async def batches(self, calls: int, size: int) -> float:
        started = time.perf_counter()
        for first in range(0, calls, size):
            numbers = range(first, min(first + size, calls))
            answers = await asyncio.gather(*(self.pool.call(OPERATION, number) for number in numbers))
            check(list(numbers), answers)
        return time.perf_counter() - started

    async def callers(self, faces: list[Any], operation: str, calls: int) -> float:
        """One task a face (the pool, or a session of it), each with one call at a time; seconds in all."""
        numbers = iter(range(calls))

        async def caller(face: Any) -> None:
            call = face.call
            for number in numbers:
                if await call(operation, number) != number:
                    check(number, None)

        started = time.perf_counter()
        await asyncio.gather(*(caller(face) for face in faces))
        return time.perf_counter() - started

    async def sessions(self, count: int) -> list[Any]:
        """That many open sessions, each of which has had its first call."""
        sessions = [await self.pool.session(f"session-{number}") for number in range(count)]
        await asyncio.gather(*(session.call("count", 0) for session in sessions))
        return sessions

    @staticmethod
    async def heavy_starts(count: int) -> tuple[float, list[float]]:
        """Seconds `preload` took, and seconds `resize`, which waits until it is ready, took for each further worker."""
        seconds = []
        async with millpond.Pool(Heavy, min_workers=1, max_workers=1 + count) as pool:
            for wanted in range(2, 2 + count):
                started = time.perf_counter()
                await pool.resize(min_workers=wanted)
                seconds.append(time.perf_counter() - started)
            return await pool.call("preloaded_in"), seconds


class Executor(FuturePool):
    name = "millpond Executor"

    def make(self, workers: int) -> Any:
        return millpond.Executor(max_workers=workers)
