"""From raw results to the figures: what the objective and the cost came to in each cell, and against whom.

Costs of several seeds are added up before they are compared. A peer as shipped counts where it kept the objective over
all seeds; a family tuned in hindsight is compared on the seed it was tuned on. Intervals are bootstrapped (95 %): of a
cell's attainment over parts of the time, of its ratio over seeds, of a median over cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.peers.families import FAMILIES
from benchmarks.sizing.cells import BY_NAME, Cell
from benchmarks.sizing.runs import DIRECT, OBJECTIVE, Result, result_of, shipped_peers
from benchmarks.sizing.store import Store
from benchmarks.sizing.tasks import Task, What
from millpond.optimizer import Mode

DRAWN = 1000
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """One cell in one mode; ratios are of worker-seconds or starts, ours over the other, `None` without another."""

    cell: Cell
    mode: Mode
    attainment: float
    attainment_interval: Interval
    clairvoyant: float
    clairvoyant_interval: Interval
    wait_p50: float | None
    wait_p99: float | None
    starts: float | None
    shipped: float | None
    cheapest: str  # who that is
    tuned: dict[str, float | None]  # family -> ratio
    best: float | None  # over the best of all families

    @property
    def is_met(self) -> bool:
        return self.attainment >= OBJECTIVE.share - 1e-12


class Results:
    """Reads the store by cell."""

    def __init__(self, store: Store, cells: Sequence[Cell], policy: str) -> None:
        self.store, self.policy = store, policy
        self.cells = [cell for cell in cells if self.ours(cell, "prompt") and self.ours(cell, "economy")]

    def _found(self, what: What, cell: Cell, name: str, mode: Mode = "prompt") -> list[Result]:
        """The results of all seeds, or none if one is missing."""
        seeds = BY_NAME[cell.kind].seeds if what != "tuned" else range(1)
        raw = [self.store.runs.get(Task(what, cell, seed, name, mode).key) for seed in seeds]
        return [result_of(one) for one in raw if one] if all(raw) else []

    def ours(self, cell: Cell, mode: Mode) -> list[Result]:
        return self._found("ours", cell, self.policy, mode)

    def shipped(self, cell: Cell, name: str) -> list[Result]:
        return self._found("shipped", cell, name)

    def tuned(self, cell: Cell, family: str) -> Result | None:
        """The family's best, if that kept the objective."""
        found = self._found("tuned", cell, family)
        return found[0] if found and found[0].is_met else None

    def step(self, cold_s: float, mode: Mode) -> dict[str, Any] | None:
        return self.store.runs.get(Task("step", Cell("step", cold_s), 0, self.policy, mode).key)

    def figures(self, cell: Cell, mode: Mode) -> Figures:
        ours = self.ours(cell, mode)
        cost, first = worker_s(ours), ours[0].worker_s
        direct = self.shipped(cell, DIRECT)
        peers = {name: found for name in shipped_peers() if (found := self.shipped(cell, name))}
        kept = {name: worker_s(found) for name, found in peers.items() if name != DIRECT and met(found)}
        cheapest = min(kept, key=lambda name: kept[name]) if kept else ""
        tuned = {family.name: self.tuned(cell, family.name) for family in FAMILIES}
        costs = [found.worker_s for found in tuned.values() if found]
        return Figures(
            cell=cell,
            mode=mode,
            attainment=attainment(ours),
            attainment_interval=attainment_interval(ours),
            clairvoyant=cost / sum(one.clairvoyant_s for one in ours),
            clairvoyant_interval=ratio_interval(ours),
            wait_p50=_mean([one.wait_p50 for one in ours]),
            wait_p99=_mean([one.wait_p99 for one in ours]),
            starts=sum(one.starts for one in ours) / max(1, sum(one.starts for one in direct)) if direct else None,
            shipped=cost / kept[cheapest] if kept else None,
            cheapest=cheapest,
            tuned={name: first / found.worker_s if found else None for name, found in tuned.items()},
            best=first / min(costs) if costs else None,
        )


def worker_s(results: Sequence[Result]) -> float:
    return sum(one.worker_s for one in results)


def attainment(results: Sequence[Result]) -> float:
    """Of all scored calls of all seeds."""
    return sum(one.attainment * one.scored for one in results) / sum(one.scored for one in results)


def met(results: Sequence[Result]) -> bool:
    return attainment(results) >= OBJECTIVE.share - 1e-12


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def bootstrapped(rows: np.ndarray, figure: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """The middle 95 % of a figure of rows that are drawn again; it is given (draws, rows, columns)."""
    random = np.random.default_rng(0)
    drawn = rows[random.integers(0, len(rows), (DRAWN, len(rows)))]
    low, high = np.percentile(figure(drawn), [2.5, 97.5])
    return float(low), float(high)


def attainment_interval(results: Sequence[Result]) -> Interval:
    blocks = np.array([block for one in results for block in one.blocks], dtype=float)
    return bootstrapped(blocks, lambda drawn: drawn[:, :, 1].sum(axis=1) / np.maximum(1, drawn[:, :, 0].sum(axis=1)))


def ratio_interval(results: Sequence[Result]) -> Interval:
    costs = np.array([[one.worker_s, one.clairvoyant_s] for one in results])
    return bootstrapped(costs, lambda drawn: drawn[:, :, 0].sum(axis=1) / drawn[:, :, 1].sum(axis=1))


def median_interval(values: Sequence[float]) -> Interval:
    return bootstrapped(np.array(values, dtype=float), lambda drawn: np.median(drawn, axis=1))


def middle(values: Sequence[float]) -> float:
    return median(values)
