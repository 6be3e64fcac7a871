"""What the metrics cost and how exact they are: `python -m benchmarks.metrics [--hours 24]`.

Prints the figures with what they are held against. Time is virtual but for what is measured; nothing runs beside it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.metrics_traffic import Clock, Traffic
from millpond.metrics.collector import MetricsCollector
from millpond.metrics.histogram import Histogram
from millpond.metrics.slot import OperationSlot

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
SAMPLES = 1_000_000
ERROR_MOST = 0.012
SNAPSHOT_S_MOST = 0.002
MEMORY_MOST = 48 * 1024 * 1024
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
    yield "snapshot(), 64 workers, 50 operations, worst", f"{worst * 1e3:.2f} ms", "", True
    fold = float(np.median(folds) - np.median(made))
    yield "fold() of 2,000 calls of 50 operations, median", f"{fold * 1e3:.2f} ms", "", True


def memory(hours: int) -> Iterator[Row]:
    """Python's own count of what the collector holds after a day, and after some hours more."""
    gc.collect()
    tracemalloc.start()
    clock = Clock()
    collector = collector_of(clock, Traffic(clock, workers=8, operations=20, calls=200))
    before = tracemalloc.get_traced_memory()[0]
    run_for(collector, clock, hours * 3600)
    day = held_since(before)
    run_for(collector, clock, hours * 360)
    later = held_since(before)
    tracemalloc.stop()
    minutes = collector.history(hours * 3600, 60)
    busiest: tuple[OperationSlot, ...] = minutes[-1].operations
    told = collector.snapshot().watch.memory_bytes
    grown = later / day - 1.0
    yield (
        f"{hours} h of history, {len(minutes)} minutes, {len(busiest)} operations",
        mib(day),
        "48 MiB",
        (day <= MEMORY_MOST),
    )
    yield f"after {hours / 10:g} h more", f"{grown:+.2%}", "flat", grown < 0.01 or hours < 24
    yield "by the collector's own account", mib(told), "", True


def held_since(before: int) -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


def mib(nbytes: float) -> str:
    return f"{nbytes / MiB:.1f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24, help="of virtual time for the memory figure; 0 leaves it out")
    hours = parser.parse_args().hours
    missed = 0
    for part in (percentile_errors(), speed(), *([memory(hours)] if hours else [])):
        for name, value, held, is_met in part:
            missed += not is_met
            print(f"{name:<55} {value:>12} {held and f'at most {held}':>16}  {'' if is_met else 'MISSED'}", flush=True)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
