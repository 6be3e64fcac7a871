"""A pool's traffic without a pool: readings of many workers and operations, as fast as they are asked for."""

from __future__ import annotations

from array import array

import numpy as np

from millpond.metrics.source import OperationReading, Reading, Samples, WorkerReading


class Clock:
    """Virtual monotonic time; `wall` is the same in Unix time."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1.8e9


class Traffic:
    """A `Source` in which `calls` calls end between two readings, spread over the operations by Zipf's law."""

    def __init__(self, clock: Clock, workers: int, operations: int, calls: int, seed: int = 1) -> None:
        self._clock = clock
        self._random = np.random.default_rng(seed)
        self._names = [f"operation_{n}" for n in range(operations)]
        weights = 1.0 / np.arange(1, operations + 1)
        self._weights = weights / weights.sum()
        self._pace = np.exp(self._random.normal(-5.0, 1.5, operations))  # median seconds of each operation
        self._calls = calls
        self._workers = workers
        self._ended = np.zeros(operations, np.int64)
        self._seconds = 0

    def read(self) -> Reading:
        """What happened in one more second."""
        self._seconds += 1
        counts = self._random.multinomial(self._calls, self._weights)
        self._ended += counts
        ended = int(self._ended.sum())
        return Reading(
            at=self._clock(),
            states={"ready": self._workers // 2, "busy": self._workers - self._workers // 2},
            workers=tuple(map(self._worker, range(self._workers))),
            wanted=self._workers,
            asked_for=self._workers,
            places=self._workers,
            max_workers=self._workers,
            queued=int(self._random.integers(0, 50)),
            submitted=ended,
            endings={"ok": ended},
            busy_s=0.5 * self._workers * self._seconds,
            available_s=1.0 * self._workers * self._seconds,
            operations=tuple(self._operation(int(which), int(counts[which])) for which in np.flatnonzero(counts)),
        )

    def _worker(self, worker: int) -> WorkerReading:
        busy, there = 0.5 * self._seconds, 1.0 * self._seconds
        return WorkerReading(worker, 0, "busy" if worker % 2 else "ready", busy, there, self._seconds * 10)

    def _operation(self, which: int, n: int) -> OperationReading:
        waits = self._random.lognormal(-8.0, 1.5, n)
        services = self._pace[which] * self._random.lognormal(0.0, 1.0, n)
        return OperationReading(
            self._names[which],
            waits=samples(waits),
            services=samples(services),
            latencies=samples(waits + services),
            request_bytes=samples(self._random.lognormal(6.0, 1.0, n)),
            answer_bytes=samples(self._random.lognormal(8.0, 1.5, n)),
            endings={"ok": int(self._ended[which])},
        )


def samples(values: np.ndarray) -> Samples:
    """Numbers as a pool hands them over."""
    return array("d", values.tobytes())
