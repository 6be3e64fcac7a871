"""A family's best knobs in hindsight: the cheapest that keep the objective on the very traffic they are scored on.

First some points far apart; then, from the best of them, one axis after the other as far as each step is better, until
no step is or enough were tried. Where nothing keeps the objective the best is what comes nearest.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from benchmarks.peers.families import Family
from benchmarks.sizing.runs import Result
from millpond.simulator import Traffic

MOST_TRIED = 20


def is_better(one: Result, other: Result) -> bool:
    """Whether one result is to be preferred: the objective first, then the cost."""
    return _rank(one) < _rank(other)


def _rank(result: Result) -> tuple[float, float]:
    return (0.0, result.worker_s) if result.is_met else (1.0 - result.attainment, result.worker_s)


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


def tune(
    family: Family, run: Callable[[Any], Result], fixed_size: int, most: int = MOST_TRIED
) -> tuple[Any, Result, int]:
    """The best knobs, what they came to, and how many were tried. `fixed_size` workers would be enough at any time."""
    if family.is_ordered:
        return _bisect(family, run)
    tried = {knobs: run(knobs) for knobs in dict.fromkeys(family.coarse(fixed_size))}
    best = next(iter(tried))
    for knobs in tried:
        best = knobs if is_better(tried[knobs], tried[best]) else best
    ways = [(axis, step) for axis in family.axes for step in (-1, 1)]
    fruitless = 0
    for axis, step in itertools.cycle(ways):
        before = best
        while (near := family.near(best, axis, step)) is not None and (near in tried or len(tried) < most):
            if near not in tried:
                tried[near] = run(near)
            if not is_better(tried[near], tried[best]):
                break
            best = near
        fruitless = 0 if best != before else fruitless + 1
        if fruitless == len(ways):
            return best, tried[best], len(tried)
    raise AssertionError("a cycle does not end")


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
