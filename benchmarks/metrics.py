"""What watching a pool costs and how exact it is: `python -m benchmarks.metrics [--only PART ...]`.

Prints the figures with what they are held against. The parts are errors, speed, memory (a virtual day), events, series,
cost and storm; the last two are of real pools.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import metrics_cost, metrics_series, metrics_storm, telemetry
from benchmarks.metrics_traffic import Clock, Traffic
from millpond.metrics.collector import MetricsCollector
from millpond.metrics.histogram import Histogram

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
SAMPLES = 1_000_000
ERROR_MOST = 0.012
SNAPSHOT_S_MOST = 0.002
MEMORY_MOST = 48 * 1024 * 1024
COST_MOST = 0.03
PARTS = ("errors", "speed", "memory", "events", "series", "cost", "storm")
FLAT = 0.05  # allocators settle: what the collector holds is the same to the byte
MiB = 1024 * 1024

Row = tuple[str, str, str, bool]


def percentile_errors() -> Iterator[Row]:
    """The largest relative error of p50 to p99.9 against the samples themselves, at the same rank."""
    random = np.random.default_rng(7)
    for name, values in {
        "lognormal": random.lognormal(-6.0, 1.0, SAMPLES),
        "bimodal": np.concatenate(
            [random.normal(0.002, 0.0002, SAMPLES * 7 // 10), random.normal(0.8, 0.05, SAMPLES * 3 // 10)]
        ),
        "heavy-tailed (Pareto, 1.1)": 0.001 * (1.0 + random.pareto(1.1, SAMPLES)),
    }.items():
        exact = np.quantile(values, SHARES, method="inverted_cdf")
        told = np.array(Histogram.of(values).percentiles(SHARES))
        worst = float(np.max(np.abs(told / exact - 1.0)))
        yield f"percentile error, {name}", f"{worst:.2%}", f"{ERROR_MOST:.1%}", worst <= ERROR_MOST


def collector_of(clock: Clock, source: Traffic) -> MetricsCollector:
    """A collector under virtual time, without processes to look at."""
    collector = MetricsCollector(source, clock=clock, wall_clock=clock.wall, cpu_clock=lambda: 0.0)
    collector.open()
    return collector


def run_for(collector: MetricsCollector, clock: Clock, seconds: int) -> None:
    """Let virtual seconds pass, a fold in each."""
    for _ in range(seconds):
        clock.now += 1.0
        collector.fold()
        collector.settle()


def fold_and_snapshot(collector: MetricsCollector, clock: Clock) -> tuple[list[float], list[float]]:
    """Seconds of a hundred folds, and of the snapshot after each, which no fold has made yet."""
    folds, snapshots = [], []
    for _ in range(100):
        clock.now += 1.0
        folds.append(timed(collector.fold))
        snapshots.append(timed(collector.snapshot))
    return folds, snapshots


def timed(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def speed() -> Iterator[Row]:
    """`snapshot()` and `fold()` at 64 workers and 50 operations with full windows."""
    clock = Clock()
    traffic = Traffic(clock, workers=64, operations=50, calls=2_000)
    collector = collector_of(clock, traffic)
    run_for(collector, clock, 920)
    made = [timed(traffic.read) for _ in range(20)]
    folds, snapshots = fold_and_snapshot(collector, clock)
    median, worst = np.median(snapshots), np.max(snapshots)
    held = f"{SNAPSHOT_S_MOST * 1e3:.0f} ms"
    yield "snapshot(), 64 workers, 50 operations, median", f"{median * 1e3:.2f} ms", held, median <= SNAPSHOT_S_MOST
    yield "snapshot(), 64 workers, 50 operations, worst of 100", f"{worst * 1e3:.2f} ms", "", True
    fold = float(np.median(folds) - np.median(made))
    yield "fold() of 2,000 calls of 50 operations, median", f"{fold * 1e3:.2f} ms", "", True


def memory(hours: int) -> Iterator[Row]:
    """What a process of its own takes for a day of history, and whether it takes more after that."""
    run = [sys.executable, "-m", "benchmarks.metrics_memory", str(hours)]
    found = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    day, later = found["after"] - found["before"], found["later"] - found["before"]
    grown = later / day - 1.0
    name = f"{hours} h of history, {found['minutes']} minutes of {found['operations']} operations"
    yield name, mib(day), "48 MiB", day <= MEMORY_MOST
    yield f"growth in {hours / 10:g} h more", f"{grown:+.1%}", "5% (flat)", grown <= FLAT or hours < 24
    yield "by the collector's own account", mib(found["told"]), "", True


def mib(nbytes: float) -> str:
    return f"{nbytes / MiB:.1f} MiB"


def events() -> Iterator[Row]:
    """What an event costs that nobody listens to."""
    for name, took, most in telemetry.unheard():
        assert most is not None
        yield name, f"{took:.0f} ns", f"{most:.0f} ns", took <= most


def cost(pairs: int, calls: int) -> Iterator[Row]:
    """What the default listeners take of the calls a second."""
    median, low, high = metrics_cost.spread(metrics_cost.ratios(pairs, calls))
    taken = f"{1 - median:.1%} ({1 - high:.1%} to {1 - low:.1%})"
    yield f"default listeners, 64 in flight, {pairs} pairs", taken, f"{COST_MOST:.0%}", 1 - median <= COST_MOST


def counts(calls: int) -> Iterator[Row]:
    """A storm's endings and error codes, as callers were told and as they were counted."""
    told, counted = asyncio.run(metrics_storm.storm(calls))
    for name in ("endings", "codes"):
        theirs, ours = getattr(told, name), getattr(counted, name)
        off = sum(abs(theirs[key] - ours[key]) for key in theirs | ours)
        yield f"{name} of a storm that are off: {shown(theirs)}", str(off), "0", not off


def shown(counter: Counter[str]) -> str:
    return ", ".join(f"{key} {count:,}" for key, count in counter.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--hours", type=int, default=24, help="of virtual time, for memory")
    parser.add_argument("--pairs", type=int, default=60, help="of turns, for cost")
    parser.add_argument("--calls", type=int, default=100_000, help="of the storm; a turn of cost has half as many")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "errors": percentile_errors,
        "speed": speed,
        "memory": lambda: memory(chosen.hours),
        "events": events,
        "series": metrics_series.rows,
        "cost": lambda: cost(chosen.pairs, chosen.calls // 2),
        "storm": lambda: counts(chosen.calls),
    }
    missed = 0
    for part in chosen.only:
        for name, value, held, is_met in parts[part]():
            missed += not is_met
            print(f"{name:<55} {value:>12} {held and f'at most {held}':>16}  {'' if is_met else 'MISSED'}", flush=True)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
