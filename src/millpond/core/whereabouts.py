"""Where the state of a session is: one place at any time, and why it goes to the next.

Nothing yet, in a worker, on its way out of one, in the parent's hand, in the store, or on its way back from there. With
durability the parent's hand holds a copy of what is in the worker, as of the last acknowledged answer. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.core.transitions import IllegalTransition, Table

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.session import Session

NEW, BOUND, LEAVING, IN_HAND, ASLEEP, WAKING = "new", "bound", "leaving", "in_hand", "asleep", "waking"
GONE = "gone"

TRANSITIONS: Table = {
    (NEW, BOUND): "its first call began in its worker",
    (IN_HAND, BOUND): "a call began in the worker it was sent to",
    (BOUND, LEAVING): "it is to sleep or to move: its worker was asked for it",
    (LEAVING, BOUND): "it cannot be exported, or the errand was taken back",
    (LEAVING, IN_HAND): "exported; or its worker died, and the state of the last acknowledged answer was kept",
    (BOUND, IN_HAND): "the state of the last acknowledged answer was kept: its worker died, or may forget it",
    (LEAVING, NEW): "its worker died before any answer was acknowledged, with durability",
    (BOUND, NEW): "its worker died before any answer was acknowledged, with durability",
    (IN_HAND, ASLEEP): "stored, and nothing of it waits",
    (ASLEEP, WAKING): "a call came, or it is to be closed",
    (WAKING, IN_HAND): "read from the store",
    (WAKING, ASLEEP): "the store cannot be read now; the next call tries again",
    (NEW, GONE): "closed, or expired",
    (BOUND, GONE): "closed, expired, or lost with its worker",
    (LEAVING, GONE): "lost with its worker",
    (IN_HAND, GONE): "closed, or expired",
    (ASLEEP, GONE): "closed, or expired",
    (WAKING, GONE): "the store has it no more, or it was closed",
}
IN_WORKER = (BOUND, LEAVING)  # a worker's death takes it along
STORED = (ASLEEP, WAKING)  # nothing of it is in this process


def go(m: Machine, session: Session, where: str) -> None:
    """The state is elsewhere from now on; raises `IllegalTransition` and changes nothing if that cannot be."""
    if (session.where, where) not in TRANSITIONS:
        raise IllegalTransition(f"the state of {session!r}: {session.where} -> {where} is not in the table")
    m.asleep += (where in STORED) - (session.where in STORED)
    session.where = where
