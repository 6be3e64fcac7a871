"""What the collector reads of a pool: one reading a second, with the samples since the last one.

Plain numbers and arrays, so that the metrics know nothing of the core and the core nothing of them; whoever knows both
implements `Source`. Counters only grow while the pool lives; samples are handed over, not copied.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol, TypeAlias

Samples: TypeAlias = "array[float]"  # array("d"), given away: whoever reads it owns it
Counts = Mapping[str, int]

NO_COUNTS: Counts = MappingProxyType({})
WORKER_STATES = ("starting", "warming", "spare", "ready", "busy", "draining")
ENDINGS = ("ok", "failed", "cancelled", "expired", "rejected", "lost")
# Why a worker is gone, a closed set; what each means is in the core. The first two were the pool's own wish.
UNPLANNED = ("crashed", "start_failed", "unresponsive", "overran", "protocol")
CAUSES = ("retired", "recycled", *UNPLANNED)
STILL = ("loop", "program")  # what may stand still
STALL_SHOWN_S = 300.0  # for which a stall is shown


def no_samples() -> Samples:
    """An empty array of the kind samples come in."""
    return array("d")


def no_counts() -> Counts:
    """Counts of nothing."""
    return NO_COUNTS


@dataclass(frozen=True, slots=True)
class OperationReading:
    """One operation: samples since the last reading, counts since the pool opened.

    `waits` (seconds from submission to the first sending), `services` (seconds in the worker) and `latencies` (seconds
    from submission to the ending), `request_bytes` and `answer_bytes` need not be of one length: a call that was never
    sent has no service. The first samples of each stand for as many calls as in `stands_for`, those beyond it for
    one. `dropped` samples (since the pool opened) found no room.
    """

    name: str
    waits: Samples = field(default_factory=no_samples)
    services: Samples = field(default_factory=no_samples)
    latencies: Samples = field(default_factory=no_samples)
    request_bytes: Samples = field(default_factory=no_samples)
    answer_bytes: Samples = field(default_factory=no_samples)
    stands_for: Samples = field(default_factory=no_samples)
    dropped: int = 0
    endings: Counts = field(default_factory=no_counts)
    codes: Counts = field(default_factory=no_counts)

    @property
    def samples(self) -> tuple[Samples, ...]:
        """All of them, in the order of `snapshot.OPERATION_KINDS`."""
        return self.waits, self.services, self.latencies, self.request_bytes, self.answer_bytes


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One worker that is there. `busy_s` and `available_s` (seconds) are cumulative, `calls` those it answered."""

    id: int
    pid: int
    state: str
    busy_s: float = 0.0
    available_s: float = 0.0
    calls: int = 0
    sessions: int = 0
    in_flight: int = 0

    @property
    def utilization(self) -> float:
        """The share of its life, once it was ready, in which it was busy."""
        return self.busy_s / self.available_s if self.available_s > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is so of a pool now; each has a column in history."""

    wanted: int = 0
    asked_for: int = 0
    places: int = 0  # calls that ready workers run at a time
    min_workers: int = 0
    max_workers: int = 0
    not_warm: int = 0  # workers in service of which a warm-up command failed
    queued: int = 0
    queued_bytes: int = 0
    running: int = 0
    oldest_wait_s: float = 0.0  # of the calls that wait now; 0 if none does
    sessions_open: int = 0
    sessions_asleep: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Gauges):
    """What was counted since the pool opened; each has a column in history too.

    `busy_s` and `available_s` are the sums over all workers there ever were: seconds holding at least one call, and
    seconds since being ready.
    """

    submitted: int = 0
    sessions_opened: int = 0
    sessions_closed: int = 0
    sessions_lost: int = 0
    sessions_moved: int = 0
    affinity_hits: int = 0  # sessions' calls that ran where their session lives
    affinity_misses: int = 0  # those for which it had to be brought somewhere first
    cold_calls: int = 0  # calls that waited for a worker which was being started
    starts: int = 0
    start_failures: int = 0
    retries: int = 0
    late_answers: int = 0
    interrupts: int = 0
    busy_s: float = 0.0
    available_s: float = 0.0
    listeners_removed: int = 0
    faults: int = 0  # what raised that should not have, in the pool itself or in code of the program that it called
    log_records_dropped: int = 0  # of workers: the program's log handlers were too slow for them


@dataclass(frozen=True, slots=True)
class Reading(Counted):
    """A pool at one moment (`at`, monotonic seconds).

    Counts by ending, code and cause are since the pool opened, `start_seconds` and the operations' samples since the
    last reading. `operations` need hold only those that something happened to since then. `workers` are those that are
    there, in no order; `states` counts them by `WORKER_STATES`.
    """

    at: float
    state: str = "ready"
    reason: str = ""
    states: Counts = field(default_factory=no_counts)
    workers: tuple[WorkerReading, ...] = ()
    max_queued: int | None = None
    endings: Counts = field(default_factory=no_counts)  # ending -> calls
    codes: Counts = field(default_factory=no_counts)  # error code -> calls
    deaths: Counts = field(default_factory=no_counts)  # cause (`CAUSES`) -> workers
    start_seconds: Samples = field(default_factory=no_samples)
    breakers_open: tuple[str, ...] = ()
    stalls: Counts = field(default_factory=no_counts)  # what stood still (`STILL`) -> times
    last_stall: tuple[float, float, str] | None = None  # when it ended, its seconds, what stood still
    operations: tuple[OperationReading, ...] = ()

    @property
    def stalled_s(self) -> float:
        """Seconds of the last stall, for five minutes; then 0."""
        ended_at, seconds, _ = self.last_stall or (0.0, 0.0, "")
        return seconds if self.at - ended_at < STALL_SHOWN_S else 0.0

    @property
    def sample_count(self) -> int:
        """How many samples of operations it brings."""
        return sum(len(samples) for one in self.operations for samples in one.samples)

    def without_samples(self) -> Reading:
        """Its gauges and counters, those of its operations too."""
        counts = [
            OperationReading(one.name, dropped=one.dropped, endings=one.endings, codes=one.codes)
            for one in self.operations
        ]
        return replace(self, operations=tuple(counts), start_seconds=no_samples())


class Source(Protocol):
    """A pool, as far as metrics are concerned."""

    def read(self) -> Reading:
        """Take a reading and hand the samples over; called on the pool's loop."""
        ...
