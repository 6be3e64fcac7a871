"""How much memory a day of history takes: `python -m benchmarks.metrics_memory HOURS`, in a process of its own.

Prints a line of JSON: bytes of the process that are its own alone, before, after the hours, and after a tenth of them
more; so what allocators waste is counted too. Time is virtual.
"""

from __future__ import annotations

import gc
import json
import sys
from array import array
from collections.abc import Callable
from dataclasses import replace

import psutil

from benchmarks.metrics_traffic import Clock, Traffic
from millpond.metrics.collector import MetricsCollector
from millpond.metrics.source import OperationReading, Reading

WORKERS, OPERATIONS, CALLS = 8, 20, 200
MADE = 600  # seconds of traffic that are made beforehand, and then repeated
SLICE_S = 600

Between = Callable[[], None]
FIELDS = ("waits", "services", "latencies", "request_bytes", "answer_bytes")


class Repeated:
    """A `Source` whose traffic was made beforehand; counters go on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        traffic = Traffic(clock, WORKERS, OPERATIONS, CALLS)
        self._readings = [traffic.read() for _ in range(MADE)]
        self._second = 0

    def read(self) -> Reading:
        """One more second, with arrays of its own."""
        rounds, at = divmod(self._second, MADE)
        self._second += 1
        found, ended = self._readings[at], CALLS * self._second
        past = CALLS * MADE * rounds
        operations = tuple(renewed(one, past // OPERATIONS) for one in found.operations)
        return replace(found, at=self._clock(), submitted=ended, endings={"ok": ended}, operations=operations)


def renewed(one: OperationReading, past: int) -> OperationReading:
    """A reading with copies of its samples, which it gives away, and counters that went on."""
    copies = {field: array("d", getattr(one, field)) for field in FIELDS}
    return replace(one, endings={"ok": one.endings["ok"] + past}, **copies)


def own_bytes() -> int:
    """Memory that this process has for itself."""
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)


def run_for(collector: MetricsCollector, clock: Clock, seconds: int) -> None:
    """Let virtual seconds pass, a fold in each."""
    for _ in range(seconds):
        clock.now += 1.0
        collector.fold()


def measure(hours: float, between: Between = lambda: None) -> dict[str, float]:
    """Run for some hours and a tenth of them more; `between` is called every ten minutes."""
    clock = Clock()
    collector = MetricsCollector(Repeated(clock), clock=clock, wall_clock=clock.wall, cpu_clock=lambda: 0.0)
    collector.open()
    run_for(collector, clock, 10)
    collector.snapshot()
    found: dict[str, float] = {"before": own_bytes()}
    for name, share in (("after", 1.0), ("later", 0.1)):
        for _ in range(int(hours * 3600 * share / SLICE_S)):
            run_for(collector, clock, SLICE_S)
            between()
        found[name] = own_bytes()
    minutes = collector.history(hours * 3600, 60)
    found["minutes"], found["operations"] = len(minutes), len(minutes[-1].operations)
    found["told"] = collector.snapshot().watch.memory_bytes
    return found


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]))))
