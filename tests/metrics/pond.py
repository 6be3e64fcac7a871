"""A pool as metrics see it, without a pool: calls are told to it, and it is read."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from millpond.metrics.collector import MetricsCollector
from millpond.metrics.source import OperationReading, Reading, WorkerReading


@dataclass
class Time:
    """Monotonic and wall time, moved by hand."""

    now: float = 1000.0
    offset: float = 1.7e9

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset


@dataclass
class Samples:
    """What one operation has for the next reading."""

    waits: array = field(default_factory=lambda: array("d"))
    services: array = field(default_factory=lambda: array("d"))
    latencies: array = field(default_factory=lambda: array("d"))
    request_bytes: array = field(default_factory=lambda: array("d"))
    answer_bytes: array = field(default_factory=lambda: array("d"))


class Pond:
    """A `Source` whose gauges and counters are set by hand (`facts`) and whose calls are told by `call`."""

    def __init__(self, clock: Time, **facts) -> None:
        self.clock = clock
        self.facts = {"states": {"ready": 2}, "wanted": 2, "places": 2, "min_workers": 1, "max_workers": 2} | facts
        self.endings: Counter = Counter()
        self.codes: Counter = Counter()
        self.by_operation: dict[str, tuple[Counter, Counter]] = {}
        self.samples: dict[str, Samples] = {}
        self.dropped: Counter = Counter()
        self.start_seconds = array("d")
        self.workers: tuple[WorkerReading, ...] = ()

    def call(self, operation="read", ending="ok", code=None, *, wait=0.001, service=0.01, n=1, sizes=(100, 1000)):
        """`n` calls of one kind ended."""
        endings, codes = self.by_operation.setdefault(operation, (Counter(), Counter()))
        for counter, key in ((self.endings, ending), (endings, ending), (self.codes, code), (codes, code)):
            if key:
                counter[key] += n
        there = self.samples.setdefault(operation, Samples())
        there.waits.extend([wait] * n)
        there.services.extend([service] * n)
        there.latencies.extend([wait + service] * n)
        there.request_bytes.extend([sizes[0]] * n)
        there.answer_bytes.extend([sizes[1]] * n)

    def read(self) -> Reading:
        samples, self.samples = self.samples, {}
        starts, self.start_seconds = self.start_seconds, array("d")
        return Reading(
            at=self.clock(),
            submitted=self.endings.total() + self.facts.get("queued", 0) + self.facts.get("running", 0),
            endings=dict(self.endings),
            codes=dict(self.codes),
            workers=self.workers,
            start_seconds=starts,
            operations=tuple(self._operation(name, one) for name, one in samples.items()),
            **self.facts,
        )

    def _operation(self, name: str, samples: Samples) -> OperationReading:
        endings, codes = self.by_operation[name]
        return OperationReading(
            name, **vars(samples), dropped=self.dropped[name], endings=dict(endings), codes=dict(codes)
        )


class Watched:
    """A pond with its collector, opened, under one clock."""

    def __init__(self, *, pond=None, start=1000.0, boot="boot-1", **options) -> None:
        self.time = Time(start)
        self.pond = pond or Pond(self.time)
        self.pond.clock = self.time
        self.spent = 0.0  # seconds of the processor that a look at its clock costs
        self._cpu = 0.0
        self.collector = MetricsCollector(
            self.pond, clock=self.time, wall_clock=self.time.wall, cpu_clock=self._cpu_clock, boot=boot, **options
        )
        self.collector.open()

    def _cpu_clock(self) -> float:
        self._cpu += self.spent
        return self._cpu

    def seconds(self, n=1, each=None):
        """Let `n` seconds pass; `each(pond, second)` happens in every one, before its fold."""
        for second in range(n):
            self.time.now += 1.0
            if each is not None:
                each(self.pond, second)
            self.collector.fold()
        return self.collector.snapshot()
