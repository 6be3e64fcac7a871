"""Carries out the core's orders about sessions at rest: store, recall, erase.

A store in memory is used at once. Any other is left to a thread of its own (`store_writer`), and what came of an order
is told on the loop. An order is answered once, whatever happens to the store; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from millpond.errors import StoreFailed
from millpond.logger.pool_logger import PoolLogger
from millpond.runtime.store_writer import StoreWriter, as_failure, close
from millpond.sessions.memory import MemoryStore
from millpond.sessions.sqlite import SqliteStore
from millpond.texts import text_of
from millpond.wire import segments
from millpond.wire.segments import Parts

if TYPE_CHECKING:
    from millpond.runtime.store_writer import Told
    from millpond.seams import SessionRecord, SessionStore
    from millpond.settings import Settings

    Done = Callable[[SessionRecord | None, StoreFailed | None], None]

log = PoolLogger("millpond")

CLOSE_S = 5.0  # what waits has to be written in, when the pool closes
JOIN_S = 1.0  # a thread that said its last word has to end in
LEFTOVER_S = 86_400.0  # beyond session_ttl: how long the sessions of an ended program wait for the next
MOST_BYTES = 512 * 1024 * 1024  # of one state; SQLite holds no more than a gigabyte in a row
PARTS = "+parts"  # marks the kind of a state that came in parts


class StoreClient:
    """One pool's store, as its settings ask for it, and the orders to it. Nothing is opened yet."""

    def __init__(self, settings: Settings, pool_name: str, wall_clock: Callable[[], float] = time.time) -> None:
        is_lasting = settings.durability == "disk"
        self.batch_end: Callable[[], None] = _nothing  # called after answers were told, once for all that came together
        self._store = make_store(settings.session_store, pool_name, is_lasting)
        self._codec: str = settings.codec
        self.remembers = is_lasting and self._store.survives  # whether there may be sessions of an earlier program
        self._session_ttl = settings.session_ttl
        self._wall_clock = wall_clock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Done] = {}  # number of an order -> who is told
        self._is_failing = False
        self._is_open = False
        self._writer: StoreWriter | None = None
        self._loop: asyncio.AbstractEventLoop  # there once the thread was started

    # The pool's life

    async def open(self) -> None:
        """Open the store. Raises `StoreFailed`, with outcome `not_started`."""
        try:
            if self._store.is_immediate:
                self._store.open()
                self._prepare()
            else:
                await self._start()
        except Exception as error:
            failure = not_started(as_failure(error))
            raise failure from failure.__cause__
        self._is_open = True

    async def close(self) -> None:
        """Write what waits, within five seconds; what is not written then is told as failed."""
        if not self._is_open:
            return
        self._is_open = False
        if self._writer is not None:
            await self._finish(self._writer)
            # A disk that hangs may still finish a commit after this: such a record is newer than its caller was told,
            # as after any failure. What the thread reports then finds no order that waits, and is dropped.
            self._notify([(n, None, StoreFailed("the pool closed before it was written")) for n in self._waiting])
        else:
            close(self._store)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = StoreWriter(self._store, self._post)
        self._writer.start(self._prepare)
        try:
            await asyncio.shield(asyncio.wrap_future(self._writer.opened))
        except BaseException:
            await self._finish(self._writer)
            raise

    async def _finish(self, writer: StoreWriter) -> None:
        writer.finish()
        await asyncio.wait([asyncio.wrap_future(writer.ended)], timeout=CLOSE_S)
        writer.join(JOIN_S if writer.ended.done() else 0.0)

    def _post(self, told: list[Told]) -> None:
        """From the thread: tell who waits; a loop that is closed waits for nothing any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._notify, told)

    def _prepare(self) -> None:
        """Let go of what nobody will come back for: sessions too old, or all if they were only asleep."""
        if not self.remembers:
            self._store.forget_before(math.inf)
        elif self._session_ttl is not None:
            self._store.forget_before(self._wall_clock() - self._session_ttl - LEFTOVER_S)

    # Orders

    def store(self, record: SessionRecord, done: Done) -> None:
        """Commit a record of the core's; `done` is called with what went wrong, if anything did."""
        size = len(record.state)
        packed = self._packed(record) if size <= MOST_BYTES else None
        number = self._number(done)  # from here on it is answered by `_notify`
        if packed is None:
            self._notify([(number, None, StoreFailed(f"a state of {size} bytes is more than {MOST_BYTES}"))])
            return
        if self._writer is not None:
            self._writer.put(number, packed)
        else:
            self._notify([(number, None, self._attempt(lambda: self._store.put_many([packed])))])

    def recall(self, session_id: str, done: Done) -> None:
        """Read a record; `done` gets it with its state as the worker sent it, or `None`, or what went wrong."""
        number = self._number(done)
        if self._writer is not None:
            self._writer.read(number, session_id)
            return
        record, failure = None, None
        try:
            record = self._store.get(session_id)
        except Exception as error:
            failure = as_failure(error)
        self._notify([(number, record, failure)])

    def erase(self, session_id: str, generation: int) -> None:
        """Forget a record; a failure is tried again before the next commit, and told to nobody."""
        if self._writer is not None:
            self._writer.erase(session_id, generation)
        else:
            self._attempt(lambda: self._store.delete_many([(session_id, generation)]))

    async def find(self, session_id: str) -> SessionRecord | None:
        """The record that an earlier program left of this session. Raises `StoreFailed`, outcome `not_started`."""
        found: asyncio.Future[SessionRecord | None] = asyncio.get_running_loop().create_future()

        def done(record: SessionRecord | None, failure: StoreFailed | None) -> None:
            if not found.done():
                found.set_result(record) if failure is None else found.set_exception(not_started(failure))

        self.recall(session_id, done)
        return await found

    # Answers

    def _number(self, done: Done) -> int:
        number = next(self._numbers)
        self._waiting[number] = done
        return number

    def _attempt(self, what: Callable[[], object]) -> StoreFailed | None:
        try:
            what()
        except Exception as error:
            return as_failure(error)
        return None

    def _notify(self, message: list[Told]) -> None:
        """Tell who waits; orders that were told before, when the pool closed, are told no more."""
        for number, record, failure in message:
            done = self._waiting.pop(number, None)
            if done is None:
                continue
            if record is not None and failure is None:
                record, failure = self._unpacked(record)
            self._note(failure, is_read=record is not None)
            done(record, None if failure is None else _one_of_its_own(failure))
        self.batch_end()

    def _note(self, failure: StoreFailed | None, is_read: bool) -> None:
        """Log the first failure of a row; that something can be read does not end it."""
        if failure is not None and not self._is_failing:
            log.raised(failure.__cause__ or failure, "the session store fails; `session.unstored` has the text")
        self._is_failing = failure is not None or (self._is_failing and is_read)

    def _packed(self, record: SessionRecord) -> SessionRecord:
        state, kind = record.state, self._codec
        if isinstance(state, Parts):
            state, kind = bytes(state), kind + PARTS
        return replace(record, state=state, kind=kind, saved_at=self._wall_clock())

    def _unpacked(self, record: SessionRecord) -> tuple[SessionRecord | None, StoreFailed | None]:
        try:
            codec, mark, _ = record.kind.partition(PARTS)
            if codec != self._codec:
                message = f"the session was stored under codec={codec!r}, and the pool has {self._codec!r}"
                return None, StoreFailed(message)
            state = _checked(record.state) if mark else record.state
            return replace(record, state=state), None
        except Exception as error:  # whatever a store takes for a record
            return None, StoreFailed(f"the session's record in the store is damaged: {text_of(error)}")


def make_store(chosen: Any, pool_name: str, is_lasting: bool) -> SessionStore:
    """The store of that setting. Sessions that are only asleep are kept apart from those the next program is to find.

    They go with the program, so nobody waits until they are on the disk.
    """
    if chosen is None or chosen == "memory":
        return MemoryStore()
    if isinstance(chosen, str | os.PathLike):
        return SqliteStore(os.fspath(chosen), pool_name if is_lasting else f"{pool_name} asleep", is_synced=is_lasting)
    store: SessionStore = chosen
    return store


def _checked(state: bytes) -> Parts:
    segments.unpack(state, None)
    return Parts(state)


def _one_of_its_own(failure: StoreFailed) -> StoreFailed:
    """Each caller's error is an object of its own: it gets the call's id and the caller's traceback."""
    twin = copy(failure)
    twin.__cause__ = failure.__cause__
    return twin


def not_started(failure: StoreFailed) -> StoreFailed:
    """The failure as it meets somebody whose call did not run."""
    failure.outcome = "not_started"
    return failure


def _nothing(*_: Any) -> None:
    """Nobody wants to know."""
