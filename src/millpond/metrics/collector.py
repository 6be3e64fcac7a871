"""Adds a pool up, once a second: takes a reading, adds it to those before, and answers for all of them.

`fold` is called on the pool's loop; a large one goes to a thread of its own. Snapshots are frozen, and any thread
may ask for them. Measures its own cost and leaves detail out before the pool would notice; raises into nobody's call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from millpond.logger.delivery import DELIVERY
from millpond.logger.pool_logger import PoolLogger
from millpond.metrics import history
from millpond.metrics.aggregation import Aggregation, Moment, sort_samples
from millpond.metrics.background import Background
from millpond.metrics.columns import family
from millpond.metrics.derived import BLAME, counted
from millpond.metrics.history import Slot
from millpond.metrics.operations import NAMED
from millpond.metrics.recent import Recent
from millpond.metrics.resources import ProcessWatch, Seen
from millpond.metrics.snapshot import Alerting, ErrorCount, OperationFigures, Snapshot, Watch, WorkerFigures
from millpond.metrics.store import Boot, HistoryStore
from millpond.metrics.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

    from millpond.metrics.source import Reading, Source

log = PoolLogger("millpond.metrics")

LARGE = 200_000  # samples above which a fold leaves the loop: about 3 ms of it
BEHIND = 5  # folds the thread may be behind before samples are let go
MEASURE_EVERY = 30  # folds between two looks at the own memory
CLOSE_S = 2.0  # for each thread to end in, at most

FULL, COUNTERS_ONLY = "full", "counters only"  # what is kept
TOO_MUCH, CHEAP = 0.05, 0.01  # of a core
WEIGHT = 0.2  # of the newest fold in the moving average
CHEAP_FOLDS = 300  # in a row, before histograms come back
MOST_BYTES = 48 * 1024 * 1024

Clock = Callable[[], float]
Listener = Callable[["MetricsCollector"], None]


class Budget:
    """Whether histograms are still made: they are left out before they cost the pool too much.

    Counters and gauges are always kept. Histograms come back once folds have been cheap for five minutes.
    """

    def __init__(self) -> None:
        self.detail = FULL
        self._share = 0.0  # of a core, moving average
        self._cheap_folds = 0  # in a row

    def note(self, fold_s: float, elapsed_s: float, memory_bytes: int) -> None:
        """A fold took `fold_s` seconds of the processor, `elapsed_s` after the one before."""
        # One that comes a moment after another, when somebody wants the newest figures, weighs as little as its time.
        weight = WEIGHT * min(1.0, elapsed_s)
        self._share += (fold_s / elapsed_s - self._share) * weight if weight > 0 else fold_s * WEIGHT
        is_too_large = memory_bytes > MOST_BYTES
        self._cheap_folds = self._cheap_folds + 1 if self._share < CHEAP and not is_too_large else 0
        if self._share > TOO_MUCH or is_too_large:
            self.detail = COUNTERS_ONLY
        elif self._cheap_folds >= CHEAP_FOLDS:
            self.detail = FULL


class MetricsCollector:
    """The metrics of one pool.

    `clock` gives monotonic seconds, `wall_clock` Unix time, `cpu_clock` the processor's time of the calling thread.
    `boot` names this run of the pool. `resources` looks at processes (none: nobody does), `history_path` is the SQLite
    file that outlives the pool (none: only memory does not). Nothing is read before `open`.
    """

    def __init__(
        self,
        source: Source,
        *,
        clock: Clock,
        pool: str = "default",
        boot: str = "",
        wall_clock: Clock = time.time,
        cpu_clock: Clock = time.thread_time,
        resources: ProcessWatch | None = None,
        history_path: str | Path | None = None,
        interval_s: float = 1.0,
    ) -> None:
        self._source, self._resources = source, resources
        self._clock, self._wall_clock, self._cpu_clock = clock, wall_clock, cpu_clock
        self.pool = pool
        self.interval_s = interval_s
        self.alerting: Callable[[], Alerting | None] = lambda: None  # the figures of the alerting; called on any thread
        self._history_path = history_path
        self._store: HistoryStore | None = None
        self._lock = threading.Lock()  # around the aggregation; held for about a millisecond
        self._aggregation = Aggregation(boot, clock())
        self._watch = Watch()
        self._budget = Budget()
        self._folder, self._looker = Background("millpond-metrics"), Background("millpond-resources")
        self._listeners: list[Listener] = []
        self._lost_before = DELIVERY.lost  # log records, of the whole program
        self._raised = 0  # how often one of them did
        self._folded_at = clock()
        self._let_go = 0  # samples
        self._cached: Snapshot | None = None

    def open(self) -> None:
        """Begin: time runs from here, and the file is opened, on its own thread."""
        now, wall = self._clock(), self._wall_clock()
        self._aggregation = Aggregation(self._aggregation.boot or f"{wall:.6f}", now, wall)
        self._folded_at = now
        if self._history_path is not None:
            boot = Boot(self._aggregation.boot, self.pool, self._wall_clock())
            self._store = HistoryStore(self._history_path, boot, self._wall_clock)

    def close(self) -> None:
        """End the threads, each within a few seconds; figures can be read on.

        Waits, so not on a busy loop. The last calls are counted if `fold` is called before.
        """
        self._folder.close(CLOSE_S)
        self._looker.close(CLOSE_S)
        if self._store is not None:
            self._store.close()

    def on_fold(self, listener: Listener) -> None:
        """Call back after each fold, on the loop's thread. The first time that one raises is logged, all are counted in
        health's notes; it is called again after the next.
        """
        self._listeners.append(listener)

    # Folding, on the pool's loop

    def fold(self) -> None:
        """Take in what happened since the last time; meant to be called every `interval_s` seconds."""
        now, begun = self._clock(), self._cpu_clock()
        reading = self._source.read()
        moment = Moment(now, self._wall_clock(), self._seen.resources, self._noted(reading))
        lag_s = max(0.0, now - self._folded_at - self.interval_s)
        elapsed_s, self._folded_at = now - self._folded_at, now
        if self._folder.waiting > BEHIND:
            reading = self._let_go_of(reading)
        job = partial(self._absorb, reading, moment, self._cpu_clock() - begun, elapsed_s, lag_s)
        if self._folder.waiting or reading.sample_count > LARGE:
            self._folder.put(job)
        else:
            job()
        self._look(now, reading)
        self._notify()

    def settle(self, timeout: float = CLOSE_S) -> bool:
        """Wait for what is being folded on the thread and written to the file; whether it was in time."""
        return self._folder.settle(timeout) and (self._store is None or self._store.settle(timeout))

    @property
    def _seen(self) -> Seen:
        return self._resources.seen if self._resources is not None else Seen()

    def _absorb(self, reading: Reading, moment: Moment, spent_s: float, elapsed_s: float, lag_s: float) -> None:
        """Fold one reading; on the loop or on the folding thread, never on both at once."""
        begun = self._cpu_clock()
        if self._budget.detail == COUNTERS_ONLY:
            reading = self._let_go_of(reading)
        samples = sort_samples(reading)
        with self._lock:
            ended = self._aggregation.fold(reading, samples, moment)
            memory = self._aggregation.nbytes if not self._watch.folds % MEASURE_EVERY else self._watch.memory_bytes
            fold_s = spent_s + self._cpu_clock() - begun
            self._budget.note(fold_s, elapsed_s, memory)
            self._watch = self._watched(fold_s, lag_s, memory)
            self._cached = None
        if self._store is not None:
            for step, slot in ended:
                self._store.put(step, slot)

    def _let_go_of(self, reading: Reading) -> Reading:
        """A reading of which the counts are kept; its samples count as dropped."""
        self._let_go += reading.sample_count
        return reading.without_samples()

    def _watched(self, fold_s: float, lag_s: float, memory: int) -> Watch:
        before, store = self._watch, self._store
        return Watch(
            folds=before.folds + 1,
            fold_total_s=before.fold_total_s + fold_s,
            lag_s=lag_s,
            dropped=self._aggregation.dropped + self._let_go,
            memory_bytes=memory,
            detail=self._budget.detail,
            stored_bytes=store.stored_bytes if store is not None else 0,
            history_error=store.error if store is not None else "",
        )

    def _noted(self, reading: Reading) -> tuple[str, ...]:
        """Notes of health beside the score: on warm-ups, and on the monitors themselves."""
        watch, removed, lost = self._watch, reading.listeners_removed, DELIVERY.lost - self._lost_before
        notes = {
            _stall_note(reading): reading.stalled_s > 0.0,
            f"{reading.not_warm} workers are not fully warm, see `statistics().not_warm`": reading.not_warm > 0,
            f"{removed} listeners raised and were removed": removed > 0,
            f"what is called after each fold, alerts among it, raised {self._raised} times": self._raised > 0,
            f"{lost} log records were lost: the program's log handlers are too slow, or something raised": lost > 0,
            f"{reading.faults} times something raised that should not, see `statistics().faults`": reading.faults > 0,
            f"metrics keep less than they could: {watch.detail}": watch.detail != FULL,
            f"history is not stored: {watch.history_error}": bool(watch.history_error),
        }
        return tuple(note for note, holds in notes.items() if holds)

    def _look(self, now: float, reading: Reading) -> None:
        if self._resources is not None and not self._looker.waiting:
            pids = {worker.id: worker.pid for worker in reading.workers if worker.pid > 0}
            self._looker.put(partial(self._resources.look, now, pids))

    def _notify(self) -> None:
        for listener in list(self._listeners):
            try:
                listener(self)
            except BaseException as error:
                if issubclass(type(error), KeyboardInterrupt | SystemExit):
                    raise
                if not self._raised:
                    log.raised(error, "a listener raised after a fold; it is called again after the next")
                self._raised += 1

    # Answers, on any thread

    def snapshot(self) -> Snapshot:
        """The pool as of the last fold, frozen; made once a fold, when first asked for."""
        with self._lock:
            if self._cached is None:
                self._cached = self._aggregation.snapshot(self.pool, self._seen, self._watch, self.alerting())
            return self._cached

    def summary(self) -> str:
        """The last minute in one line."""
        return summary(self.snapshot())

    def operation(self, name: str) -> OperationFigures:
        """One operation's figures. Raises `LookupError` for one that is not among the first 64 that were called."""
        with self._lock:
            found = self._aggregation.operations.get(name)
            if found is None:
                raise LookupError(f"no figures of an operation {name!r}; the first {NAMED} that are called have some")
            return found.figures()

    def worker(self, worker: int) -> WorkerFigures:
        """One worker's figures, by its id. Raises `LookupError` if it is not there."""
        for found in self.snapshot().workers:
            if found.id == worker:
                return found
        raise LookupError(f"no worker {worker} is there")

    def history(self, seconds: float, resolution: int | None = None) -> tuple[Slot, ...]:
        """The slots of the last `seconds`, the oldest first.

        `resolution` is 1, 10 or 60 seconds; the default is the finest that is kept for so long. What memory has no
        more, or is of earlier runs of the pool, comes from the file: then it is read here, so not on a busy loop.
        Raises `ValueError` for another resolution.
        """
        chosen = history.resolution_for(seconds) if resolution is None else resolution
        if chosen not in history.RESOLUTIONS:
            raise ValueError(f"no history in steps of {resolution} s: {history.RESOLUTIONS} are kept")
        with self._lock:
            at, wall = self._aggregation.at, self._aggregation.wall
            recent = self._aggregation.history.read(at - seconds, chosen)
        if self._store is None or (recent and recent[0].at - recent[0].seconds <= at - seconds):
            return tuple(recent)
        until = recent[0].wall - 0.5 * chosen if recent else wall
        return (*self._store.read(chosen, wall - seconds, until), *recent)

    def newest(self) -> Slot | None:
        """The step of history that ended last, from memory; `None` before the first."""
        with self._lock:
            return self._aggregation.history.newest

    def errors(self, seconds: float) -> tuple[ErrorCount, ...]:
        """The errors of the last `seconds` (24 hours at most), the most frequent first."""
        span = counted(self._in_memory(seconds))
        counts = sorted(family(span.counters, "codes").items(), key=lambda one: -one[1])
        return tuple(ErrorCount(code, BLAME.get(code, "ours"), n, n / max(span.ended, 1)) for code, n in counts)

    def recent(self, seconds: float = 60.0) -> Recent:
        """The last `seconds` (24 hours at most) as plain arrays of numbers: cheap, as no histogram is touched.

        The finest steps that reach back so far, the oldest first: of a second for up to ten minutes.
        """
        return Recent.of(self._in_memory(seconds))

    def _in_memory(self, seconds: float) -> list[Slot]:
        with self._lock:
            return self._aggregation.history.read(self._aggregation.at - seconds, history.resolution_for(seconds))


def _stall_note(reading: Reading) -> str:
    at, seconds, what = reading.last_stall or (0.0, 0.0, "")
    who = "the program's event loop" if what == "loop" else "the whole program"
    return f"{who} stood still for {seconds:.1f} s, {reading.at - at:.0f} s ago"
