"""What agent sessions cost in a pool where they sleep and move: `python -m benchmarks.sizing_sessions [--traces DIR]`.

Simulated: sessions begin at random, 200 an hour. Each is one recorded session, its requests taking as long as recorded,
each following so long after the answer to the one before. Held against a worker of its own for each session, from its
first request to its last answer. Without `--traces` sessions are made up with the same statistics.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from millpond.optimizer import Mode
from millpond.optimizer.policies.chosen import POLICIES
from millpond.settings import Affinity
from millpond.simulator import Duration, Recording, Scenario, Simulation, Traffic, session_traffic, settings_for
from millpond.simulator.steering import make_steering
from millpond.simulator.traffic import Floats
from millpond.slo import Slo

STARTS = 200 / 3600.0  # sessions that begin, a second
FILE = Path("agent_sessions") / "claude_code_requests.csv"
CHEAPER = {0.02: 8.0, 0.2: 8.0, 2.0: 5.0, 10.0: 5.0}  # cold start -> times, at least
SLO = Slo(wait=1.0, share=0.99)
MOST = 256  # workers
ROUNDING_S = 1e-9

# What is made up: medians and sigmas of lognormals, which have the percentiles of the recorded sessions. One pause in
# five is a person's, the others are those of tools.
SERVICE_S, REQUESTS = (6.1, 0.963), (44.0, 0.957)
SHORT_S, LONG_S, LONG_SHARE = (7.5, 0.8), (150.0, 1.65), 0.2
LONGEST_PAUSE_S = 86_400.0

Chain = tuple[Floats, Floats]  # of one session: how long its requests take, and the pauses before them


def recorded(path: Path) -> list[Chain]:
    """The sessions of a file; requests of which no times are known are left out."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["t_s"] and row["api_time_s"]:
                rows[row["session"]].append((float(row["t_s"]), float(row["api_time_s"])))
    return [_chain(sorted(one)) for one in rows.values()]


def _chain(requests: list[tuple[float, float]]) -> Chain:
    came, took = (np.array(column) for column in zip(*requests, strict=True))
    return took, np.concatenate([[0.0], np.maximum(0.0, came[1:] - came[:-1] - took[:-1])])


def made_up(count: int = 700) -> list[Chain]:
    """Sessions with the statistics of the recorded ones."""
    random = np.random.default_rng(0)

    def lognormal(shape: tuple[float, float], number: int) -> Floats:
        return shape[0] * np.exp(shape[1] * random.standard_normal(number))

    chains = []
    for requests in np.ceil(lognormal(REQUESTS, count)).astype(int):
        is_long = random.random(requests) < LONG_SHARE
        pauses = np.where(is_long, lognormal(LONG_S, requests), lognormal(SHORT_S, requests))
        chains.append((lognormal(SERVICE_S, requests), np.minimum(pauses, LONGEST_PAUSE_S)))
    return chains


def traffic_of(chains: Sequence[Chain], hours: float, seed: int) -> Traffic:
    """Sessions that begin at random times of so many hours, each one of the chains at random."""
    random, seconds = np.random.default_rng(seed), hours * 3600.0
    begins = np.sort(random.random(random.poisson(STARTS * seconds)) * seconds)
    return session_traffic(begins, [chains[n] for n in random.integers(len(chains), size=len(begins))])


def baseline_s(traffic: Traffic) -> float:
    """Worker-seconds with a worker for each session, from its first request to its last answer, if none waited."""
    assert traffic.think_s is not None
    return float((traffic.service_s + np.nan_to_num(traffic.think_s)).sum())


@dataclass(frozen=True)
class Figures:
    """One run: how many times cheaper than the baseline, and what became of the requests."""

    cheaper: float
    met: float
    wait_p50_s: float
    wait_p99_s: float
    starts: int
    lost: int
    killed: int

    @property
    def told(self) -> str:
        """As a row prints it."""
        return (
            f"{self.cheaper:5.2f} x  {self.met:7.2%} in time  wait p50 {self.wait_p50_s:.3f} s, p99 "
            f"{self.wait_p99_s:.2f} s  {self.starts:,} starts  {self.lost} sessions lost  {self.killed} killed busy"
        )


def figures_of(traffic: Traffic, recording: Recording) -> Figures:
    """Over the whole run, to the last answer."""
    waits = recording.began - recording.came
    until = float((recording.began + recording.service).max())
    ordered, gone = recording.stays.T
    return Figures(
        cheaper=baseline_s(traffic) / float((np.minimum(gone, until) - ordered).sum()),
        met=float((waits <= SLO.wait + ROUNDING_S).mean()),
        wait_p50_s=float(np.percentile(waits, 50)),
        wait_p99_s=float(np.percentile(waits, 99)),
        starts=len(recording.stays),
        lost=recording.sessions_lost,
        killed=recording.busy_killed,
    )


def simulate(
    traffic: Traffic, cold_s: float, policy: str = "", mode: Mode = "prompt", affinity: Affinity = "hint"
) -> Figures:
    """One run; without a policy the rule is the one that a pool has by itself."""
    steering = make_steering(policy, SLO, mode, 0, MOST) if policy else None
    settings = settings_for(0, MOST, affinity=affinity)
    return figures_of(
        traffic, Simulation(Scenario(traffic=traffic, cold=Duration(cold_s), settings=settings), steering).run()
    )


def missed(cold_s: float, runs: Sequence[Figures]) -> list[str]:
    """What the runs of one cold start were to reach and did not."""
    held = CHEAPER.get(cold_s, 0.0)
    least, lost, killed = min(one.cheaper for one in runs), sum(one.lost for one in runs), sum(o.killed for o in runs)
    found = [f"{least:.2f} times cheaper, not {held:g}"] if least < held else []
    return found + [f"{count} {what}" for count, what in ((lost, "sessions lost"), (killed, "killed busy")) if count]


def main() -> None:
    """Print a row for each cold start and seed, and exit with 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, help=f"folder that has {FILE}")
    parser.add_argument("--cold", type=float, nargs="+", default=list(CHEAPER), metavar="L", help="seconds")
    parser.add_argument("--hours", type=float, default=6.0, help="in which sessions begin (default: 6)")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of each (default: 3)")
    default = "rehearsal" if "rehearsal" in POLICIES else ""
    parser.add_argument("--policy", default=default, help="who sizes the pool; '' for the rule it has by itself")
    parser.add_argument("--mode", choices=get_args(Mode), default="prompt")
    parser.add_argument("--affinity", choices=get_args(Affinity), default="hint")
    chosen = parser.parse_args()
    chains = recorded(chosen.traces / FILE) if chosen.traces else made_up()
    failed = []
    for cold_s in chosen.cold:
        runs = []
        for seed in range(chosen.seeds):
            traffic = traffic_of(chains, chosen.hours, seed)
            runs.append(simulate(traffic, cold_s, chosen.policy, chosen.mode, chosen.affinity))
            print(f"L = {cold_s:<5g} {len(traffic):,} requests  {runs[-1].told}", flush=True)
        failed += [f"L = {cold_s:g}: {why}" for why in missed(cold_s, runs)]
    sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
