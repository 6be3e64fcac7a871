"""Orders: what the core wants done outside of it, each a value in the outbox, carried out in their order.

The driver has one table from these types to functions. What it finds out while it carries one out is a stimulus of the
same turn; what an order raises is one, too (`Machine.order_failed`). Those made for each call are bare classes: a
dataclass costs half as much again to make.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.core.workers.warmup import Run, Step
    from millpond.events import Event
    from millpond.seams import SessionRecord


class Send:
    """Give a call to its worker."""

    __slots__ = ("call", "worker")

    def __init__(self, worker: Worker, call: Call) -> None:
        self.worker = worker
        self.call = call


class Finish:
    """Give a call's result, or its error, to whoever waits for it."""

    __slots__ = ("call", "value")

    def __init__(self, call: Call, value: Any) -> None:
        self.call = call
        self.value = value


@dataclass(slots=True)
class Withdraw:
    """Take a call back from its worker, if it has not begun; `Machine.withdrawn` says what came of it."""

    worker: Worker
    call: Call


@dataclass(slots=True)
class Interrupt:
    """Ask a running operation to stop, if its worker still has it."""

    worker: Worker
    call: Call


@dataclass(slots=True)
class Start:
    """Make a worker."""

    worker: Worker


@dataclass(slots=True)
class Stop:
    """Let a worker that holds nothing say goodbye and end."""

    worker: Worker


@dataclass(slots=True)
class Kill:
    """End a worker at once."""

    worker: Worker


@dataclass(slots=True)
class Revive:
    """Try to have the engine again; `engine_back` or `engine_lost` follows."""


@dataclass(slots=True)
class Ping:
    """Ask a worker for a sign; `Machine.ponged` follows."""

    worker: Worker


@dataclass(slots=True)
class Look:
    """Look whether a worker's process is stopped at this moment; `Machine.looked` follows."""

    worker: Worker


@dataclass(slots=True)
class Weigh:
    """Look how much private memory a worker has; `Machine.weighed` follows."""

    worker: Worker


@dataclass(slots=True)
class Forget:
    """Let a worker drop what it has of a session, without the session's closing hook."""

    worker: Worker
    number: int


@dataclass(slots=True)
class Warm:
    """A worker has answered its handshake: whoever paces the warm-up begins its run, or refuses."""

    worker: Worker


@dataclass(slots=True)
class WarmStep:
    """One command of a run has ended."""

    run: Run
    step: Step


@dataclass(slots=True)
class WarmEnd:
    """A run is over."""

    run: Run


@dataclass(slots=True)
class Store:
    """Have the store commit a session's record; `Machine.stored` follows."""

    session: Session
    record: SessionRecord


@dataclass(slots=True)
class Recall:
    """Read a session's record from the store; `Machine.recalled` follows."""

    session: Session


@dataclass(slots=True)
class Erase:
    """Have the store forget a session."""

    session: Session


@dataclass(slots=True)
class SessionEnded:
    """Tell whoever waits for the end of a session that it is closed or lost."""

    session: Session


@dataclass(slots=True)
class Emit:
    """Put an event on the bus."""

    event: Event


Order: TypeAlias = (
    Send
    | Finish
    | Withdraw
    | Interrupt
    | Start
    | Stop
    | Kill
    | Revive
    | Ping
    | Look
    | Weigh
    | Forget
    | Warm
    | WarmStep
    | WarmEnd
    | Store
    | Recall
    | Erase
    | SessionEnded
    | Emit
)


def verb_of(order: Order) -> str:
    """What an order asks for, in words: `warm step` of a `WarmStep`."""
    return re.sub(r"\B([A-Z])", r" \1", type(order).__name__).lower()
