"""A family's best knobs in hindsight: the cheapest that keep the objective on the very traffic they are scored on.

First some points far apart; then, from the best of them, one axis after the other as far as each step is better; and
the same once more from where a price on missed calls, instead of a bound, leads: the cheapest knobs lie at the edge of
what keeps the objective, and from inside no single step leads along it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from benchmarks.peers.families import Family
from benchmarks.sizing.runs import OBJECTIVE, Result
from millpond.simulator import Traffic

STEPS = 4  # runs of each of the two walks, at most

Rank = Callable[[Result], tuple[float, float]]


def bounded(result: Result) -> tuple[float, float]:
    """The objective first, then the cost."""
    return (0.0, result.worker_s) if result.is_met else (1.0 - result.attainment, result.worker_s)


def priced(result: Result) -> tuple[float, float]:
    """The cost; twice that for twice as many missed calls as may be missed."""
    missed = max(0.0, OBJECTIVE.share - result.attainment) / (1.0 - OBJECTIVE.share)
    return 0.0, result.worker_s * (1.0 + missed)


def enough(traffic: Traffic, wait_s: float, share: float, most: int) -> int:
    """The fewest workers, always there, with which that share of the calls begins within the wait; at most so many."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _in_time(traffic, middle, wait_s) >= share else (middle + 1, high)
    return low


def _in_time(traffic: Traffic, workers: int, wait_s: float) -> float:
    """The share of calls that a fixed number of workers begins in time, first come, first served."""
    free_at, late = [0.0] * workers, 0
    for came, took in zip(traffic.arrival_s.tolist(), traffic.service_s.tolist(), strict=True):
        begins = max(came, free_at[0])
        late += begins - came > wait_s
        heapq.heapreplace(free_at, begins + took)
    return 1 - late / len(traffic)


def tune(family: Family, run: Callable[[Any], Result], fixed_size: int) -> tuple[Any, Result, int]:
    """The best knobs, what they came to, and how many were tried. `fixed_size` workers would be enough at any time."""
    if family.is_ordered:
        return _bisect(family, run)
    tried = {knobs: run(knobs) for knobs in dict.fromkeys(family.coarse(fixed_size))}
    for rank in (bounded, priced):
        _walk(family, run, tried, rank)
    best = min(tried, key=lambda knobs: bounded(tried[knobs]))
    return best, tried[best], len(tried)


def _walk(family: Family, run: Callable[[Any], Result], tried: dict[Any, Result], rank: Rank) -> None:
    """From the best that was tried along each axis while that is better, until nothing is or the steps are used up."""
    most = len(tried) + STEPS
    best = min(tried, key=lambda knobs: rank(tried[knobs]))
    ways = [(axis, step) for axis in family.axes for step in (-1, 1)]
    fruitless = 0
    for axis, step in itertools.cycle(ways):
        fruitless += 1
        while (near := family.near(best, axis, step)) is not None and (near in tried or len(tried) < most):
            if near not in tried:
                tried[near] = run(near)
            if rank(tried[near]) >= rank(tried[best]):
                break
            best, fruitless = near, 0
        if fruitless == len(ways):
            return


def _bisect(family: Family, run: Callable[[Any], Result]) -> tuple[Any, Result, int]:
    """The first on its only axis that keeps the objective, or the last: more cost more and never do worse."""
    ((name, values),) = family.axes.items()
    tried: dict[Any, Result] = {}
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        knobs = family.knobs(**{name: values[middle]})
        tried[knobs] = run(knobs)
        low, high = (low, middle) if tried[knobs].is_met else (middle + 1, high)
    best = family.knobs(**{name: values[low]})
    if best not in tried:
        tried[best] = run(best)
    return best, tried[best], len(tried)
