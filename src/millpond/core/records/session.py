"""A session: a caller's state in the pool, where that state is, its binding to a worker, and the order of its calls.

At most one call of a session is anywhere but in the session's own line: `current` is in a queue or at a worker, the
rest wait behind it. The state is in one location at any time: nowhere yet, in a worker, on its way out of one, in this
process, in the store, or on its way back. With durability this process holds a copy of what is in the worker, as of the
last acknowledged answer. The registry keeps who is open or closing and remembers who was lost.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millpond.core.records.states import Table

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from millpond.core.records.call import Call
    from millpond.core.records.worker import Worker
    from millpond.core.sessions.durability import DeferredReply
    from millpond.seams import SessionRecord

OPEN, CLOSING, CLOSED, LOST = "open", "closing", "closed", "lost"

TRANSITIONS: Table = {
    (OPEN, CLOSING): "close was asked for; calls already made come first",
    (OPEN, LOST): "its worker died, or it was idle longer than session_ttl",
    (CLOSING, CLOSED): "the closing hook ran, or there was nothing to close",
    (CLOSING, LOST): "its worker died first",
}

NEW, BOUND, LEAVING, IN_HAND, ASLEEP, WAKING = "new", "bound", "leaving", "in_hand", "asleep", "waking"
OVER = "gone"

RESIDENCY: Table = {
    (NEW, BOUND): "its first call began in its worker",
    (IN_HAND, BOUND): "a call began in the worker it was sent to",
    (BOUND, LEAVING): "it is to sleep or to move: its worker was asked for it",
    (LEAVING, BOUND): "it cannot be exported, or the export was taken back",
    (LEAVING, IN_HAND): "exported; or its worker died, and the state of the last acknowledged answer was kept",
    (BOUND, IN_HAND): "the state of the last acknowledged answer was kept: its worker died, or may forget it",
    (LEAVING, NEW): "its worker died before any answer was acknowledged, with durability",
    (BOUND, NEW): "its worker died before any answer was acknowledged, with durability",
    (IN_HAND, ASLEEP): "stored, and nothing of it waits",
    (ASLEEP, WAKING): "a call came, or it is to be closed",
    (WAKING, IN_HAND): "read from the store",
    (WAKING, ASLEEP): "the store cannot be read now; the next call tries again",
    (NEW, OVER): "closed, or expired",
    (BOUND, OVER): "closed, expired, or lost with its worker",
    (LEAVING, OVER): "lost with its worker",
    (IN_HAND, OVER): "closed, or expired",
    (ASLEEP, OVER): "closed, or expired",
    (WAKING, OVER): "the store has it no more, or it was closed",
}
IN_WORKER = (BOUND, LEAVING)  # a worker's death takes it along
STORED = (ASLEEP, WAKING)  # nothing of it is in this process

# How its state can be taken out of its worker. What is pinned is tried anew after its next call, which may change that.
MOVABLE = "movable"  # while the worker runs other calls, or between them
MOVABLE_IDLE = "movable_idle"  # only between calls: taking it out beside one failed
PINNED = "pinned"  # not at all
# What the store has of it
NO_RECORD = "none"
STORED_RECORD = "stored"  # there may be one
OLD_RECORD = "old"  # storing the newest state failed, and was not ordered again


class _Unkept:
    """A snapshot that could not be taken."""

    def __repr__(self) -> str:
        return "UNKEPT"


UNKEPT = _Unkept()  # the worker has a newer state than was kept: it would be lost with the worker


@dataclass(slots=True, eq=False)
class Session:
    """One open session of one generation; a reopened session is a new record."""

    id: str
    number: int
    generation: int
    affinity: str
    last_used: float
    state: str = OPEN
    worker: Worker | None = None
    lease: int = 0  # rises with every binding; what comes under an older one changes nothing
    location: str = NEW  # where its state is
    # The state in this process: on its way to the next worker or to the store; with durability, once it is in a
    # worker, that of the last acknowledged answer.
    snapshot: Any = None
    version: int = 0  # rises with each state that comes out of a worker
    committed: int = 0  # with "disk": the version that is known to be in the store
    deferred: deque[DeferredReply] | None = None  # replies that wait for a commit, in order
    sent: tuple[int, Any, str] | None = None  # what came ahead of an answer: call id, state, why there is none
    restored_because: str = ""  # why its next call has to be told that it was restored; empty if it need not be
    on_restore: str = "raise"
    storing: SessionRecord | None = None  # it is put to sleep when this has been stored
    record: str = NO_RECORD  # what the store has of it
    mobility: str = MOVABLE
    pinned_because: str = ""  # why its state cannot be taken out of its worker
    current: Call | None = None  # given up by its caller perhaps, and not back from its worker
    waiting: OrderedDict[int, Call] | None = None  # call id -> call, in the order they were made
    waiting_s: float = 0.0  # the work of `waiting`, as far as it could be told when it came
    lost_because: str = ""

    def __repr__(self) -> str:
        where = f"worker {self.worker.id}" if self.worker is not None else "no worker"
        return f"<Session {self.number} {self.state}, generation {self.generation}, {where}, state {self.location}>"

    @property
    def is_in_worker(self) -> bool:
        """Whether its state is in its worker and nowhere else, but for what durability keeps."""
        return self.location in IN_WORKER

    @property
    def may_be_restored(self) -> bool:
        """With durability: whether the snapshot is all that was acknowledged."""
        return self.snapshot is not UNKEPT

    @property
    def is_idle(self) -> bool:
        """Whether no call of it is anywhere."""
        return self.current is None and not self.waiting

    def wait_behind(self, call: Call) -> None:
        """Put a call behind the session's current one."""
        if self.waiting is None:
            self.waiting = OrderedDict()
        self.waiting[call.id] = call
        call.line = self
        call.expected = call.op.service.mean_s
        self.waiting_s += call.expected

    def wait_in_front(self, call: Call) -> None:
        """Put the call back in front of the line that was next."""
        self.wait_behind(call)
        assert self.waiting is not None
        self.waiting.move_to_end(call.id, last=False)

    def remove(self, call: Call) -> None:
        """Take a waiting call out (the session is a `Line`)."""
        assert self.waiting is not None
        del self.waiting[call.id]
        self._left_line(call)

    def next_waiting(self) -> Call | None:
        """Take the next call out of the line, or `None`."""
        if not self.waiting:
            return None
        _, call = self.waiting.popitem(last=False)
        self._left_line(call)
        if not self.waiting:
            self.waiting = None  # thousands of sessions have nothing waiting
        return call

    def _left_line(self, call: Call) -> None:
        call.line = None
        self.waiting_s = self.waiting_s - call.expected if self.waiting else 0.0

    def bind(self, worker: Worker) -> None:
        """Bind to a worker under a new lease."""
        self.worker = worker
        self.lease += 1
        self.storing = None
        worker.sessions[self.number] = self

    def unbind(self) -> None:
        """Leave the worker; where the state is then, is the caller's to say."""
        if self.worker is not None:
            del self.worker.sessions[self.number]
            self.worker = None


class SessionRegistry:
    """Who is open, by id; who is closing; and who was lost and has not been told yet.

    A closing session has left its id to the next one of that name. Lost sessions are remembered until they are
    reopened, at most `remembered` of them: beyond, the oldest are forgotten and answer as sessions that never were.
    """

    __slots__ = ("_by_id", "_closing", "_ending", "_left_behind", "_lost", "_next_number", "_remembered")

    def __init__(self, remembered: int) -> None:
        self._by_id: dict[str, Session] = {}
        self._closing: dict[int, Session] = {}  # number -> session
        self._ending: dict[str, dict[int, int]] = {}  # id -> number -> generation of those that are closing
        self._lost: OrderedDict[str, Session] = OrderedDict()
        self._left_behind: OrderedDict[str, int] = OrderedDict()  # id -> generation whose record could not be erased
        self._next_number = 1
        self._remembered = remembered

    def __len__(self) -> int:
        return len(self._by_id) + len(self._closing)

    def __iter__(self) -> Iterator[Session]:
        yield from self._by_id.values()
        yield from self._closing.values()

    def known(self) -> Iterator[Session]:
        """Those that are open or closing, and the lost ones that are remembered."""
        yield from self
        yield from self._lost.values()

    def find(self, session_id: str) -> Session | None:
        """The open session of that id, or the lost one, or `None`."""
        return self._by_id.get(session_id) or self._lost.get(session_id)

    def open(self, session_id: str, affinity: str, now: float) -> Session:
        """A new record; its generation is one above that of the lost session it replaces, or that is still closing.

        So the store can tell whose a late record is: it keeps them by id.
        """
        before = self._lost.pop(session_id, None)
        generation = before.generation + 1 if before is not None else 1
        if session_id in self._ending:
            generation = max(generation, 1 + max(self._ending[session_id].values()))
        left_behind = self._left_behind.pop(session_id, 0) if self._left_behind else 0
        session = Session(session_id, self._next_number, max(generation, left_behind + 1), affinity, now)
        session.record = STORED_RECORD if left_behind else NO_RECORD  # to be erased with this session's
        self._next_number += 1
        self._by_id[session_id] = session
        return session

    def closing(self, session: Session) -> None:
        """Its owner ended it: the id is free, the session is here until its calls are through."""
        del self._by_id[session.id]
        self._closing[session.number] = session
        self._ending.setdefault(session.id, {})[session.number] = session.generation

    def closed(self, session: Session) -> None:
        """Forget a session that is closed."""
        del self._closing[session.number]
        self._ended(session)

    def left_behind(self, session: Session) -> None:
        """The store has a record of it still: the next session of that id is of a higher generation."""
        self._left_behind[session.id] = session.generation
        if len(self._left_behind) > self._remembered:
            self._left_behind.popitem(last=False)

    def lose(self, session: Session) -> None:
        """Remember a lost session, unless its owner had ended it or its id is another's by now."""
        if self._closing.pop(session.number, None) is not None:
            self._ended(session)
            return
        del self._by_id[session.id]
        self._lost[session.id] = session
        if len(self._lost) > self._remembered:
            self._lost.popitem(last=False)

    def _ended(self, session: Session) -> None:
        namesakes = self._ending[session.id]
        del namesakes[session.number]
        if not namesakes:
            del self._ending[session.id]
