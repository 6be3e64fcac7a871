"""Tables of states: a transition that its table holds happens, any other raises and changes nothing.

Calls, sessions, residencies, workers and breakers declare a table `{(before, after): why}` beside their record; those
of the pool and of its engine are here. The diagrams in the docs are drawn from the same tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Table = Mapping[tuple[str, str], str]


class IllegalTransition(RuntimeError):
    """A state change that its table does not hold: a bug in Millpond, never the caller's fault."""


class Stateful(Protocol):
    """A record with a state."""

    state: str


def move(record: Stateful, after: str, table: Table) -> None:
    """Put `record` into the state `after`, or raise `IllegalTransition` and leave it as it was."""
    if (record.state, after) not in table:
        raise IllegalTransition(f"{record!r}: {record.state} -> {after} is not in the table")
    record.state = after


# The pool

NEW, OPENING, SERVING, DRAINING, CLOSING, CLOSED = "new", "opening", "ready", "draining", "closing", "closed"
STAFFED = (OPENING, SERVING, DRAINING)  # states of a pool that keeps its workers up
DEGRADED = "degraded"  # serving while starts fail, or with workers not fully warm: derived, so no state of the table
FORKED = "forked"  # in a forked child of the pool's program: not a state of the pool, but of this copy of it

POOL_TRANSITIONS: Table = {
    (NEW, OPENING): "open() was called",
    (NEW, CLOSED): "close() before open()",
    (OPENING, SERVING): "min_workers are ready",
    (OPENING, CLOSING): "opening failed or was cancelled",
    (SERVING, DRAINING): "drain() was called: what is there is finished, nothing more is taken",
    (SERVING, CLOSING): "close() was called: the queued are refused, the running have the drain time",
    (DRAINING, CLOSING): "close() was called",
    (CLOSING, CLOSED): "every worker is gone",
}

# The engine

AVAILABLE, LOST, RECOVERING = "there", "lost", "trying"

ENGINE_TRANSITIONS: Table = {
    (AVAILABLE, LOST): "its warden ended; all its workers are dead or as good",
    (LOST, RECOVERING): "the pause is over: another warden is started",
    (RECOVERING, LOST): "it could not be started, or ended before its image was made",
    (RECOVERING, AVAILABLE): "its image is made: workers are started",
    (LOST, AVAILABLE): "the code before stays, and its warden lives",
}


@dataclass(slots=True, eq=False)
class EngineRecord:
    """The engine's state, why it is lost and since when, and how often in a row; it is tried again at `retry_at`."""

    state: str = AVAILABLE
    why: str = ""
    losses: int = 0
    lost_at: float = 0.0
    back_at: float = -math.inf
    retry_at: float = 0.0

    def __repr__(self) -> str:
        return f"<EngineRecord {self.state}, {self.losses} losses>"
