"""The beginning and the end of a pool, as two sequences of steps.

Opening waits until the floor of workers answers; closing refuses, drains, says goodbye, and ends what is left. Both may
be cancelled at any await and leave nothing running.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from millpond import events
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.core import View
    from millpond.runtime.driver import Driver
    from millpond.seams import EngineSpec

GOODBYE_S = 1.0  # seconds beyond the drain that workers have for their teardown


async def bring_up(driver: Driver, spec: EngineSpec) -> None:
    """Open the engine and wait for `min_workers` ready ones (one, if only a worker can tell the handler's operations).

    If some fail, `min_ready` suffice.

    Raises `StartFailed` with the first failure; then, and when cancelled, everything started is ended.
    """
    machine, view = driver.machine, driver.view
    try:
        await driver.store_client.open()
        facts = await driver.engine.open(spec, driver)
        if facts is not None:
            machine.learn(facts)
        machine.start_workers(driver.now(), fewest=1 if facts is None and spec.handler is not None else 0)
        driver.carry_out()
        if driver.carriers.warmer is not None:
            driver.carriers.warmer.open_round()
        floor, min_ready = view.wanted, view.settings.min_ready
        enough = floor if min_ready is None else min(min_ready, floor)
        await driver.until(lambda: view.ready_count >= floor or _has_failed(view, floor, enough))
        if view.ready_count < enough:
            raise StartFailed(f"no worker could be started: {view.failure}")
        machine.serve(driver.now())
        driver.carry_out()
    except BaseException as error:
        failure = str(error) if isinstance(error, Exception) else ""
        if failure:
            machine.emit(events.PoolFault, "open", failure)
        await bring_down(driver, 0.0, failure)
        raise


def _has_failed(view: View, floor: int, enough: int) -> bool:
    """Starts fail, and either all have to succeed or no other is on its way.

    One that said so is let die by itself: it may have a log to deliver still.
    """
    has_failed = bool(view.failure) and bool(view.fails or view.engine_failure)
    return has_failed and (enough == floor or not view.starting)


async def bring_down(driver: Driver, drain_s: float, failure: str = "") -> None:
    """Close: refuse the queued, give the running `drain_s` seconds, then end every process.

    `failure`: why it could not be opened.
    """
    machine, view = driver.machine, driver.view
    if driver.carriers.warmer is not None:
        driver.carriers.warmer.close()
    machine.close_pool(driver.now(), drain_s, failure)
    driver.carry_out()
    try:
        async with asyncio.timeout(drain_s + GOODBYE_S):
            await driver.until(lambda: not view.unended)
            await driver.until(lambda: not view.workers)
    except TimeoutError:
        pass  # what is left is ended below
    finally:
        # The engine first: with no worker left nothing is answered or stored any more. Then the store, which writes
        # what the core ordered until now. The core is told last, when whoever still waits can only be refused, and the
        # timer goes after that.
        await driver.engine.close()
        await driver.store_client.close()
        machine.closed(driver.now())
        driver.carry_out()
        driver.detach()
