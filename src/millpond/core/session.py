"""A session: a caller's state in the pool, its binding to a worker, and the order of its calls.

At most one call of a session is anywhere but in the session's own line: `current` is in a queue or at a worker, the
rest wait behind it. The book keeps who is open or closing and remembers who was lost.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millpond.core.transitions import Table
from millpond.core.whereabouts import IN_WORKER, NEW

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from millpond.core.call import Call
    from millpond.core.keeping import Withheld
    from millpond.core.worker import Worker
    from millpond.seams import SessionRecord

OPEN, CLOSING, CLOSED, LOST = "open", "closing", "closed", "lost"

TRANSITIONS: Table = {
    (OPEN, CLOSING): "close was asked for; calls already made come first",
    (OPEN, LOST): "its worker died, or it was idle longer than session_ttl",
    (CLOSING, CLOSED): "the closing hook ran, or there was nothing to close",
    (CLOSING, LOST): "its worker died first",
}


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
    where: str = NEW  # its state's whereabouts
    # The state in the parent's hand: on its way to the next worker or to the store; with durability, once it is in
    # a worker, that of the last acknowledged answer.
    baggage: Any = None
    version: int = 0  # rises with each state that comes out of a worker
    committed: int = 0  # with "disk": the version that is known to be in the store
    withheld: deque[Withheld] | None = None  # answers that wait for a commit, in order
    sent: tuple[int, Any, str] | None = None  # what came ahead of an answer: call id, state, why there is none
    is_safe: bool = True  # with durability: whether `baggage` is all that was acknowledged
    is_restored: bool = False  # whether its next call has to be told that it was restored
    on_restore: str = "raise"
    storing: SessionRecord | None = None  # it is put to sleep when this has been stored
    is_stored: bool = False  # whether there may be a record of it in the store
    is_unstored: bool = False  # with "disk": whether storing its newest state failed, and was not ordered again
    is_stubborn: bool = False  # whether its state could not be taken out while its worker was busy
    pinned: str = ""  # why its state cannot be taken out of its worker
    current: Call | None = None  # given up by its caller perhaps, and not back from its worker
    waiting: OrderedDict[int, Call] | None = None  # call id -> call, in the order they were made
    waiting_s: float = 0.0  # the work of `waiting`, as far as it could be told when it came
    lost_because: str = ""

    def __repr__(self) -> str:
        where = f"worker {self.worker.id}" if self.worker is not None else "no worker"
        return f"<Session {self.number} {self.state}, generation {self.generation}, {where}, state {self.where}>"

    @property
    def is_in_worker(self) -> bool:
        """Whether its state is in its worker and nowhere else, but for what durability keeps."""
        return self.where in IN_WORKER

    @property
    def is_idle(self) -> bool:
        """Whether no call of it is anywhere."""
        return self.current is None and not self.waiting

    def wait_behind(self, call: Call) -> None:
        """Put a call behind the session's current one."""
        if self.waiting is None:
            self.waiting = OrderedDict()
        self.waiting[call.id] = call
        call.place = self
        call.expected = call.op.service.mean_s
        self.waiting_s += call.expected

    def wait_in_front(self, call: Call) -> None:
        """Put the call back in front of the line that was next."""
        self.wait_behind(call)
        assert self.waiting is not None
        self.waiting.move_to_end(call.id, last=False)

    def remove(self, call: Call) -> None:
        """Take a waiting call out (the session is a `Place`)."""
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
        call.place = None
        self.waiting_s = self.waiting_s - call.expected if self.waiting else 0.0

    def bind(self, worker: Worker) -> None:
        """Bind to a worker under a new lease; the worker has to be told before the next call."""
        self.worker = worker
        self.lease += 1
        self.storing = None
        worker.sessions[self.number] = self

    def unbind(self) -> None:
        """Leave the worker; where the state is then, is the caller's to say."""
        if self.worker is not None:
            del self.worker.sessions[self.number]
            self.worker = None


class SessionBook:
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
        session.is_stored = left_behind > 0  # a record of that id is in the store, to be erased with this session's
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

    def bury(self, session: Session) -> None:
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
