"""The search in hindsight finds the cheapest knobs that keep the objective, and says so where none does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.families import ON_DEMAND, STATIC
from benchmarks.peers.on_demand import OnDemandKnobs
from benchmarks.peers.static import StaticKnobs
from benchmarks.sizing.runs import Result
from benchmarks.sizing.search import STEPS, bounded, enough, priced, tune
from millpond.simulator import Traffic


def result(attainment: float, worker_s: float) -> Result:
    return Result(attainment, worker_s, 100.0, 10, 0.0, 0.5, 1000, 0.1, [])


def counting(run: Callable[[Any], Result]) -> tuple[Callable[[Any], Result], list[Any]]:
    asked: list[Any] = []

    def counted(knobs: Any) -> Result:
        asked.append(knobs)
        return run(knobs)

    return counted, asked


def test_the_objective_comes_before_the_cost():
    """What keeps it beats what is cheaper; among those that miss it the nearest is the best."""
    assert bounded(result(0.99, 500.0)) < bounded(result(0.9899, 1.0))
    assert bounded(result(0.995, 10.0)) < bounded(result(1.0, 11.0))
    assert bounded(result(0.98, 500.0)) < bounded(result(0.97, 1.0))


def test_a_missed_call_has_a_price():
    """Twice as many missed as may be cost as much again."""
    assert priced(result(0.98, 100.0)) == pytest.approx((0.0, 200.0))
    assert priced(result(1.0, 100.0)) == (0.0, 100.0)


def test_the_fewest_workers_that_suffice_are_found_in_few_runs():
    """A fixed size is bisected: seven of 64 runs at most."""
    for size in (1, 2, 17, 63, 64):
        run, asked = counting(lambda knobs, size=size: result(float(knobs.workers >= size), knobs.workers))
        best, found, tried = tune(STATIC, run, size)
        assert (best, found.is_met) == (StaticKnobs(workers=size), True)
        assert tried == len(asked) <= 7


def test_most_workers_are_told_where_none_suffice():
    """A fixed size that never keeps the objective is the largest."""
    best, found, _ = tune(STATIC, lambda knobs: result(0.5, knobs.workers), 64)
    assert (best, found.is_met) == (StaticKnobs(workers=64), False)


def test_the_search_walks_from_the_best_point_to_its_neighbours():
    """A cheapest place between the coarse points is reached, and no knobs are run twice."""

    def cost(knobs: OnDemandKnobs) -> Result:
        away = abs(ON_DEMAND.axes["idle_s"].index(knobs.idle_s) - 4) + abs(knobs.spares - 1)
        return result(0.99, 100.0 + away)

    run, asked = counting(cost)
    best, _, tried = tune(ON_DEMAND, run, 4)
    assert best == OnDemandKnobs(idle_s=30.0, spares=1)
    assert tried == len(asked) == len(set(asked))


def test_a_fixed_size_is_enough_when_the_calls_begin_in_time():
    """Three calls at once for two seconds each: two workers begin all within two seconds, and three at once."""
    traffic = Traffic(np.array([0.0, 0.0, 0.0]), np.array([2.0, 2.0, 2.0]))
    assert [enough(traffic, wait_s, 1.0, 64) for wait_s in (4.0, 2.0, 1.9, 0.0)] == [1, 2, 3, 3]


def test_the_search_goes_along_the_edge_of_what_keeps_the_objective():
    """The cheapest knobs are reached from cheap ones that just miss it, where no step from dear ones leads."""

    def run(knobs: OnDemandKnobs) -> Result:
        idle = ON_DEMAND.axes["idle_s"].index(knobs.idle_s)
        return result(0.99 if idle >= 7 or knobs.spares >= 2 else 0.985, 100.0 + idle + 30 * knobs.spares)

    best, found, _ = tune(ON_DEMAND, run, 4)
    assert (best, found.is_met) == (OnDemandKnobs(idle_s=300.0), True)


def test_the_search_ends_after_so_many_runs():
    """However far there is to go."""
    run, asked = counting(lambda knobs: result(0.99, 1000.0 - knobs.idle_s - knobs.spares))
    coarse = len(set(ON_DEMAND.coarse(4)))
    assert coarse + STEPS <= tune(ON_DEMAND, run, 4)[2] == len(asked) <= coarse + 2 * STEPS
