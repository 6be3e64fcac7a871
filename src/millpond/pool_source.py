"""What the metrics read of a pool once a second: the core's records as one reading, and the samples handed over.

Implements `metrics.source.Source`; knows the core and the metrics, which do not know each other. Changes nothing but
the arrays, which begin anew at each reading.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from millpond.core import ROW_BYTES
from millpond.metrics.source import WORKER_STATES, OperationReading, Reading
from millpond.worker_listing import read_worker

if TYPE_CHECKING:
    from millpond.core import Operation
    from millpond.runtime.driver import Driver


# Takes an operation's name, the rows of its calls (n, 7), how many calls each stands for, and the waits and services of
# the other calls.
Recorder = Callable[[str, Any, "array[float]", "array[float]", "array[float]"], None]


class PoolSource:
    """Reads one pool. `busy_s` and `available_s` are worker-seconds between the last two readings."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.recorder: Recorder | None = None  # of the calls that ended, if anybody asks for them one by one
        self._view = driver.view
        self._last = (0.0, 0.0)
        self.ended = 0  # calls that had ended when this was read last
        self.busy_s = 0.0
        self.available_s = 0.0

    @property
    def utilization(self) -> float:
        """The share of the available worker-seconds that were busy."""
        return self.busy_s / self.available_s if self.available_s else 0.0

    def read(self) -> Reading:
        """Take a reading; on the pool's loop."""
        m, counters, now = self._view, self._view.counters, self._driver.now()
        self.ended = m.submitted - m.unended
        state, reason = m.health()
        workers = tuple(read_worker(worker, now) for worker in m.workers.values())
        states = Counter(worker.state for worker in workers)
        busy_s = counters.busy_s + sum(worker.busy_s for worker in workers)
        available_s = counters.available_s + sum(worker.available_s for worker in workers)
        self.busy_s, self.available_s = busy_s - self._last[0], available_s - self._last[1]
        self._last = busy_s, available_s
        return Reading(
            at=now,
            state=state,
            reason=reason,
            states={state: states[state] for state in WORKER_STATES},
            workers=workers,
            wanted=m.wanted,
            asked_for=len(m.workers),
            places=m.ready_count * m.concurrency,
            min_workers=m.low,
            max_workers=m.high,
            not_warm=sum(bool(worker.cold) for worker in m.workers.values()),
            queued=m.queued,
            queued_bytes=m.queued_bytes,
            max_queued=m.settings.max_queued,
            running=m.unended - m.queued,
            oldest_wait_s=m.oldest_wait(now),
            submitted=m.submitted,
            endings=dict(m.counts),
            codes=dict(m.codes),
            sessions_open=m.sessions_open,
            sessions_asleep=m.sessions_asleep,
            sessions_opened=counters.sessions_opened,
            sessions_closed=counters.sessions_closed,
            sessions_lost=counters.sessions_lost,
            sessions_moved=counters.sessions_moved,
            affinity_hits=counters.affinity_hits,
            affinity_misses=counters.affinity_misses,
            cold_calls=counters.cold_calls,
            starts=m.starts,
            start_failures=counters.start_failures,
            deaths=dict(counters.deaths),
            start_seconds=self._driver.machine.take_start_seconds(),
            retries=m.retries,
            late_answers=m.late_answers,
            interrupts=counters.interrupts,
            breakers_open=tuple(one.name for one in m.all_operations() if one.breaker.state != "closed"),
            busy_s=busy_s,
            available_s=available_s,
            listeners_removed=self._driver.bus.removed_count,
            log_records_dropped=self._driver.forwarding.dropped,
            faults=sum(self._driver.carriers.faults.seen().values()),
            stalls=dict(self._driver.stalls.counts),
            last_stall=self._driver.stalls.last,
            operations=tuple(_read_operation(one, now, self.recorder) for one in m.all_operations() if _has_news(one)),
        )


def _has_news(operation: Operation) -> bool:
    """Whether a call ended since the last reading, also one that left no row: without it the operation's count would
    stay behind the pool's, and that of all other operations, which is the difference, would fall afterwards."""
    samples = operation.samples
    return samples.has_news or samples.left < samples.gap


def _read_operation(operation: Operation, now: float, recorder: Recorder | None) -> OperationReading:
    samples = operation.samples
    taken, after, waits, services, latencies, request_bytes = samples.take(now)
    rows = np.frombuffer(taken).reshape(-1, ROW_BYTES // 8)
    submitted, sent, service, ended, request, answer, calls = rows.T
    stands_for = array("d", calls.tobytes())
    if stands_for:
        stands_for[-1] += after
    else:
        samples.dropped += after
    if recorder is not None:
        recorder(operation.name, rows, stands_for, waits, services)
    return OperationReading(
        operation.name,
        _first(sent - submitted, waits),
        _first(service, services),
        _first(ended - submitted, latencies),
        _first(request, request_bytes),
        _first(answer, array("d")),
        stands_for if len(stands_for) and max(stands_for) > 1 else array("d"),
        samples.dropped,
        dict(samples.endings),
        dict(samples.codes),
    )


def _first(column: Any, others: array[float]) -> array[float]:
    """The numbers in the rows, then those of the other calls."""
    return array("d", column.tobytes() + others.tobytes())
