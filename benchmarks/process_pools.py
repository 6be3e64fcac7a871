"""The process pools people use, each behind the same few verbs.

All run the same importable function in two workers, as their documentation suggests. With many calls in flight each is
driven in every way it bears, and the faster counts.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterable
from typing import Any

import loky
import mpire
import pebble

from benchmarks.driving import ask_each, by_batches, by_callback, by_window
from benchmarks.operations import echo, load_heavy


class FuturePool:
    """A pool that gives a handle for each submitted call; how it is made and asked is the subclass's."""

    name: str
    bears_submits_in_callbacks = True
    pool: Any

    def make(self, workers: int) -> Any:
        raise NotImplementedError

    def submit(self, value: Any) -> Any:
        return self.pool.submit(echo, value)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def submit_then(self, value: int, answered: Callable[[Any], None]) -> None:
        self.submit(value).add_done_callback(lambda future: answered(future.result()))

    async def open(self, workers: int) -> None:
        self.pool = self.make(workers)
        by_batches(self.submit, self.result, 200, 50)

    async def close(self) -> None:
        self.pool.shutdown()

    async def round_trips(self, values: Iterable[Any]) -> list[float]:
        return ask_each(lambda value: self.result(self.submit(value)), values)

    async def in_flight(self, calls: int, depth: int) -> float:
        times = [by_window(self.submit, self.result, calls, depth)]
        if self.bears_submits_in_callbacks:
            times.append(by_callback(self.submit_then, calls, depth))
        return min(times)

    async def batches(self, calls: int, size: int) -> float:
        return by_batches(self.submit, self.result, calls, size)


class Stdlib(FuturePool):
    name = "ProcessPoolExecutor"

    def make(self, workers: int) -> Any:
        return concurrent.futures.ProcessPoolExecutor(workers)

    @staticmethod
    def start_heavy() -> None:
        """Start a worker that loads what `Heavy` loads, and wait for its first answer."""
        with concurrent.futures.ProcessPoolExecutor(1, initializer=load_heavy) as pool:
            pool.submit(echo, 1).result()


class Loky(FuturePool):
    name = "loky"

    def make(self, workers: int) -> Any:
        return loky.ProcessPoolExecutor(workers)


class Multiprocessing(FuturePool):
    name = "multiprocessing.Pool"

    def make(self, workers: int) -> Any:
        return multiprocessing.Pool(workers)

    def submit(self, value: Any) -> Any:
        return self.pool.apply_async(echo, (value,))

    def result(self, handle: Any) -> Any:
        return handle.get()

    def submit_then(self, value: int, answered: Callable[[Any], None]) -> None:
        self.pool.apply_async(echo, (value,), callback=answered)

    async def close(self) -> None:
        self.pool.terminate()
        self.pool.join()


class Mpire(Multiprocessing):
    name = "mpire"
    bears_submits_in_callbacks = False  # it stops answering

    def make(self, workers: int) -> Any:
        return mpire.WorkerPool(n_jobs=workers)


class Pebble(FuturePool):
    name = "pebble"

    def make(self, workers: int) -> Any:
        return pebble.ProcessPool(max_workers=workers)

    def submit(self, value: Any) -> Any:
        return self.pool.schedule(echo, args=(value,))

    async def close(self) -> None:
        self.pool.stop()
        self.pool.join()
