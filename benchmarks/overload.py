"""How much a pool answers while more is offered than it can do: `python -m benchmarks.overload [--seconds 60]`.

Question: what share of its capacity does a pool answer in time when 1.2 to 10 times that is offered, with deadlines of
0.5, 1 and 2 s, and service times that are constant, exponential or lognormal? Method: the core itself under a virtual
clock, two workers, 20 ms on average, calls at random; beside each run the same calls with `overload_control=False` and
`max_queued=90`. `--processes` runs three cells with real workers, times a refusal, and compares the rate of short
calls, 64 in flight, with and without 10,000 refusals a second by another pool of the same program.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from statistics import median

import millpond
from tests.core.traffic import MEAN_S, SERVICES, Draw, Outcome, Traffic

DEADLINES, LOADS = (0.5, 1.0, 2.0), (1.2, 2.0, 3.0, 10.0)
CAPACITY = 2 / MEAN_S
CELLS = ((1.0, 120.0), (0.5, 300.0), (2.0, 300.0))  # deadline, calls a second


def cell(draw: Draw, deadline: float, load: float, seconds: int, seed: int) -> tuple[Outcome, Outcome]:
    """The run, and the one it is compared with."""
    with_control = Traffic(seed, draw).offer(load * CAPACITY, seconds, deadline)
    without = Traffic(seed, draw, max_queued=90, overload_control=False).offer(load * CAPACITY, seconds, deadline)
    return with_control, without


def simulate(seconds: int, seed: int) -> None:
    """Print a row a cell; shares are of what the pool with `max_queued=90` answers."""
    print(f"{'service':14}{'deadline':>9}{'load':>6}{'answers/s':>11}{'worst 10 s':>12}", end="")
    print(f"{'max_queued=90':>15}{'missed':>8}{'dropped':>9}{'refused':>9}{'breaker':>9}")
    for name, draw in SERVICES.items():
        for deadline in DEADLINES:
            for load in LOADS:
                ours, bounded = cell(draw, deadline, load, seconds, seed)
                tens = range(0, seconds - 9, 10)
                worst = min(ours.within(at, at + 10) for at in tens) / 10
                print(f"{name:14}{deadline:9}{load:6}{ours.within(0, seconds) / seconds:11.1f}{worst:12.1f}", end="")
                print(f"{bounded.within(0, seconds) / seconds:15.1f}", end="")
                print(f"{ours.missed / max(1, ours.begun):8.2%}{ours.dropped / ours.admitted:9.1%}", end="")
                print(f"{ours.refused:9}{len(ours.breakers):9}")


class Handler:
    """Sleeps, so that two workers need no two cores."""

    def work(self) -> int:
        time.sleep(MEAN_S)
        return 1

    def echo(self, value: int) -> int:
        return value


async def offered(deadline: float, rate: float, seconds: float) -> None:
    """Print the answers in each second, and how the others ended."""
    async with millpond.Pool(Handler, min_workers=2, max_workers=2) as pool:
        ends: Counter[str] = Counter()
        answered: Counter[int] = Counter()
        transitions: list[str] = []
        pool.telemetry.attach("breakers", "breaker", lambda event: transitions.append(event.after))
        work = pool.options(deadline=deadline)

        async def one() -> None:
            try:
                await work.call("work")
                answered[int(time.monotonic() - start)] += 1
            except millpond.PoolError as error:
                ends[f"{error.code} {error.outcome}"] += 1

        start, calls = time.monotonic(), []
        while (now := time.monotonic()) < start + seconds:
            if (due := start + len(calls) / rate) > now:
                await asyncio.sleep(due - now)
            calls.append(asyncio.create_task(one()))
        await asyncio.gather(*calls)
        print(f"deadline {deadline} s, {rate:.0f}/s: answered {[answered[s] for s in range(int(seconds))]}", end="")
        print(f", {dict(ends)}, breaker {transitions}")


async def refusal_cost(refusals: int = 20_000) -> None:
    """Print what a refusal costs its caller, in processor time of the pool's thread."""
    async with millpond.Pool(Handler, min_workers=2, max_workers=2) as pool:
        await asyncio.gather(*(pool.call("work") for _ in range(20)))
        waiting = [asyncio.create_task(pool.call("work")) for _ in range(400)]
        await asyncio.sleep(0)
        work, spent = pool.options(deadline=0.5), []
        for _ in range(10):
            began = time.thread_time()
            for _ in range(refusals // 10):
                try:
                    await work.call("work")
                except millpond.Overloaded:
                    pass
            spent.append((time.thread_time() - began) / (refusals // 10))
        for task in waiting:
            task.cancel()
        print(f"a refusal: {median(spent) * 1e6:.1f} us")


class Refusals:
    """A pool with 100 calls under way or waiting, of which so many more a second are refused as it is told to."""

    def __init__(self, pool: millpond.Pool) -> None:
        self._pool = pool
        self.rate = 0.0
        self.ends: Counter[str] = Counter()

    async def keep_busy(self) -> None:
        while True:
            await self._pool.options(deadline=None).call("work")

    async def ask(self) -> None:
        work, asked_at = self._pool.options(deadline=0.5), time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            calls = int((time.monotonic() - asked_at) * self.rate)
            asked_at = asked_at + calls / self.rate if self.rate else time.monotonic()
            for _ in range(calls):
                try:
                    await work.call("work")
                except millpond.PoolError as error:
                    self.ends[error.code] += 1


async def beside_refusals(rate: float = 10_000.0, pairs: int = 10) -> None:
    """Print how the rate of short calls compares with and without refusals in the same program."""
    async with (
        millpond.Pool(Handler, min_workers=2, max_workers=2) as pool,
        millpond.Pool(Handler, min_workers=2, max_workers=2, name="overloaded") as other,
    ):
        await asyncio.gather(*(other.call("work") for _ in range(40)))
        answers, refusals = 0, Refusals(other)

        async def short() -> None:
            nonlocal answers
            while True:
                await pool.call("echo", 1)
                answers += 1

        everyone = [short() for _ in range(64)] + [refusals.keep_busy() for _ in range(100)] + [refusals.ask()]
        tasks = [asyncio.create_task(one) for one in everyone]
        ratios: list[float] = []
        for turn in range(pairs):
            rates: dict[float, float] = {}
            for refusals.rate in (0.0, rate) if turn % 2 else (rate, 0.0):
                await asyncio.sleep(0.2)
                before, began = answers, time.monotonic()
                await asyncio.sleep(1.0)
                rates[refusals.rate] = (answers - before) / (time.monotonic() - began)
            ratios.append(rates[rate] / rates[0.0])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print(f"the rate with {rate:,.0f} refusals a second, of that without: {median(ratios):.2f}", end="")
        print(f" ({min(ratios):.2f} to {max(ratios):.2f}), {dict(refusals.ends)}")


async def in_processes(seconds: float) -> None:
    """Three cells, and what refusals cost."""
    for deadline, rate in CELLS:
        await offered(deadline, rate, seconds)
    await refusal_cost()
    await beside_refusals()


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=0, help="of each cell (60, in processes 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", action="store_true")
    asked = parser.parse_args()
    if asked.processes:
        asyncio.run(in_processes(asked.seconds or 20))
    else:
        simulate(asked.seconds or 60, asked.seed)


if __name__ == "__main__":
    main()
