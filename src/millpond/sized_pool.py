"""A pool as its optimizer sees it: observations made of what the metrics read once a second, and the rule it goes by.

Implements `optimizer.pool_optimizer.Sized`; knows the core and the optimizer. Nothing is added on the way of a call:
the rows of those that ended are kept when the metrics have read them, those at work are looked at at an observation.
"""

from __future__ import annotations

import itertools
import sys
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from millpond.cores import cores
from millpond.free_memory import free_bytes
from millpond.optimizer.observation import Observation, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core import Call, SizingRule
    from millpond.metrics.resources import ProcessWatch
    from millpond.pool_source import PoolSource
    from millpond.runtime.driver import Driver

SUBMITTED, SENT, SERVICE, ENDED = range(4)  # columns of a row
HAS_PSS = sys.platform == "linux"
LOOKED_AT = 2_000  # calls at work or waiting; the others are taken to be like them
MOST_CALLS = 200_000  # between two observations; beyond, the oldest are left out
LEAST_BUSY = 0.5  # calls at work from which their share of the workers' processor time is known

Floats = NDArray[np.float64]


class SizedPool:
    """One pool, of which `source` reads the calls that ended whenever `fold` is called.

    `watch` looks at its processes.
    """

    def __init__(self, driver: Driver, source: PoolSource, fold: Callable[[], object], watch: ProcessWatch) -> None:
        self._driver, self._source, self._fold = driver, source, fold
        source.recorder = self.record
        self._view = driver.view
        self._watch = watch
        self._since = driver.now()
        self._rows: list[Floats] = []  # (n, 4) each: submitted, sent, service, ended
        self._waits: dict[str, list[Floats]] = {}
        self._calls = 0
        self._codes = dict(driver.view.codes)
        self._service_s = 0.0

    @property
    def rule(self) -> SizingRule:
        """The rule in force."""
        return self._view.rule

    @property
    def is_sizable(self) -> bool:
        """Whether there is anything to choose: bounds that are one number leave nothing."""
        return self._view.low < self._view.high

    def waited(self) -> tuple[float, float]:
        """Seconds that the oldest waiting call has waited, and that a call takes."""
        return self._view.oldest_wait(self._driver.now()), self._service_s

    def size_by(self, rule: SizingRule, reason: str) -> None:
        """Go by another rule."""
        self._driver.size_by(rule, reason)

    def record(
        self, operation: str, rows: Any, stands_for: array[float], waits: array[float], services: array[float]
    ) -> None:
        """Keep the calls of one operation that the metrics have read; a `pool_source.Recorder`."""
        now = self._driver.now()
        order = np.argsort(rows[:, SUBMITTED])  # a second's, so that all of an observation are in order at once
        usual = spread(rows[order, :4], np.asarray(stands_for)[order])
        # Of those that went another way it is known how long they took, but not when: lately.
        took = np.frombuffer(services) if services else np.empty(0)
        others = np.stack([now - took, now - took, took, np.full(len(took), now)], axis=1)
        self._rows += [usual, others]
        self._calls += len(usual) + len(others)
        waited = self._waits.setdefault(operation, [])
        waited += [usual[:, SENT] - usual[:, SUBMITTED], np.array(waits)]
        while self._calls > MOST_CALLS and len(self._rows) > 1:
            self._calls -= len(self._rows.pop(0))

    def glance(self) -> Observation:
        """What there is to see now, without what came since the last observation."""
        return self._observation(np.empty((0, 4)), {}, {}, [])

    def observe(self) -> Observation:
        """What there is to see, and what came since this was asked last."""
        # Whoever ended since the last reading is in no row yet and at work no more, and would never be counted.
        if self._view.submitted - self._view.unended > self._source.ended:
            self._fold()
        rows = np.concatenate([np.empty((0, 4)), *self._rows])
        waits = {name: np.concatenate(parts) for name, parts in self._waits.items()}
        codes = dict(self._view.codes)
        errors = {code: new for code, count in codes.items() if (new := count - self._codes.get(code, 0))}
        if len(rows):
            self._service_s = float(rows[:, SERVICE].mean())
        seen = self._observation(rows, waits, errors, self._at_work())
        self._rows, self._waits, self._calls, self._codes = [], {}, 0, codes
        self._since = seen.now
        return seen

    def _at_work(self) -> list[Call]:
        """The calls that run or wait, or the first of them."""
        view = self._view
        running = (call for worker in view.workers.values() for call in worker.inflight.values())
        behind = (call for worker in view.workers.values() for call in worker.queue)
        return list(itertools.islice(itertools.chain(running, behind, view.waiting()), LOOKED_AT))

    def _observation(
        self, rows: Floats, waits: dict[str, Floats], errors: dict[str, int], at_work: list[Call]
    ) -> Observation:
        view, now, settings = self._view, self._driver.now(), self._view.settings
        workers = list(view.workers.values())
        busy = sum(bool(worker.inflight) for worker in workers)
        submitted = np.array([call.submitted_at for call in at_work])
        arrivals, in_system_s = self._came(rows, submitted, now)
        ages = [now - worker.ready_at for worker in workers if worker.ready_at]
        each = view.concurrency  # calls a worker runs at a time: what is shown is in workers' worth
        return Observation(
            now=now,
            busy=busy,
            waiting=-(-view.queued // each),
            in_system_s=in_system_s / each,
            arrivals=arrivals,
            ended=_ended(rows),
            service_s=self._service_s,
            waits=waits,
            oldest_wait_s=view.oldest_wait(now),
            stalled_s=self._stalled_s(),
            start_error=view.failure.strip().rpartition("\n")[2] if view.fails else "",
            errors=errors,
            cores=len(settings.cpu_affinity) if settings.cpu_affinity else cores(),
            worker_age_s=sum(ages) / len(ages) if ages else 0.0,
            **facts_of(view),
            **self._used(in_system_s / each / max(now - self._since, 1e-3), view.ready_count),
        )

    def _came(self, rows: Floats, at_work: Floats, now: float) -> tuple[Floats, float]:
        """When calls came since the last observation, and how long all were there since then, added up.

        Whatever was there in that time has ended in it, or is there now; so the sum is exact, unless too many are there
        to look at each.
        """
        since = self._since
        all_submitted = np.concatenate([rows[:, SUBMITTED], at_work])
        arrivals = np.sort(all_submitted[(all_submitted > since) & (all_submitted <= now)], kind="stable")
        ended_s = float((rows[:, ENDED] - np.maximum(rows[:, SUBMITTED], since)).clip(0.0).sum())
        there_s = float((now - np.maximum(at_work, since)).clip(0.0).sum())
        if len(at_work):
            there_s *= max(1.0, self._view.unended / len(at_work))
        return arrivals, ended_s + there_s

    def _stalled_s(self) -> float:
        """Seconds of a stall that ended since the last observation."""
        last = self._driver.stalls.last
        return last[1] if last is not None and last[0] > self._since else 0.0

    def _used(self, at_work: float, ready: int) -> dict[str, Any]:
        """What the workers use of memory and cores, as far as the metrics have seen it."""
        seen = self._watch.seen
        if not seen.processes:
            return {}
        # What a forked worker shares with the others is not its own; a figure that is not known yet is -1.
        own = [one.pss if HAS_PSS else one.rss for one in seen.processes.values()]
        busy = min(at_work, ready)
        used = max(0.0, seen.resources.workers_cpu) / busy if busy >= LEAST_BUSY else 0.0
        return {"worker_bytes": max(0, *own), "free_bytes": free_bytes(), "worker_cores": used}


def _ended(rows: Floats) -> Floats:
    """(n, 3): arrival, service and wait, ascending."""
    order = np.argsort(rows[:, SUBMITTED], kind="stable")
    came = rows[:, SUBMITTED][order]
    return np.stack([came, rows[:, SERVICE][order], rows[:, SENT][order] - came], axis=1)


def spread(rows: Floats, stands_for: Floats) -> Floats:
    """Each row as often as it stands for calls, which came since the row before: evenly, as far as is known."""
    counts = np.maximum(stands_for.astype(int), 1)
    if not len(rows) or counts.max() == 1:
        return rows
    which = np.repeat(np.arange(len(rows)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    gaps = np.diff(rows[:, SUBMITTED], prepend=rows[0, SUBMITTED]).clip(0.0)
    earlier = gaps[which] * (counts[which] - 1 - place) / counts[which]
    found: Floats = rows[which].copy()
    found[:, (SUBMITTED, SENT, ENDED)] -= earlier[:, None]
    return found
