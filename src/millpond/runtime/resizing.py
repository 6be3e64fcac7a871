"""New bounds for the number of workers, and the wait for their floor: reached, or an error that says why not.

The bounds stay in either case, and the pool goes on trying. How many are started when is the core's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core import lifetime
from millpond.core.outage import LOST
from millpond.errors import StartFailed

if TYPE_CHECKING:
    from millpond.runtime.driver import Driver


async def resize(driver: Driver, low: int, high: int) -> None:
    """Set the bounds and wait until `low` workers are ready, or fewer if somebody asks for fewer meanwhile.

    Raises `StartFailed` when a worker could not start, `PoolClosed` when the pool closes.
    """
    machine = driver.machine
    failures = machine.tally.start_failures
    driver.resize(low, high)

    def is_reached() -> bool:
        return machine.ready_count >= min(low, machine.sizing.low)

    def has_failed() -> bool:
        is_lost = machine.outage.state == LOST and machine.outage.losses > 1  # the first is followed by a try at once
        return is_lost or machine.tally.start_failures > failures

    await driver.until(lambda: is_reached() or has_failed() or machine.state not in lifetime.STAFFED)
    if machine.state not in lifetime.STAFFED:
        raise lifetime.closed_error(machine)
    if not is_reached():
        told = f"{machine.ready_count} of {low} workers are ready; the new bounds stay, and the pool goes on trying"
        raise StartFailed(f"{told}: {machine.outage.why or machine.failure}")
