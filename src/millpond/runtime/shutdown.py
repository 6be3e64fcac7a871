"""The beginning and the end of a pool, as two sequences of steps.

Opening waits until the floor of workers answers; closing refuses, drains, says goodbye, and ends what is left. Both may
be cancelled at any await and leave nothing running.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import lifetime
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.runtime.driver import Driver
    from millpond.seams import EngineSpec

GOODBYE_S = 1.0  # seconds beyond the drain that workers have for their teardown


async def bring_up(driver: Driver, spec: EngineSpec) -> None:
    """Open the engine and wait for `min_workers` ready ones (one, if only a worker can tell the handler's operations).

    If some fail, `min_ready` suffice.

    Raises `StartFailed` with the first failure; then, and when cancelled, everything started is ended.
    """
    machine = driver.machine
    try:
        await driver.store_client.open()
        facts = await driver.engine.open(spec, driver)
        if facts is not None:
            machine.knows(facts)
        elif spec.handler is not None:
            machine.sizing.want(max(1, machine.sizing.wanted))
        lifetime.start_workers(machine, driver.now())
        driver.carry_out()
        if driver.orders.warmer is not None:
            driver.orders.warmer.open_round()
        floor = machine.sizing.wanted
        enough = floor if machine.settings.min_ready is None else min(machine.settings.min_ready, floor)
        await driver.until(lambda: machine.ready_count >= floor or _has_failed(machine, floor, enough))
        if machine.ready_count < enough:
            raise StartFailed(f"no worker could be started: {machine.failure}")
        lifetime.serve(machine, driver.now())
        driver.carry_out()
    except BaseException as error:
        failure = str(error) if isinstance(error, Exception) else ""
        if failure:
            machine.say(events.PoolFault, "open", failure)
        await bring_down(driver, 0.0, failure)
        raise


def _has_failed(machine: Machine, floor: int, enough: int) -> bool:
    """Starts fail, and either all have to succeed or no other is on its way.

    One that said so is let die by itself: it may have a log to deliver still.
    """
    has_failed = bool(machine.failure) and bool(machine.sizing.fails or machine.outage.why)
    return has_failed and (enough == floor or not machine.starting)


async def bring_down(driver: Driver, drain_s: float, failure: str = "") -> None:
    """Close: refuse the queued, give the running `drain_s` seconds, then end every process.

    `failure`: why it could not be opened.
    """
    machine = driver.machine
    if driver.orders.warmer is not None:
        driver.orders.warmer.close()
    lifetime.close_pool(machine, driver.now(), drain_s, failure)
    driver.carry_out()
    try:
        async with asyncio.timeout(drain_s + GOODBYE_S):
            await driver.until(lambda: not machine.unended)
            await driver.until(lambda: not machine.workers)
    except TimeoutError:
        pass  # what is left is ended below
    finally:
        # The engine first: with no worker left nothing is answered or stored any more. Then the store, which writes
        # what the core ordered until now. The core is told last, when whoever still waits can only be refused, and the
        # timer goes after that.
        await driver.engine.close()
        await driver.store_client.close()
        lifetime.closed(machine, driver.now())
        driver.carry_out()
        driver.detach()
