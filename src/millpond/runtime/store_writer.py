"""The thread that writes sessions into a store which has to wait for a disk.

Group commit: what comes while one commit is under way goes into the next, so that many callers share one wait for the
disk. Reads go first. Decides nothing; `store_client` gives it the core's orders and carries what came of them back to
the loop.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING

from millpond.errors import StoreFailed
from millpond.logger.pool_logger import PoolLogger
from millpond.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.seams import SessionRecord, SessionStore

    Told = tuple[int, SessionRecord | None, StoreFailed | None]  # number of the order, what was read, what went wrong

log = PoolLogger("millpond")

MOST_RECORDS = 256  # in one commit: a read waits for one at most
MOST_BYTES = 4 * 1024 * 1024  # of states in one commit, unless a single one is larger


class _Write:
    """What is to be done about one session: erase its record up to a generation, then put another, or either."""

    __slots__ = ("erased", "orders", "record")

    def __init__(self) -> None:
        self.erased = 0  # generation; 0 for no erasure
        self.record: SessionRecord | None = None
        self.orders: list[int] = []  # numbers of the orders that are told when it is committed

    @property
    def nbytes(self) -> int:
        return len(self.record.state) if self.record is not None else 0

    def put(self, record: SessionRecord) -> None:
        if self.record is None or record.age >= self.record.age:
            self.record = record

    def erase(self, generation: int) -> None:
        self.erased = max(self.erased, generation)
        if self.record is not None and self.record.generation <= generation:
            self.record = None


class StoreWriter:
    """Works for one store, from a thread of its own; every method may be called from another.

    `tell` is called on that thread with what came of orders, in the order in which it came. `opened` is done when the
    store is, or could not be; `ended` when the thread did all it had to.
    """

    def __init__(self, store: SessionStore, tell: Callable[[list[Told]], None]) -> None:
        self._store = store
        self._notify = tell
        self._writes: dict[str, _Write] = {}  # session id -> what waits; the oldest first
        # Number of the order, session id, whether a write of it waited when it was given, and that one's record.
        self._reads: deque[tuple[int, str, bool, SessionRecord | None]] = deque()
        self._unerased: dict[str, int] = {}  # erasures that failed, by id: they go before the next commit
        self._wakes = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()

    def start(self, prepare: Callable[[], None]) -> None:
        """Open the store on the thread and `prepare` it."""
        self._thread = threading.Thread(target=self._work, args=(prepare,), name="millpond-sessions", daemon=True)
        self._thread.start()

    def put(self, order: int, record: SessionRecord) -> None:
        """Have a record committed, with whatever else waits then."""
        with self._wakes:
            write = self._writes.setdefault(record.id, _Write())
            write.put(record)
            write.orders.append(order)
            self._wakes.notify()

    def erase(self, session_id: str, generation: int) -> None:
        """Have a record forgotten. Nobody is told; what fails is tried again before the next commit."""
        with self._wakes:
            self._writes.setdefault(session_id, _Write()).erase(generation)
            self._wakes.notify()

    def read(self, order: int, session_id: str) -> None:
        """Have a record read as it is now: what still waits to be written is there already."""
        # A write that waits now is what is read, even if a later one replaces it before the thread gets here. One that
        # is being committed is in the store by the time of the read, because the thread does one thing at a time.
        with self._wakes:
            write = self._writes.get(session_id)
            self._reads.append((order, session_id, write is not None, None if write is None else write.record))
            self._wakes.notify()

    def finish(self) -> None:
        """Let the thread do what is left, close the store and end."""
        with self._wakes:
            self._is_closing = True
            self._wakes.notify()

    def join(self, timeout: float) -> bool:
        """Wait for the thread; whether it ended in time."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    # On the thread

    def _work(self, prepare: Callable[[], None]) -> None:
        try:
            self._store.open()
            prepare()
        except BaseException as error:  # nobody interrupts this thread: whatever it is, it is the store's
            self.opened.set_exception(as_failure(error))
        else:
            self.opened.set_result(None)
            self._serve()
        finally:
            close(self._store)
            self.ended.set_result(None)

    def _serve(self) -> None:
        while self._has_more():
            # Both in one step: a write that came after a read must not be committed before it, or the read would find
            # what was not there yet when it was asked for.
            with self._wakes:
                reads, batch = list(self._reads), self._next_batch()
                self._reads.clear()
            if results := [self._read(*one) for one in reads]:
                self._notify(results)
            if results := self._commit(batch):
                self._notify(results)
        self._commit({})

    def _has_more(self) -> bool:
        with self._wakes:
            self._wakes.wait_for(lambda: self._reads or self._writes or self._is_closing)
            return bool(self._reads or self._writes)

    def _read(self, order: int, session_id: str, is_waiting: bool, waiting: SessionRecord | None) -> Told:
        if is_waiting:
            return order, waiting, None
        try:
            found = self._store.get(session_id)
            is_erased = found is not None and found.generation <= self._unerased.get(session_id, 0)
        except BaseException as error:
            return order, None, as_failure(error)
        return order, None if is_erased else found, None

    def _next_batch(self) -> dict[str, _Write]:
        """Take out the oldest of what waits, up to a bound in number and bytes; the lock is held."""
        # Committed without the lock: what comes meanwhile for a session of this batch is a write of its own, in the
        # next commit, and so behind this one.
        batch: dict[str, _Write] = {}
        room = MOST_BYTES
        for session_id, write in islice(self._writes.items(), MOST_RECORDS):
            room -= write.nbytes
            if room < 0 and batch:
                break
            batch[session_id] = write
        for session_id in batch:
            del self._writes[session_id]
        return batch

    def _commit(self, batch: dict[str, _Write]) -> list[Told]:
        for session_id, write in batch.items():
            if write.erased:
                self._unerased[session_id] = max(write.erased, self._unerased.get(session_id, 0))
        records = [write.record for write in batch.values() if write.record is not None]
        failure = None
        try:
            if self._unerased:
                self._store.delete_many(list(self._unerased.items()))
                self._unerased.clear()
            if records:
                self._store.put_many(records)
        except BaseException as error:
            failure = as_failure(error)
        return [(order, None, failure) for write in batch.values() for order in write.orders]


def close(store: SessionStore) -> None:
    """Close a store; what it raises then is logged, and changes nothing for those who were told."""
    try:
        store.close()
    except Exception as error:
        log.raised(error, "the session store could not be closed")


def as_failure(error: BaseException) -> StoreFailed:
    """The error as what a store may raise; anything else is the fault of one that was given by the user."""
    if type(error) is StoreFailed:  # one of a class of the store's own may not be made again for each who waits
        return error
    failure = StoreFailed(f"the session store raised {text_of(error)}")
    failure.__cause__ = error
    return failure
