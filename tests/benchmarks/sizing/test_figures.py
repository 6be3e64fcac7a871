"""Figures and tables follow from the raw results: ratios of sums over seeds, verdicts, and no loss left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.families import FAMILIES
from benchmarks.sizing import tables
from benchmarks.sizing.cells import Cell, cells
from benchmarks.sizing.figures import Results, bootstrapped
from benchmarks.sizing.goals import verdicts
from benchmarks.sizing.runs import DIRECT, OURS, result_of, shipped_peers
from benchmarks.sizing.store import Store
from benchmarks.sizing.tasks import tasks_of
from benchmarks.table import filled

FACTS = {
    "cores": 2,
    "processor": "x",
    "python": "3",
    "packages": {"numpy": "2"},
    "date": "2026-01-01",
    "policy": "ours",
}
SPIKE = Cell("spike", 2.0)


def raw(worker_s: float, attainment: float = 1.0, starts: int = 10) -> dict[str, Any]:
    figures = {"attainment": attainment, "worker_s": worker_s, "clairvoyant_s": 100.0, "starts": starts, "scored": 1000}
    return figures | {"wait_p50": 0.0, "wait_p99": 0.0, "wall_s": 0.1, "blocks": [[500, 500], [500, 490]]}


def filled_store(folder: Path, chosen: list[Cell]) -> Store:
    """Ours cost 110 in prompt and 105 in economy; peers as shipped 200 and more, families in hindsight 120 and more."""
    store = Store(folder / "raw.json")
    store.facts = dict(FACTS)
    costs = {family.name: 120.0 + number for number, family in enumerate(FAMILIES)}
    costs |= {name: 200.0 + number for number, name in enumerate(shipped_peers())}
    for task in tasks_of(chosen, "ours"):
        if task.what == "step":
            store.runs[task.key] = {"short_s": 0.05, "back_s": 30.0, "needed": 3}
        elif task.what == "ours":
            store.runs[task.key] = raw({"prompt": 110.0, "economy": 105.0}[task.mode])
        else:
            store.runs[task.key] = raw(costs[task.name] + (1000.0 if task.name == DIRECT else 0), starts=20)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled_store(tmp_path, [SPIKE])


def test_ratios_are_ours_over_the_other(store):
    """Of sums over the five seeds; the baseline of starts is no peer that could be the cheapest."""
    one = Results(store, [SPIKE], "ours").figures(SPIKE, "prompt")
    assert one.clairvoyant == pytest.approx(1.1)
    assert one.starts == pytest.approx(0.5)
    assert (one.cheapest, one.shipped) == ("on demand, 60 s", pytest.approx(110 / 200))
    assert one.best == one.tuned["static"] == pytest.approx(110 / 120)
    assert one.attainment_interval[0] <= 0.99 <= one.attainment_interval[1]
    assert one.clairvoyant_interval == pytest.approx((1.1, 1.1))


def test_who_misses_the_objective_is_no_measure(store):
    """A peer as shipped that keeps it on four seeds of five does not count, nor does a family that never does."""
    for seed in range(5):
        key = f"shipped | spike, 2 s | seed {seed} | on demand, 60 s"
        store.runs[key] = raw(1.0, attainment=0.94 if seed == 3 else 1.0)
    store.runs["tuned | spike, 2 s | seed 0 | static"] = raw(1.0, attainment=0.98)
    one = Results(store, [SPIKE], "ours").figures(SPIKE, "economy")
    assert one.cheapest == "on demand, 60 s, 2 spares"
    assert one.tuned["static"] is None
    assert one.best == pytest.approx(105 / 121)


def test_a_cell_that_lacks_a_seed_of_ours_is_not_told(store):
    """An unfinished run has fewer cells, and none that is half there."""
    del store.runs["ours | spike, 2 s | seed 4 | ours, economy"]
    assert Results(store, [SPIKE], "ours").cells == []


def test_each_loss_is_told(store):
    """A cell in which a family tuned on it is cheaper, and one that misses the objective."""
    store.runs["tuned | spike, 2 s | seed 0 | Celery"] = raw(100.0)
    for seed in range(5):
        store.runs[f"ours | spike, 2 s | seed {seed} | ours, economy"] = raw(90.0, attainment=0.98)
    told = tables.parts(store, [SPIKE], "ours")["sizing losses"].splitlines()[2:]
    assert [[cell.strip() for cell in row.split("|")[1:-1]] for row in told] == [
        ["spike", "2", "prompt", "100.00", "+10%", "Celery"],
        ["spike", "2", "economy", "98.00", "-10%", "Celery"],
    ]


def test_every_goal_has_a_verdict_that_follows_from_the_figures(tmp_path):
    """With every cell run all are judged; what is dearer than allowed is not reached."""
    chosen = list(cells(has_recorded=True))
    store = filled_store(tmp_path, chosen)
    found = verdicts(Results(store, chosen, "ours"))
    assert all(one.is_reached is not None for one in found)
    by_name = {(one.about, one.wanted): one.is_reached for one in found}
    assert by_name["L <= 0.2 s, economy: over the clairvoyant", "every cell at most 1.02"] is False
    assert by_name["over the best of all, tuned per cell, L = 2 s", "median at most 1.05"] is True
    assert by_name["objective, economy", "99% met in all cells but 2, none under 98.5 %"] is True


def test_without_results_nothing_is_judged(tmp_path):
    """A goal of which nothing was measured is neither reached nor missed."""
    assert {one.is_reached for one in verdicts(Results(Store(tmp_path / "none.json"), [SPIKE], "ours"))} == {None}


def test_the_page_has_a_place_for_every_table(store):
    """Writing drops no table, and writing twice changes nothing."""
    found = tables.parts(store, [SPIKE], "ours")
    page = filled(tables.PAGE.read_text(), found)
    assert all(text in page for text in found.values())
    assert filled(page, found) == page


def test_raw_results_are_read_as_they_were_saved(store):
    """A run that was broken off goes on from its file."""
    store.save()
    again = Store(store.path)
    assert (again.facts, again.runs) == (store.facts, store.runs)
    (key,) = [key for key in again.runs if key.startswith("ours | spike, 2 s | seed 0 | ours, prompt")]
    assert result_of(again.runs[key]).worker_s == 110.0


def test_what_was_run_on_other_traffic_is_forgotten(store):
    """Two policies are never compared on different traffic of one name."""
    stale, fresh = "ours | spike, 2 s | seed 0 | ours, economy", "ours | spike, 2 s | seed 1 | ours, economy"
    store.runs[stale]["traffic"], store.runs[fresh]["traffic"] = "old", "new"
    store.keep({stale: "new", fresh: "new"})
    assert stale not in store.runs
    assert fresh in store.runs
    assert Results(store, [SPIKE], "ours").cells == []


def test_names_of_runs_are_unique():
    """No two tasks share a name in the raw results."""
    keys = [task.key for task in tasks_of(list(cells(has_recorded=True)), "ours")]
    assert len(keys) == len(set(keys))
    assert sum(key.startswith("ours") for key in keys) == len(OURS) * 4 * (4 + 6 * 5)


def test_an_interval_holds_what_was_measured():
    """Rows that agree have an interval of no width."""
    import numpy as np

    assert bootstrapped(np.full((5, 1), 3.0), lambda drawn: drawn.mean(axis=(1, 2))) == (3.0, 3.0)
