"""Replacing all workers by new ones with new code, one after another, and going back if that does not work.

The engine loads the code before any worker goes; whether it stays is settled when all are replaced. Spares and starting
workers go first, so that those which serve are followed by new ones at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core import lifetime
from millpond.core.worker import READY
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.core.worker import Worker
    from millpond.runtime.driver import Driver
    from millpond.seams import HandlerFacts


async def replace_workers(driver: Driver) -> HandlerFacts | None:
    """Replace every worker there is now; returns the new facts. A second caller waits for the first, and begins anew.

    Raises `StartFailed`, and the code before goes on serving. Cancelled, what was replaced stays so.
    """
    async with driver.renewing:
        facts = await driver.engine.renew()
        before = sorted(driver.machine.workers.values(), key=lambda worker: worker.state == READY)
        try:
            for worker in before:
                await _replace(driver, worker)
        except StartFailed:
            driver.engine.settle(is_kept=False)
            _let_go_of_those_after(driver, before)
            raise
        except BaseException:
            driver.engine.settle(is_kept=True)
            raise
        driver.engine.settle(is_kept=True)
        facts = facts or driver.engine.facts()
        if facts is not None:
            driver.machine.knows(facts)
        return facts


async def _replace(driver: Driver, worker: Worker) -> None:
    machine = driver.machine
    failures, serving = machine.tally.start_failures, machine.ready_count
    driver.replace(worker)

    def is_done() -> bool:
        if machine.state != lifetime.SERVING or machine.tally.start_failures > failures:
            return True
        enough = min(serving, machine.sizing.wanted)
        return worker.id not in machine.workers and machine.ready_count >= enough

    await driver.until(is_done)
    if machine.tally.start_failures > failures:
        raise StartFailed(f"a worker with the new code did not start, the code before serves on: {machine.failure}")


def _let_go_of_those_after(driver: Driver, before: list[Worker]) -> None:
    """Workers that were made from the code that does not stay."""
    last = max((worker.id for worker in before), default=0)
    for worker in list(driver.machine.workers.values()):
        if worker.id > last:
            driver.replace(worker)
