"""Orders: what the core wants done outside of it, each a value in the outbox, carried out in their order.

The driver has one table from these types to functions. What it finds out while it carries one out is a stimulus of the
same turn; what an order raises is one, too (`Machine.order_failed`). Two are made for each call: structures of msgspec
cost a third of what plain classes with slots do, and the garbage collector need not look at them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.core.workers.warmup import Run, Step
    from millpond.events import Event
    from millpond.seams import SessionRecord


class Order(msgspec.Struct, gc=False):
    """What one of the classes below asks for."""

    @property
    def verb(self) -> str:
        """The same in words: `warm step` of a `WarmStep`."""
        return re.sub(r"\B([A-Z])", r" \1", type(self).__name__).lower()


class Send(Order):
    """Give a call to its worker."""

    worker: Worker
    call: Call


class Finish(Order):
    """Give a call's result, or its error, to whoever waits for it."""

    call: Call
    value: Any


class Withdraw(Order):
    """Take a call back from its worker, if it has not begun; `Machine.withdrawn` says what came of it."""

    worker: Worker
    call: Call


class Interrupt(Order):
    """Ask a running operation to stop, if its worker still has it."""

    worker: Worker
    call: Call


class Start(Order):
    """Make a worker."""

    worker: Worker


class Stop(Order):
    """Let a worker that holds nothing say goodbye and end."""

    worker: Worker


class Kill(Order):
    """End a worker at once."""

    worker: Worker


class Revive(Order):
    """Try to have the engine again; `engine_back` or `engine_lost` follows."""


class Ping(Order):
    """Ask a worker for a sign; `Machine.ponged` follows."""

    worker: Worker


class Look(Order):
    """Look whether a worker's process is stopped at this moment; `Machine.looked` follows."""

    worker: Worker


class Weigh(Order):
    """Look how much private memory a worker has; `Machine.weighed` follows."""

    worker: Worker


class Forget(Order):
    """Let a worker drop what it has of a session, without the session's closing hook."""

    worker: Worker
    number: int


class Warm(Order):
    """A worker has answered its handshake: whoever paces the warm-up begins its run, or refuses."""

    worker: Worker


class WarmStep(Order):
    """One command of a run has ended."""

    run: Run
    step: Step


class WarmEnd(Order):
    """A run is over."""

    run: Run


class Store(Order):
    """Have the store commit a session's record; `Machine.stored` follows."""

    session: Session
    record: SessionRecord


class Recall(Order):
    """Read a session's record from the store; `Machine.recalled` follows."""

    session: Session


class Erase(Order):
    """Have the store forget a session."""

    session: Session


class SessionEnded(Order):
    """Tell whoever waits for the end of a session that it is closed or lost."""

    session: Session


class Emit(Order):
    """Put an event on the bus."""

    event: Event
