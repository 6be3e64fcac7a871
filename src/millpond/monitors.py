"""A pool's metrics, alerts and optimizer: made when they are first needed, run once a second while the pool is open.

The pool's clock wakes them, so that a test which moves the time moves them too. What they need is imported while the
first workers start: that takes a fifth of a second, for which no caller should wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from millpond.events import PoolUtilization
from millpond.facts import NO_PERCENTILES
from millpond.logger.pool_logger import PoolLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from millpond.alerts.alerts import Alerts
    from millpond.facts import Percentiles
    from millpond.metrics.collector import MetricsCollector
    from millpond.metrics.resources import ProcessWatch
    from millpond.metrics.snapshot import ProcessFigures
    from millpond.optimizer.policies.policy import Policy
    from millpond.optimizer.pool_optimizer import PoolOptimizer
    from millpond.pool_source import PoolSource
    from millpond.runtime.driver import Driver
    from millpond.seams import Clock, Timer
    from millpond.settings import Settings

log = PoolLogger("millpond")

INTERVAL_S = 1.0  # between two folds
IN_STATISTICS = ("wait", "service", "latency")  # whose percentiles are in the statistics
# In small steps, so that the loop turns in between. Not in a thread: pytest compiles what it imports of a plugin's
# package, and Python 3.11 cannot do that in two threads at once.
_PARTS = ("numpy", "psutil", "millpond.pool_source", "millpond.metrics.collector", "millpond.alerts.alerts")
_OPTIMIZER_PARTS = ("millpond.optimizer.pool_optimizer", "millpond.sized_pool")


class Monitors:
    """Those of one pool. They may be asked for before it opens, to add rules and the like."""

    def __init__(self, driver: Driver, clock: Clock, name: str, run_id: str) -> None:
        self._driver = driver
        self._clock = clock
        self._name = name
        self._run_id = run_id
        settings = driver.view.settings
        self._has_metrics = settings.metrics
        self._has_alerts = settings.metrics and settings.alerts
        self._has_optimizer = settings.metrics and settings.optimizer
        self._history_path = settings.history_path
        self._pool_source: PoolSource | None = None
        self._metrics: MetricsCollector | None = None
        self._alerts: Alerts | None = None
        self._watch: ProcessWatch | None = None
        self._optimizer: PoolOptimizer | None = None
        self._making = threading.RLock()  # whoever asks first, on whatever thread, makes them
        self._timer: Timer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: threading.Thread | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def metrics(self) -> MetricsCollector:
        """The pool's collector; from any thread. Raises `RuntimeError` if it is to have none."""
        if not self._has_metrics:
            raise RuntimeError("this pool keeps no metrics: it was made with metrics=False")
        with self._making:
            if self._metrics is None:
                self._metrics = self._make_metrics()
        return self._metrics

    @property
    def alerts(self) -> Alerts:
        """The pool's alerts, whose methods are the loop's to call. Raises `RuntimeError` if it is to have none."""
        if not self._has_alerts:
            raise RuntimeError("this pool has no alerts: it was made with alerts=False or metrics=False")
        with self._making:
            if self._alerts is None:
                self._alerts = self._make_alerts()
        return self._alerts

    @property
    def optimizer(self) -> PoolOptimizer:
        """The pool's optimizer, whose methods are the loop's to call. Raises `RuntimeError` if it is to have none."""
        if not self._has_optimizer:
            raise RuntimeError("this pool has no optimizer: it was made with optimizer=False or metrics=False")
        with self._making:
            if self._optimizer is None:
                self._optimizer = self._make_optimizer()
        return self._optimizer

    def percentiles(self) -> Percentiles:
        """How long calls waited, ran and took, in each window, as of the last fold; none before the pool opened."""
        if self._metrics is None or self._loop is None:
            return NO_PERCENTILES
        windows = self._metrics.snapshot().windows
        return MappingProxyType(
            {
                seconds: MappingProxyType({kind: window.distributions[kind] for kind in IN_STATISTICS})
                for seconds, window in windows.items()
            }
        )

    def processes(self) -> Mapping[int, ProcessFigures]:
        """Worker -> its process, as of the last look at it; nobody looks without metrics."""
        return self._watch.seen.processes if self._watch is not None else {}

    def load(self, loop: asyncio.AbstractEventLoop) -> None:
        """Import what will be needed, beside whatever the loop does meanwhile."""
        if self._has_metrics:
            loop.call_soon(_load_next, loop, iter(_PARTS + _OPTIMIZER_PARTS * self._has_optimizer))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to count; the pool serves from here on."""
        if self._has_metrics and self._timer is None:
            try:
                self._start(loop)
            except Exception as error:
                log.raised(error, "the metrics could not be started, and the pool goes on without them")

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._driver.sample(True)
        self.metrics.open()
        if self._has_alerts:
            self.metrics.on_fold(self._evaluate)
            self.alerts.evaluate()
        if self._has_optimizer:
            self.optimizer.start()
            if why := unrehearsed(self._driver.view.settings):
                self.optimizer.pause(why)
        self._wait(loop, self._clock.now())

    def stop(self) -> None:
        """Count what happened since the last time, and no more; what is still to be written is so in a thread."""
        if self._timer is None or self._loop is None:
            return
        self._timer.cancel()
        self._timer = None
        self._fold()
        if self._alerts is not None:
            self._safely("the end of the alerts", self._alerts.end)
        if self._optimizer is not None:
            self._safely("the end of the optimizer", self._optimizer.end)
        self._driver.sample(False)
        self._closed = self._loop.create_future()
        self._closing = threading.Thread(target=self._close, args=(self._loop, self._closed), name="millpond-monitors")
        self._closing.start()

    async def closed(self) -> None:
        """Wait until everything is written and sent, a few seconds at most."""
        if self._closing is not None and self._closed is not None:
            await asyncio.shield(self._closed)
            self._closing.join()

    def _wait(self, loop: asyncio.AbstractEventLoop, since: float) -> None:
        now, at = self._clock.now(), since + INTERVAL_S
        if at <= now:  # one that comes late makes up for no other
            at = now + INTERVAL_S
        self._timer = self._clock.call_at(loop, at, lambda: self._tick(loop, at))

    def _tick(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._wait(loop, at)
        self._fold()
        bus, source = self._driver.bus, self._pool_source
        if source is not None and bus.has_listener(PoolUtilization.name):
            bus.execute(PoolUtilization(source.utilization, source.busy_s, source.available_s))
        if self._optimizer is not None:
            self._safely("the optimizer", self._optimizer.tick)

    def _fold(self) -> None:
        self._safely("the fold of the metrics", self.metrics.fold)

    def _safely(self, what: str, job: Callable[[], object]) -> None:
        """The pool serves, and closes, whatever its metrics come to."""
        try:
            job()
        except Exception as error:
            self._driver.carriers.faults.note(what, error)

    def _evaluate(self, _metrics: MetricsCollector) -> None:
        self.alerts.evaluate()

    def _close(self, loop: asyncio.AbstractEventLoop, closed: asyncio.Future[None]) -> None:
        try:
            if self._metrics is not None:
                self._metrics.close()
            if self._alerts is not None:
                self._alerts.close()
            if self._optimizer is not None:
                self._optimizer.close()
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_settle, closed)

    def _make_metrics(self) -> MetricsCollector:
        from millpond.metrics.collector import MetricsCollector
        from millpond.metrics.resources import ProcessWatch
        from millpond.pool_source import PoolSource

        self._pool_source = PoolSource(self._driver)
        self._watch = ProcessWatch()
        return MetricsCollector(
            self._pool_source,
            clock=self._clock.now,
            pool=self._name,
            boot=self._run_id,
            resources=self._watch,
            history_path=self._history_path,
            interval_s=INTERVAL_S,
        )

    def _make_alerts(self) -> Alerts:
        from millpond.alerts.alerts import Alerts
        from millpond.metrics.catalogue import families

        metrics, bus = self.metrics, self._driver.bus
        made = Alerts(lambda: families(metrics.snapshot()), self._clock.now, time.time, bus, pool=self._name)
        self.metrics.alerting = made.figures
        return made

    def _make_optimizer(self) -> PoolOptimizer:
        from millpond.optimizer.configuration import Configuration
        from millpond.optimizer.journal import Journal
        from millpond.optimizer.journal_store import JournalStore
        from millpond.optimizer.pool_optimizer import PoolOptimizer
        from millpond.sized_pool import SizedPool

        settings, path = self._driver.view.settings, self._history_path
        _ = self.metrics  # what they read, and look at, is made with them
        assert self._pool_source is not None
        assert self._watch is not None
        sized = SizedPool(self._driver, self._pool_source, self._fold, self._watch)
        configuration = Configuration(
            slo=settings.slo,
            mode=settings.mode,
            policy=cast("str | type[Policy]", settings.policy),
            low=settings.min_workers,
            high=settings.max_workers,
            longest_idle_s=settings.idle_timeout,
        )
        journal = Journal(JournalStore(path, self._name, self._run_id) if path is not None else None)
        return PoolOptimizer(sized, configuration, journal, self._clock.now, time.time, self._driver.bus)


def unrehearsed(settings: Settings) -> str:
    """Why a pool is of no kind that can be rehearsed; empty if it is, or is sized in another way."""
    if settings.policy != "rehearsal":
        return ""
    if settings.concurrency > 1:
        return "workers that run several calls at a time are not rehearsed"
    return "private processes are not rehearsed" if settings.isolation == "process" else ""


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _load_next(loop: asyncio.AbstractEventLoop, parts: Iterator[str]) -> None:
    part = next(parts, None)
    if part is not None:
        import_module(part)
        loop.call_soon(_load_next, loop, parts)
