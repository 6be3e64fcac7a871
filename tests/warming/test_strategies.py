"""Strategies: in which order, how many at a time, and when they stop."""

from __future__ import annotations

import asyncio

import pytest

from millpond.warming.outcomes import WorkerReport
from millpond.warming.strategies import warm_parallel, warm_sequential, warm_staged


class Kitchen:
    """Warms nobody: notes who is at it together, and who fails."""

    def __init__(self, failing: set[int] = frozenset()) -> None:
        self.failing = failing
        self.at_once: list[set[int]] = []
        self.now: set[int] = set()
        self.order: list[int] = []

    async def warm(self, worker: int) -> WorkerReport:
        self.now.add(worker)
        self.order.append(worker)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once.append(set(self.now))
        self.now.discard(worker)
        return WorkerReport(worker, (), 0.0, "no water" if worker in self.failing else "")


async def test_parallel_warms_all_at_once():
    """Nobody waits for anybody."""
    kitchen = Kitchen()
    await warm_parallel([1, 2, 3], kitchen.warm)
    assert kitchen.at_once[0] == {1, 2, 3}


async def test_sequential_warms_one_after_another():
    """In the order of the workers, also past one that failed."""
    kitchen = Kitchen(failing={1})
    await warm_sequential([1, 2, 3], kitchen.warm)
    assert kitchen.at_once == [{1}, {2}, {3}]


async def test_staged_warms_batch_after_batch():
    """Never more than a batch at a time."""
    kitchen = Kitchen()
    await warm_staged(2)([1, 2, 3, 4, 5], kitchen.warm)
    assert kitchen.order == [1, 2, 3, 4, 5]
    assert [max(map(len, kitchen.at_once)), kitchen.at_once[-1]] == [2, {5}]


async def test_staged_stops_when_too_many_fail():
    """The rest is spared what fails anyway."""
    kitchen = Kitchen(failing={1, 2, 3})
    await warm_staged(2, stop_above=0.5)([1, 2, 3, 4, 5, 6], kitchen.warm)
    assert kitchen.order == [1, 2]


async def test_staged_goes_on_while_few_enough_fail():
    """The share is of those that were tried."""
    kitchen = Kitchen(failing={1})
    await warm_staged(2, stop_above=0.5)([1, 2, 3, 4], kitchen.warm)
    assert kitchen.order == [1, 2, 3, 4]


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"pause": -1.0}, {"stop_above": 1.5}])
def test_staged_refuses_what_it_cannot_do(wrong):
    """Nothing is corrected in silence."""
    with pytest.raises(ValueError, match="out of range"):
        warm_staged(**wrong)
