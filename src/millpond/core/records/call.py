"""A call: one request to run one operation, from its submission to its only ending.

The record says where the call is and what became of it; deciding is the machine's. Comes before the queue, ends in the
one reporting step, `endings.finish`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from millpond.core.records.states import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.records.operation import Operation
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.errors import Ending
    from millpond.seams import Trace
    from millpond.settings import OnCancel

QUEUED, RUNNING, ENDED = "queued", "running", "ended"

TRANSITIONS: Table = {
    (QUEUED, RUNNING): "sent to a worker",
    (RUNNING, QUEUED): "taken back before it began, or to be retried after its worker died",
    (QUEUED, ENDED): "cancelled, expired or refused while it waited",
    (RUNNING, ENDED): "answered, given up, expired, or lost with its worker",
}

TAKEN_BACK = "taken_back"  # why a call is withdrawn that nobody has left: to be served elsewhere
ENDINGS: tuple[Ending, ...] = ("ok", "failed", "cancelled", "expired", "rejected", "lost")


class Line(Protocol):
    """Where a queued call waits: a queue or its session's line; a call is in exactly one."""

    def remove(self, call: Call) -> None:
        """Take the call out, wherever in the order it stands."""
        ...


# What an internal call leads to when it ends: (records, call, ending, value, now)
Continuation: TypeAlias = "Callable[[Records, Call, Ending, Any, float], None]"


class Call:
    """One call. `ticket` is the caller's, opaque here: whoever waits for the ending."""

    __slots__ = (
        "answer_bytes",
        "attempts",
        "cancel_reason",
        "continuation",
        "deadline",
        "deaths",
        "ending",
        "expected",
        "failure",
        "form",
        "id",
        "idempotent",
        "is_interrupted",
        "is_stream",
        "key",
        "line",
        "nbytes",
        "on_cancel",
        "op",
        "operation",
        "payload",
        "position",
        "priority",
        "sent_at",
        "service_s",
        "session",
        "spread",
        "state",
        "submitted_at",
        "tick",
        "ticket",
        "trace",
        "worker",
    )

    # Not there before they are known:
    failure: str  # why an order about it could not be carried out
    submitted_at: float
    key: float  # order of service: time of submission less what the priority is worth
    expected: float  # seconds of work, as far as known when it was put where it is
    spread: float  # the variance of that, while it waits
    answer_bytes: int  # how large its answer was

    def __init__(
        self,
        call_id: int,
        op: Operation,
        payload: Any,
        deadline: float,
        ticket: Any = None,
        session: Session | None = None,
        priority: int = 0,
        idempotent: bool = False,
        on_cancel: OnCancel = "interrupt",
        continuation: Continuation | None = None,
    ) -> None:
        self.id = call_id
        self.op = op
        self.operation = op.number
        self.payload = payload
        self.nbytes: int = len(payload) if type(payload) is bytes else payload.nbytes
        self.deadline = deadline  # absolute, monotonic seconds; inf for none
        self.ticket = ticket
        self.session = session
        self.priority = priority
        self.idempotent = idempotent
        self.on_cancel = on_cancel
        self.continuation = continuation  # of an internal call, which no caller made: what its ending leads to
        self.is_stream = op.is_stream
        self.state = QUEUED
        self.ending: Ending | None = None
        self.worker: Worker | None = None
        self.line: Line | None = None
        # Why it was asked back while it runs: the code of an ending (cancelled, deadline_exceeded, pool_closing), or
        # TAKEN_BACK. Set from the order to withdraw until what came of it; an internal call keeps it until its answer.
        self.cancel_reason = ""
        self.is_interrupted = False  # whether its worker was told to stop it
        self.attempts = 0  # times it was given to a worker, those not counted that gave it back not begun
        self.deaths = 0  # workers that died of it, as far as can be told
        self.tick: dict[int, Call] | None = None  # the wheel's, while its deadline is watched
        self.sent_at = 0.0
        self.service_s = 0.0  # between the worker's start and end of it, once it was answered
        self.trace: Trace | None = None  # of whoever traces calls, if anybody does
        self.form = 0  # of a payload that is a document: the numbers of its format and of its answer's

    def own_payload(self) -> None:
        """Copy what its caller could still change of the arguments."""
        if type(self.payload) is not bytes:
            self.payload.own()

    def __repr__(self) -> str:
        where = f" on worker {self.worker.id}" if self.worker is not None else ""
        return f"<Call {self.id} {self.op.name} {self.ending or self.state}{where}, attempt {self.attempts}>"
