"""Answers kept by idempotency key: a request that is sent again gets the answer of the first, and nothing runs twice.

A key is its owner's and a pool's. Answers are kept for ten minutes, as long as there is room; what was refused before
it started is not kept, and may be asked for again by the same key.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.errors import PoolError
from millpond.http.problems import Problem

if TYPE_CHECKING:
    from millpond.documents import Document

KEPT_S = 600.0
MOST_ENTRIES = 10_000
MOST_BYTES = 64 * 1024 * 1024
_LONGEST_KEY = 255
_ENTRY_BYTES = 1024  # what an entry takes beside its answer's body

Key = tuple[str, str, str]  # owner, pool, what the client sent


class Fingerprint(NamedTuple):
    """What a request asks for, short enough to be kept."""

    digest: bytes

    @classmethod
    def of(cls, pool: str, operation: str, document: Document, answer: str) -> Fingerprint:
        """That of a call."""
        whole = sha256("\0".join((pool, operation, document.format, answer, "")).encode())
        whole.update(document.body)
        return cls(whole.digest())


def given_key(header: bytes) -> str:
    """The key in a header. Raises `Problem` 400."""
    if not 0 < len(header) <= _LONGEST_KEY or not header.isascii() or not header.decode("ascii").isprintable():
        raise Problem(400, "bad_header", f"Idempotency-Key is 1 to {_LONGEST_KEY} printable characters.")
    return header.decode("ascii")


class Entry:
    """One key: what was asked for with it, and what came of that."""

    __slots__ = ("at", "fingerprint", "nbytes", "outcome", "task")

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint
        self.task: asyncio.Task[Document] | None = None  # until it is over
        self.outcome: Any = None
        self.at = 0.0  # when it was over
        self.nbytes = 0


class Kept:
    """The answers of one server."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running: dict[Key, Entry] = {}
        self._over: OrderedDict[Key, Entry] = OrderedDict()  # in the order in which they ended
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._over)

    async def answer(
        self, key: Key, fingerprint: Fingerprint, call: Coroutine[Any, Any, Document]
    ) -> tuple[Document, bool]:
        """What comes of the call, and whether that was kept from an earlier one, which `call` then does not repeat.

        Raises what the call raised, that of the earlier one again; `Problem` 422 if that was another call, 409 while
        it runs, and 503 if so many run that none can be forgotten. Cancelling leaves the call running.
        """
        self._forget_old()
        entry = self._running.get(key) or self._over.get(key)
        if entry is None:
            return await asyncio.shield(self._begin(key, fingerprint, call)), False
        call.close()
        if entry.fingerprint != fingerprint:
            raise Problem(422, "idempotency_mismatch", "The Idempotency-Key was used for another call.")
        if key in self._running:
            later = {"Retry-After": "1"}
            raise Problem(409, "idempotency_running", "The first call with this key still runs.", headers=later)
        if isinstance(entry.outcome, BaseException):
            raise entry.outcome.with_traceback(None)
        return entry.outcome, True

    def _begin(self, key: Key, fingerprint: Fingerprint, call: Coroutine[Any, Any, Document]) -> asyncio.Task[Document]:
        if len(self._running) >= MOST_ENTRIES:
            call.close()
            later = {"Retry-After": "1"}
            raise Problem(503, "idempotency_full", "Too many calls with keys are running.", headers=later)
        entry = self._running[key] = Entry(fingerprint)
        entry.task = asyncio.ensure_future(call)
        entry.task.add_done_callback(lambda task: self._ended(key, entry, task))
        return entry.task

    def _ended(self, key: Key, entry: Entry, task: asyncio.Task[Document]) -> None:
        del self._running[key]
        entry.task = None
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or (isinstance(error, PoolError) and error.outcome == "not_started"):
            return
        entry.outcome, entry.at = (task.result() if error is None else error), self._now()
        entry.nbytes = _ENTRY_BYTES + (len(task.result().body) if error is None else 0)
        self._over[key] = entry
        self._nbytes += entry.nbytes
        self._forget_old()

    def _forget_old(self) -> None:
        """Drop what is old, and the oldest of what there is no room for; what still runs stays."""
        since = self._now() - KEPT_S
        while self._over:
            key, oldest = next(iter(self._over.items()))
            if oldest.at > since and self._nbytes <= MOST_BYTES and len(self) <= MOST_ENTRIES:
                return
            del self._over[key]
            self._nbytes -= oldest.nbytes
