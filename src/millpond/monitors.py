"""A pool's metrics and alerts: made when they are first needed, run once a second while the pool is open.

The pool's clock wakes them, so that a test which moves the time moves them too. What they need is imported in a thread
while the first workers start: numpy and the like take a fifth of a second, for which no caller should wait.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING

from millpond.events import PoolUtilization

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.alerts.alerts import Alerts
    from millpond.meter import Meter
    from millpond.metrics.collector import MetricsCollector
    from millpond.runtime.driver import Driver
    from millpond.seams import Clock, Timer

INTERVAL_S = 1.0  # between two folds
_PARTS = ("millpond.meter", "millpond.metrics.collector", "millpond.metrics.exported", "millpond.alerts.alerts")


class Monitors:
    """Those of one pool. `metrics` and `alerts` may be asked for before it opens, to add rules and the like."""

    def __init__(self, driver: Driver, clock: Clock, name: str, run_id: str) -> None:
        self._driver = driver
        self._clock = clock
        self._name = name
        self._run_id = run_id
        settings = driver.machine.settings
        self._has_metrics = settings.metrics
        self._has_alerts = settings.metrics and settings.alerts
        self._history_path = settings.history_path
        self._meter: Meter | None = None
        self._metrics: MetricsCollector | None = None
        self._alerts: Alerts | None = None
        self._was_started = False
        self._has_begun = False  # later than it was started, if something is imported meanwhile
        self._loop: asyncio.AbstractEventLoop | None = None  # from `start` to `stop`
        self._timer: Timer | None = None
        self._closing: threading.Thread | None = None

    @property
    def metrics(self) -> MetricsCollector:
        """The pool's collector; on the pool's loop. Raises `RuntimeError` if it is to have none."""
        if not self._has_metrics:
            raise RuntimeError("this pool keeps no metrics: it was made with metrics=False")
        made = self._metrics = self._metrics or self._make_metrics()
        if self._was_started:
            self._begin()
        return made

    @property
    def alerts(self) -> Alerts:
        """The pool's alerts; on the pool's loop. Raises `RuntimeError` if it is to have none."""
        if not self._has_alerts:
            raise RuntimeError("this pool has no alerts: it was made with alerts=False or metrics=False")
        if self._alerts is None:
            self._alerts = self._make_alerts()
        return self._alerts

    def load(self, loop: asyncio.AbstractEventLoop) -> None:
        """Import what will be needed, beside whatever the loop does meanwhile."""
        missing = [part for part in _PARTS if part not in sys.modules] if self._has_metrics else []
        if missing:
            # No daemon: an interpreter must not end in the middle of an import.
            threading.Thread(target=_load, args=(missing, loop, self._loaded), name="millpond-import").start()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to count; the pool serves from here on."""
        if self._has_metrics:
            self._loop = loop
            self._was_started = True
            self._driver.sample(True)
            self._loaded()

    def stop(self) -> None:
        """Count what happened since the last time, and no more; what is still to be written is so in a thread."""
        if self._loop is None:
            return
        self._loop = None
        self._driver.sample(False)
        if self._has_begun:
            if self._timer is not None:
                self._timer.cancel()
            self.metrics.fold()
            self._closing = threading.Thread(target=self._close, name="millpond-monitors")
            self._closing.start()

    async def closed(self) -> None:
        """Wait until everything is written and told, a few seconds at most."""
        if self._closing is not None and self._closing.is_alive():
            await asyncio.to_thread(self._closing.join)

    def _loaded(self) -> None:
        """Begin, if the pool is open and nothing has to be imported any more."""
        if self._loop is not None and all(part in sys.modules for part in _PARTS):
            self._begin()

    def _begin(self) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        self.metrics.open()
        if self._has_alerts:
            self.metrics.on_fold(self._evaluate)
            self.alerts.evaluate()
        if self._loop is not None:
            self._wait(self._loop, self._clock.now())
        else:
            self.metrics.fold()  # the pool is closed already: this is all there will be

    def _wait(self, loop: asyncio.AbstractEventLoop, since: float) -> None:
        at = max(since + INTERVAL_S, self._clock.now())  # one that comes late makes up for no other
        self._timer = self._clock.call_at(loop, at, lambda: self._tick(loop, at))

    def _tick(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._wait(loop, at)
        self.metrics.fold()
        bus, meter = self._driver.bus, self._meter
        if meter is not None and bus.has_listener(PoolUtilization.name):
            bus.execute(PoolUtilization(meter.utilization, meter.busy_s, meter.available_s))

    def _evaluate(self, _metrics: MetricsCollector) -> None:
        self.alerts.evaluate()

    def _close(self) -> None:
        if self._metrics is not None:
            self._metrics.close()
        if self._alerts is not None:
            self._alerts.close()

    def _make_metrics(self) -> MetricsCollector:
        from millpond.meter import Meter
        from millpond.metrics.collector import MetricsCollector
        from millpond.metrics.resources import ProcessWatch

        self._meter = Meter(self._driver)
        return MetricsCollector(
            self._meter,
            clock=self._clock.now,
            pool=self._name,
            boot=self._run_id,
            resources=ProcessWatch(),
            history_path=self._history_path,
            interval_s=INTERVAL_S,
        )

    def _make_alerts(self) -> Alerts:
        from millpond.alerts.alerts import Alerts
        from millpond.metrics.exported import Exported

        families = Exported(self.metrics.snapshot)
        return Alerts(families, self._clock.now, time.time, self._driver.bus, pool=self._name)


def _load(parts: list[str], loop: asyncio.AbstractEventLoop, loaded: Callable[[], None]) -> None:
    for part in parts:
        import_module(part)
    try:
        loop.call_soon_threadsafe(loaded)
    except RuntimeError:
        pass  # the loop was closed: nobody waits
