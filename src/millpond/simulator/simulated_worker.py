"""A worker without a process: what it holds of its pool, and what becomes of each call it was given.

One model for the fake engine, the core's model tests and simulations. No clock, no randomness and no I/O of its own:
whoever drives it decides when the worker comes to its next call, how long that takes and how it ends.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from millpond.core import Table
from millpond.seams import CLOSE_SESSION, EXPORT_CONCURRENT, EXPORTS

if TYPE_CHECKING:
    from millpond.core import Call, Session

WAITING, RUNNING, ENDED, LATE = "waiting", "running", "ended", "late"
WITHDRAWN, SKIPPED, OVER = "withdrawn", "skipped", "over"

TRANSITIONS: Table = {
    (WAITING, RUNNING): "the worker came to it: it begins",
    (WAITING, LATE): "the worker came to it after its deadline: it was never claimed",
    (WAITING, WITHDRAWN): "withdrawn before the worker came to it, which is proven",
    (
        WAITING,
        SKIPPED,
    ): "withdrawn or interrupted while the worker claimed it: it does not begin, and nothing proves it",
    (LATE, WITHDRAWN): "withdrawn after it was found late, before the pool read that",
    (RUNNING, ENDED): "its operation came back",
    (ENDED, OVER): "the pool read its answer",
    (LATE, OVER): "the pool read that it is late",
    (SKIPPED, OVER): "the pool read that the worker passed over it",
    (WITHDRAWN, OVER): "the pool read that the worker passed over it, which names no call",
}
LEAVES_WORKER = (*EXPORTS, CLOSE_SESSION)  # operations after which the worker has nothing of their session any more


class HeldCall:
    """A call as one worker holds it. `note` is for whoever drives the worker."""

    __slots__ = ("call", "deadline", "is_interrupted", "note", "state")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.deadline = call.deadline  # when it was sent: the pool may change its own
        self.state = WAITING
        self.is_interrupted = False
        self.note: Any = None

    def __repr__(self) -> str:
        return f"<HeldCall {self.state}, {self.call!r}>"


class SimulatedWorker:
    """A worker that runs up to `concurrency` calls at a time, and one export beside them in its control thread.

    Calls begin in the order in which they were sent. A worker that is dead begins nothing, and still seems to take what
    is sent to it, until its pool knows.
    """

    def __init__(self, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self.held: dict[int, HeldCall] = {}  # call id -> call that was neither read of nor withdrawn
        self.waiting: deque[HeldCall] = deque()
        self.running: dict[int, HeldCall] = {}  # call id -> call
        self.exports: deque[HeldCall] = deque()  # concurrent ones that wait for the control thread
        self.exporting: HeldCall | None = None
        self.sessions: dict[int, int] = {}  # number of each session it has -> the lease it was introduced under
        self.is_ready = False
        self.is_frozen = False
        self.is_stopping = False
        self.is_alive = True

    # What its pool does

    def knows(self, session: Session) -> bool:
        """Whether it has been introduced to the session since that was bound; else this comes before the next call."""
        return self.sessions.get(session.number) == session.lease

    def take(self, call: Call) -> HeldCall:
        """A call was sent to it."""
        held = self.held[call.id] = HeldCall(call)
        if call.operation == EXPORT_CONCURRENT:
            self.exports.append(held)
        else:
            self.waiting.append(held)
        if call.session is not None:
            self.sessions[call.session.number] = call.session.lease
        return held

    def withdraw(self, call_id: int, is_claimed: bool = False) -> bool:
        """Take a call back. True: proven that it did not begin, and will not.

        `is_claimed`: the worker has come to it at this very moment, so that it does not begin, but nothing proves it.
        """
        held = self.held.get(call_id)
        if held is None or held.state not in (WAITING, LATE):
            return False
        if is_claimed and held.state == WAITING:
            held.state = SKIPPED
            return False
        held.state = WITHDRAWN
        del self.held[call_id]  # the same call may be sent here again
        return True

    def interrupt(self, call_id: int) -> HeldCall | None:
        """Ask a call to stop that it holds."""
        held = self.held.get(call_id)
        if held is not None:
            held.is_interrupted = True
        return held

    def forget_session(self, number: int) -> None:
        """Drop what it has of a session."""
        self.sessions.pop(number, None)

    def ping(self) -> int:
        """How many calls it holds when it comes to a ping."""
        return len(self.waiting) + len(self.running)

    def stop(self) -> None:
        """It is to end when everything is done."""
        self.is_stopping = True

    # What it does itself

    @property
    def is_working(self) -> bool:
        """Whether it does anything at all."""
        return self.is_ready and self.is_alive and not self.is_frozen

    @property
    def can_begin(self) -> bool:
        """Whether it would come to its next call now."""
        return bool(self.waiting) and len(self.running) < self.concurrency and self.is_working

    @property
    def can_begin_export(self) -> bool:
        """Whether its control thread would come to its next export now."""
        return bool(self.exports) and self.exporting is None and self.is_working

    @property
    def is_done(self) -> bool:
        """Whether it was told to stop, and nothing keeps it."""
        if not (self.is_stopping and self.is_working):
            return False
        return not (self.waiting or self.running or self.exports or self.exporting)

    def begin(self, now: float) -> HeldCall:
        """Come to the next call. It runs, or is passed over at once if it is late, withdrawn or skipped."""
        held = self.waiting.popleft()
        if held.state == WAITING and _claim(held, now):
            self.running[held.call.id] = held
        return held

    def begin_export(self, now: float) -> HeldCall:
        """The control thread comes to the next export, in the same way."""
        held = self.exports.popleft()
        if held.state == WAITING and _claim(held, now):
            self.exporting = held
        return held

    def end(self, held: HeldCall, kind: str = "ok") -> None:
        """A running call came back: its slot is free, and what it was to take out of the worker is out."""
        call = held.call
        held.state = ENDED
        if held is self.exporting:
            self.exporting = None
        else:
            del self.running[call.id]
        if call.session is not None and kind == "ok" and call.operation in LEAVES_WORKER:
            self.sessions.pop(call.session.number, None)

    def read(self, held: HeldCall) -> int:
        """The pool reads what came of a call: the id that the answer names, 0 for one that was withdrawn."""
        call_id = held.call.id if held.state != WITHDRAWN else 0
        held.state = OVER
        if call_id:
            del self.held[call_id]
        return call_id

    def die(self) -> list[int]:
        """End at once; the ids of the calls that had begun, and of which nothing was read."""
        self.is_alive = False
        return [call_id for call_id, held in self.held.items() if held.state in (RUNNING, ENDED)]


def _claim(held: HeldCall, now: float) -> bool:
    """Whether a waiting call begins: what is late is never claimed, what was asked to stop is skipped."""
    if now >= held.deadline:
        held.state = LATE
    elif held.is_interrupted:
        held.state = SKIPPED
    else:
        held.state = RUNNING
        return True
    return False
