"""What is to be run, as values that another process can take; each gives its raw results by name.

A name says traffic, cold start, seed and policy, so that what was run before need not be run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.peers.families import FAMILIES
from benchmarks.sizing.cells import BY_NAME, Cell, digest_of, traffic_of
from benchmarks.sizing.runs import HIGH, OBJECTIVE, OURS, run_ours, run_peer, shipped_peers
from benchmarks.sizing.search import enough, tune
from benchmarks.sizing.steps import run_step
from millpond.optimizer import Mode

Raw = dict[str, Any]
What = Literal["ours", "shipped", "tuned", "step"]


@dataclass(frozen=True, slots=True)
class Task:
    """`name` is that of a policy, of a peer as shipped, or of a family."""

    what: What
    cell: Cell
    seed: int
    name: str
    mode: Mode = "prompt"

    @property
    def key(self) -> str:
        mode = f", {self.mode}" if self.what in ("ours", "step") else ""
        return f"{self.what} | {self.cell} | seed {self.seed} | {self.name}{mode}"

    def run(self, folder: Path) -> Raw:
        """Do it, and say on which traffic."""
        if self.what == "step":
            return run_step(self.cell.cold_s, self.name, self.mode)
        return self._simulated(folder) | {"traffic": digest_of(self.cell.kind, folder, self.seed)}

    def _simulated(self, folder: Path) -> Raw:
        if self.what == "ours":
            return run_ours(self.cell, folder, self.seed, self.name, self.mode).as_dict()
        if self.what == "shipped":
            family, knobs = shipped_peers()[self.name]
            return run_peer(self.cell, folder, self.seed, family, knobs).as_dict()
        (family_of,) = [one for one in FAMILIES if one.name == self.name]
        traffic = traffic_of(self.cell.kind, folder, self.seed)
        size = enough(traffic, OBJECTIVE.wait, OBJECTIVE.share, HIGH)
        best, result, tried = tune(
            family_of, lambda knobs: run_peer(self.cell, folder, self.seed, self.name, knobs), size
        )
        return result.as_dict() | {"knobs": asdict(best), "tried": tried}


STEP = "step"


def tasks_of(cells: list[Cell], policy: str) -> Iterator[Task]:
    """All that is run: ours in both modes and peers as shipped with each seed, families tuned on the first."""
    for cell in cells:
        seeds = BY_NAME[cell.kind].seeds
        yield from (Task("tuned", cell, seeds[0], family.name) for family in FAMILIES)
        for seed in seeds:
            yield from (Task("ours", cell, seed, policy, mode) for mode in OURS)
            yield from (Task("shipped", cell, seed, name) for name in shipped_peers())
    for cold_s in sorted({cell.cold_s for cell in cells}):
        yield from (Task("step", Cell(STEP, cold_s), 0, policy, mode) for mode in OURS)
