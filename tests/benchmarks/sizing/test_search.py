"""The search in hindsight finds the cheapest knobs that keep the objective, and says so where none does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers.families import ON_DEMAND, STATIC
from benchmarks.peers.on_demand import OnDemandKnobs
from benchmarks.peers.static import StaticKnobs
from benchmarks.sizing.runs import Result
from benchmarks.sizing.search import is_better, tune


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
    assert is_better(result(0.99, 500.0), result(0.9899, 1.0))
    assert is_better(result(0.995, 10.0), result(1.0, 11.0))
    assert is_better(result(0.98, 500.0), result(0.97, 1.0))


def test_the_fewest_workers_that_suffice_are_found_in_few_runs():
    """A fixed size is bisected: seven of 64 runs at most."""
    for enough in (1, 2, 17, 63, 64):
        run, asked = counting(lambda knobs, enough=enough: result(float(knobs.workers >= enough), knobs.workers))
        best, found, tried = tune(STATIC, run)
        assert (best, found.is_met) == (StaticKnobs(workers=enough), True)
        assert tried == len(asked) <= 7


def test_most_workers_are_told_where_none_suffice():
    """A fixed size that never keeps the objective is the largest."""
    best, found, _ = tune(STATIC, lambda knobs: result(0.5, knobs.workers))
    assert (best, found.is_met) == (StaticKnobs(workers=64), False)


def test_the_search_walks_from_the_best_point_to_its_neighbours():
    """A cheapest place between the coarse points is reached, and no knobs are run twice."""

    def cost(knobs: OnDemandKnobs) -> Result:
        away = abs(ON_DEMAND.axes["idle_s"].index(knobs.idle_s) - 4) + abs(knobs.spares - 1)
        return result(0.99, 100.0 + away)

    run, asked = counting(cost)
    best, _, tried = tune(ON_DEMAND, run)
    assert best == OnDemandKnobs(idle_s=30.0, spares=1)
    assert tried == len(asked) == len(set(asked))


def test_the_search_ends_after_so_many_runs():
    """However far there is to go."""
    run, asked = counting(lambda knobs: result(0.99, 1000.0 - knobs.idle_s - knobs.spares))
    assert tune(ON_DEMAND, run, most=10)[2] == len(asked) == 10
