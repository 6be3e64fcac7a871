"""Other workers for a pool that runs: all of them replaced by new ones with new code, or another number of them.

Replacing: the engine loads the code before any worker goes, and none goes before a new one serves in its place. Spares
and starting workers come first, so that no old one steps in. Whether the code stays is settled when all are replaced;
if it does not work, the code before serves on. Another number: the bounds stay whatever comes of them, and how many are
started when is the core's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from millpond.core import refusals, worker_states
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.core import View, Worker
    from millpond.runtime.driver import Driver
    from millpond.seams import HandlerFacts
    from millpond.settings import Settings


async def replace_workers(driver: Driver) -> HandlerFacts | None:
    """Replace every worker there is now; returns the new facts. A second caller waits for the first, and begins anew.

    Raises `StartFailed`, and the code before goes on serving. Cancelled, what was replaced stays so, and the code, too,
    if a worker was ready with it.
    """
    view = driver.view
    async with driver.renewing:
        if view.is_engine_lost:
            raise StartFailed(f"no worker can be started: {view.engine_failure}")
        facts = await driver.engine.renew()
        renewal = _Renewal(driver)
        try:
            # One after another: each goes only when a new one serves, so that capacity holds. A worker that dies on its
            # own meanwhile is followed by one with the new code, as every start is from now on.
            driver.try_at_once()
            for worker in renewal.before:
                await renewal.replace(worker)
            await renewal.until(lambda: view.ready_count > 0 or not view.wanted)
        except BaseException as error:
            renewal.stop()
            if isinstance(error, StartFailed) or not renewal.has_started():
                renewal.go_back()
            else:
                driver.engine.settle(is_kept=True)
            raise
        driver.engine.settle(is_kept=True)
        facts = facts or driver.engine.facts()
        if facts is not None:
            driver.machine.learn(facts)
        return facts


async def resize(driver: Driver, settings: Settings) -> None:
    """Go on with settings of other bounds, and wait until `min_workers` are ready, or fewer if fewer are asked for.

    Raises `StartFailed` when a worker could not start, `PoolClosed` when the pool closes.
    """
    view, low = driver.view, settings.min_workers
    failures = view.counters.start_failures
    driver.configure(settings, "resize()")

    def is_reached() -> bool:
        return view.ready_count >= min(low, view.low)

    def has_failed() -> bool:
        return view.is_engine_retried or view.counters.start_failures > failures

    await driver.until(lambda: is_reached() or has_failed() or not view.is_staffed)
    if not view.is_staffed:
        raise refusals.closed(view.state)
    if not is_reached():
        message = f"{view.ready_count} of {low} workers are ready; the new bounds stay, and the pool goes on trying"
        raise StartFailed(f"{message}: {view.engine_failure or view.failure}")


class _Renewal:
    """One round: who was there before, and how it goes with those that came after."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._view: View = driver.view
        self.before = sorted(self._view.workers.values(), key=lambda worker: worker.state == worker_states.READY)
        self._last = self._view.starts  # the newest worker's id
        self._was_well = not self._view.fails

    async def replace(self, worker: Worker) -> None:
        """Wait until the worker is gone and as many serve as before, or are wanted."""
        view, serving = self._view, self._view.ready_count
        self._driver.replace(worker)
        await self.until(lambda: worker.id not in view.workers and view.ready_count >= min(serving, view.wanted))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds. Raises `StartFailed` if a new worker fails, `PoolClosed` if the pool closes."""
        view = self._view

        def has_failed() -> bool:
            return view.failed_start > self._last or view.is_engine_lost

        await self._driver.until(lambda: holds() or has_failed() or not view.is_staffed)
        if has_failed():
            message = "a worker with the new code did not start, the code before serves on"
            raise StartFailed(f"{message}: {view.engine_failure or view.failure}")
        if not view.is_staffed:
            raise refusals.closed(view.state)

    def stop(self) -> None:
        """Whoever serves with the code before need not go."""
        for worker in self.before:
            self._driver.keep(worker)

    def has_started(self) -> bool:
        """Whether a worker was ready with the new code."""
        return any(worker.warm_at for worker in self._after())

    def go_back(self) -> None:
        """The code before stays: workers that were made from the other are replaced, and it is not to blame."""
        self._driver.engine.settle(is_kept=False)
        for worker in self._after():
            self._driver.replace(worker)
        if self._was_well:
            self._driver.forgive()

    def _after(self) -> list[Worker]:
        return [worker for worker in self._view.workers.values() if worker.id > self._last]
