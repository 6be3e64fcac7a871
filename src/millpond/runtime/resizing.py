"""The wait for the floor after new bounds for the number of workers: reached, or an error that says why not.

The bounds stay in either case, and the pool goes on trying. How many are started when is the core's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core import refusals
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.runtime.driver import Driver
    from millpond.settings import Settings


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
