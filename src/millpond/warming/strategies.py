"""In which order and how many at a time workers are warmed. A strategy is any async function of that shape.

It is given the workers' ids and a function that warms one of them, waiting for its start if need be, and never raises
for what fails in the worker. Workers it leaves out are not warmed: while the pool opens they are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from millpond.warming.outcomes import WorkerReport

WarmOne = Callable[[int], Awaitable[WorkerReport]]


class Strategy(Protocol):
    """Paces a round of warm-up."""

    async def __call__(self, workers: Sequence[int], warm: WarmOne, /) -> None:
        """Warm the workers; returning early leaves the rest as they are."""


async def warm_parallel(workers: Sequence[int], warm: WarmOne, /) -> None:
    """All at once: soonest over where the cores suffice."""
    await asyncio.gather(*map(warm, workers))


async def warm_sequential(workers: Sequence[int], warm: WarmOne, /) -> None:
    """One after another: the rest of the machine, and whatever the commands talk to, notices least."""
    for worker in workers:
        await warm(worker)


def warm_staged(batch: int = 2, pause: float = 0.0, stop_above: float = 1.0) -> Strategy:
    """`batch` at a time, `pause` seconds apart; stops when more than the share `stop_above` of those tried failed.

    Raises `ValueError` for a batch below 1, a negative pause, or a share outside 0 to 1.
    """
    if batch < 1 or pause < 0 or not 0 <= stop_above <= 1:
        raise ValueError(f"a batch of {batch}, a pause of {pause} s, or a share of {stop_above} is out of range")

    async def staged(workers: Sequence[int], warm: WarmOne, /) -> None:
        failed = 0
        for start in range(0, len(workers), batch):
            if start and pause:
                await asyncio.sleep(pause)
            reports = await asyncio.gather(*map(warm, workers[start : start + batch]))
            failed += sum(not report.is_warm for report in reports)
            if failed > stop_above * (start + len(reports)):
                return

    return staged
