"""One policy on one cell: the figures that everything is made of, and a memory of those that were made before."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.families import FAMILIES, ON_DEMAND
from benchmarks.peers.on_demand import OnDemandKnobs
from benchmarks.sizing.cells import Cell, traffic_of
from millpond.optimizer import Mode
from millpond.simulator import (
    Bare,
    Duration,
    Recording,
    Scenario,
    Score,
    Simulation,
    make_steering,
    score,
    settings_for,
)
from millpond.slo import Slo

LOW, HIGH = 0, 64
OBJECTIVE = Slo(wait=1.0, share=0.99)
SCORE_FROM = 0.2
BLOCKS = 40  # of the scored time, of which intervals are drawn again
DIRECT = "on demand, 0 s"  # what starts are compared with
OURS: tuple[Mode, ...] = ("prompt", "economy")


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to. `blocks` are pairs: scored calls, and those of them that began in time; of ours only."""

    attainment: float
    worker_s: float
    clairvoyant_s: float
    starts: int
    wait_p50: float | None
    wait_p99: float | None
    scored: int
    wall_s: float
    blocks: list[list[int]]

    @property
    def is_met(self) -> bool:
        return self.attainment >= OBJECTIVE.share - 1e-12

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def result_of(raw: dict[str, Any]) -> Result:
    """From what `as_dict` gave."""
    return Result(**{one.name: raw[one.name] for one in fields(Result)})


def simulate(cell: Cell, folder: Path, seed: int, policy: Any, name: str, mode: Mode) -> tuple[Score, Recording]:
    """Run a policy through the production simulator."""
    scenario = Scenario(
        traffic=traffic_of(cell.kind, folder, seed),
        cold=Duration(cell.cold_s),
        settings=settings_for(LOW, HIGH),
        seed=seed,
    )
    recording = Simulation(scenario, policy).run()
    scored = score(recording, policy=name, mode=mode, cold_s=cell.cold_s, objective=OBJECTIVE, score_from=SCORE_FROM)
    return scored, recording


def run_ours(cell: Cell, folder: Path, seed: int, name: str, mode: Mode) -> Result:
    """A policy of the package, under its name."""
    scored, recording = simulate(cell, folder, seed, make_steering(name, OBJECTIVE, mode, LOW, HIGH), name, mode)
    return replace(_judged(scored), blocks=_blocks(recording))


def run_peer(cell: Cell, folder: Path, seed: int, family: str, knobs: Any) -> Result:
    """A peer with these knobs."""
    (made,) = [one for one in FAMILIES if one.name == family]
    policy = Bare(made.policy(knobs)(OBJECTIVE, "prompt", LOW, HIGH))
    return _judged(simulate(cell, folder, seed, policy, family, "prompt")[0])


def shipped_peers() -> dict[str, tuple[str, Any]]:
    """Each as it is shipped, and the one that starts are compared with: name -> family, knobs."""
    shipped = {name: (family.name, knobs) for family in FAMILIES for name, knobs in family.shipped.items()}
    return shipped | {DIRECT: (ON_DEMAND.name, OnDemandKnobs(idle_s=0.0))}


def _judged(scored: Score) -> Result:
    return Result(
        scored.attainment,
        scored.worker_seconds,
        scored.clairvoyant_worker_seconds,
        scored.starts,
        scored.wait_p50,
        scored.wait_p99,
        scored.scored,
        scored.wall_s,
        [],
    )


def _blocks(recording: Recording) -> list[list[int]]:
    """Of each part of the scored time: its calls, and those that began in time."""
    last = recording.came.max()
    first = SCORE_FROM * last
    part = np.minimum((recording.came - first) / (last - first) * BLOCKS, BLOCKS - 1).astype(int)
    is_met = recording.began - recording.came <= OBJECTIVE.wait + 1e-9
    is_scored = recording.came >= first
    counts = [np.bincount(part[which], minlength=BLOCKS) for which in (is_scored, is_scored & is_met)]
    return [[int(all_), int(met)] for all_, met in zip(*counts, strict=True)]
