"""The settling step: what a stimulus left to do is done at its end, one thing after another, until nothing is left.

Nobody in the core calls back into whoever called it: who ends a call, drains a worker or changes a count notes in
`Records.unsettled` what follows from it. Sessions come first, so that their next calls stand in line by their age when
slots are filled; the number of workers comes last, when it is known what waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core.assignment import dispatch
from millpond.core.sessions import lifecycle
from millpond.core.workers import staffing

if TYPE_CHECKING:
    from millpond.core.records.pool import Records


def serve_sessions(pool: Records, now: float) -> None:
    """Give the next call of each unsettled session its turn."""
    left = pool.unsettled
    while left.sessions:
        lifecycle.serve(pool, left.sessions.pop(next(iter(left.sessions))), now)
    left.exports.clear()  # they are sent, or wait in a queue


def settle(pool: Records, now: float) -> None:
    """Do what is left to be done."""
    left = pool.unsettled
    while left.sessions or left.evacuated or left.has_free_slots or left.has_more_load or not left.is_staffed:
        if left.sessions:
            serve_sessions(pool, now)
        elif left.evacuated:
            lifecycle.evacuate(pool, left.evacuated.pop(next(iter(left.evacuated))), now)
        elif left.has_free_slots:
            left.has_free_slots = False
            dispatch.fill_free(pool, now)
        elif left.has_more_load:
            left.has_more_load = False
            staffing.look_at_load(pool, now)
        else:
            left.is_staffed = True
            staffing.reconcile(pool, now)
