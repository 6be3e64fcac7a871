"""How long a page for Prometheus gets and what it costs: `python -m benchmarks.metrics_series`.

A pool on the fake engine is called by callers that never use a name twice: each call has a session, an operation and an
error text of its own. Time is virtual; a page is read after every second of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator

import millpond
from millpond.metrics.catalogue import families
from millpond.metrics.prometheus import render
from millpond.testing import FakeEngine, ManualClock

DISTINCT = 20_000
A_SECOND = 200
SERIES_MOST = 500

Row = tuple[str, str, str, bool]


class Keeper:
    """Fails with a text of its own each time."""

    def keep(self, n: int, *, session: object) -> None:
        raise ValueError(f"session {n} keeps nothing")


def named(n: int) -> Callable[[], None]:
    """A function with a name nobody else has."""

    def job() -> None:
        raise ValueError(f"job {n} does nothing")

    job.__qualname__ = f"job_{n}"
    return job


async def storm() -> tuple[int, millpond.Pool]:
    """The longest page there was, and the pool, closed."""
    clock, longest = ManualClock(), 0
    async with millpond.Pool(Keeper, engine=FakeEngine(), clock=clock, min_workers=2, max_workers=2) as pool:
        for n in range(DISTINCT):
            async with pool.session(f"session {n}") as session:
                await asyncio.gather(session.call("keep", n), pool.run(named(n)), return_exceptions=True)
                await session.close()
            if n % A_SECOND == A_SECOND - 1:
                await clock.advance(1.0)
                longest = max(longest, sum(len(family.samples) for family in families(pool.metrics.snapshot())))
    return longest, pool


def rows() -> Iterator[Row]:
    """The figures, with what they are held against."""
    longest, pool = asyncio.run(storm())
    told = pool.metrics.snapshot()
    calls = told.reading.endings["failed"]
    name = f"Prometheus series after {DISTINCT:,} distinct session ids, operations and error texts"
    yield name, f"{longest}", f"{SERIES_MOST}", longest <= SERIES_MOST and calls == 2 * DISTINCT
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        page = render(told)[1]
        times.append(time.perf_counter() - begun)
    yield f"making its page of {len(page) / 1024:.0f} KiB", f"{min(times) * 1000:.1f} ms", "", True


def main() -> None:
    is_reached = True
    for name, told, most, holds in rows():
        print(f"{name:<75} {told:>8} {most and f'at most {most}':>14}  {'' if holds else 'MISSED'}")
        is_reached &= holds
    sys.exit(not is_reached)


if __name__ == "__main__":
    main()
