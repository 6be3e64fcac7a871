"""Runs the benchmark: `python -m benchmarks.run [--quick] [--only SCENARIO ...] [--peer PEER ...]`.

Every scenario goes round: each peer has a short turn, then the next round begins with another peer, so that a machine
that drifts drifts for all alike. Writes `results/<date>.json` and, after a full run, the tables of
`docs/performance.md`. Does not judge; `targets` does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import select
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks import machine, table
from benchmarks.scenarios import MEASURES, POOLS, SCENARIOS, Scenario

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TURN_LIMIT_S = 120.0

Raw = dict[str, dict[str, list[float]]]


class Driver:
    """A peer's process, taking turns."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.failure: str | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.driver", self.peer],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.to_peer, self.from_peer = self.process.stdin, self.process.stdout
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Let it close its pool; kill it if that takes long."""
        with suppress(BrokenPipeError):
            self.to_peer.close()
        try:
            self.process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.kill("did not close")
        self.from_peer.close()

    def kill(self, why: str) -> None:
        self.failure = why
        self.process.kill()
        self.process.wait()

    def turn(self, scenario: str, quick: bool) -> dict[str, float]:
        """The figures of one turn; none, and `failure` set, if the peer fails or hangs."""
        with suppress(BrokenPipeError):
            self.to_peer.write(json.dumps({"scenario": scenario, "quick": quick}) + "\n")
            self.to_peer.flush()
        if not select.select([self.from_peer], [], [], TURN_LIMIT_S)[0]:
            self.kill(f"no answer in {TURN_LIMIT_S:.0f} s")
            return {}
        answer = json.loads(self.from_peer.readline() or '{"error": "its process died"}')
        self.failure = answer.get("error")
        return answer.get("figures", {})


def run_scenario(scenario: Scenario, drivers: dict[str, Driver], rounds: int, quick: bool, raw: Raw) -> None:
    """All rounds of one scenario, each begun by another peer; a peer that fails is out of it."""
    peers = [peer for peer in scenario.peers if peer in drivers]
    for number in range(rounds):
        for peer in peers[number % len(peers) :] + peers[: number % len(peers)]:
            driver = drivers[peer]
            if driver.failure:
                continue
            figures = driver.turn(scenario.name, quick)
            if driver.failure:
                print(f"  {peer}: {driver.failure}", file=sys.stderr)
            for measure, figure in figures.items():
                raw.setdefault(measure, {}).setdefault(peer, []).append(round(figure, 4))


def measure_all(scenarios: list[Scenario], peers: list[str], rounds: int, quick: bool) -> dict[str, Any]:
    """Run every scenario; returns the raw figures, one a round, and what failed."""
    raw: Raw = {}
    failures: dict[str, str] = {}
    for scenario in scenarios:
        print(f"{scenario.name}: {scenario.question}", flush=True)
        with ExitStack() as stack:
            drivers = {peer: stack.enter_context(Driver(peer)) for peer in scenario.peers if peer in peers}
            if drivers:
                run_scenario(scenario, drivers, rounds, quick, raw)
        failures |= {f"{scenario.name}, {d.peer}": d.failure for d in drivers.values() if d.failure}
        for line in table.summary(raw, [m for m, facts in MEASURES.items() if facts.scenario == scenario.name]):
            print("  " + line, flush=True)
    return {"raw": raw, "failures": failures}


def options() -> argparse.Namespace:
    everyone = list(dict.fromkeys([*POOLS, *(peer for scenario in SCENARIOS for peer in scenario.peers)]))
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short turns, three rounds: to try things, not to publish")
    parser.add_argument("--rounds", type=int, help="rounds (default 7, quick 3)")
    parser.add_argument("--only", action="append", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--peer", action="append", choices=everyone)
    chosen = parser.parse_args()
    chosen.is_partial = bool(chosen.quick or chosen.only or chosen.peer)
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 7)
    chosen.peer = chosen.peer or everyone
    return chosen


def main() -> None:
    chosen = options()
    scenarios = [scenario for scenario in SCENARIOS if not chosen.only or scenario.name in chosen.only]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    result = {"date": today, "machine": machine.facts(), "workers": 2, "rounds": chosen.rounds}
    result |= measure_all(scenarios, chosen.peer, chosen.rounds, chosen.quick)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / (f"{today}.tmp" if chosen.is_partial else f"{today}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(["", *table.verdicts(result), "", f"Raw data: {path.relative_to(ROOT)}"]))
    if not chosen.is_partial:
        table.write(result)


if __name__ == "__main__":
    main()
