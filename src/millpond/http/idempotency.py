"""Answers kept by idempotency key: a request that is sent again gets the answer of the first, and nothing runs twice.

A key is its owner's and a pool's. Answers are kept for ten minutes, as long as there is room: the oldest of the owner
whose answers take the most is dropped first, so no owner loses its own to another that has more. What was refused
before it started is not kept, and may be asked for again by the same key.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from millpond.http.problems import Problem

if TYPE_CHECKING:
    from millpond.documents import Document
    from millpond.pool import Pool

KEPT_S = 600.0
MOST_ENTRIES = 10_000  # of those that run, and of those that are kept
MOST_BYTES = 64 * 1024 * 1024
REPLAYED = "Idempotency-Replayed"
_LONGEST_KEY = 255
_ENTRY_BYTES = 1024  # what an entry takes beside its answer's body

Key = tuple[str, "Pool", str]  # owner, pool, what the client sent


def fingerprint(operation: str, session: str | None, document: Document, answer: str) -> bytes:
    """What a request asks for, short enough to be kept; how it is to be treated, such as its deadline, is no part."""
    named = "\0".join((operation, "" if session is None else f"={session}", document.format, answer))
    whole = sha256(b"%d:%b" % (len(named), named.encode()))
    whole.update(document.body)
    return whole.digest()


def given_key(header: bytes) -> str:
    """The key in a header. Raises `Problem` 400."""
    if not 0 < len(header) <= _LONGEST_KEY or not header.isascii() or not header.decode("ascii").isprintable():
        detail = f"Idempotency-Key is 1 to {_LONGEST_KEY} printable characters."
        raise Problem(400, "bad_header", detail, header="Idempotency-Key", outcome="not_started")
    return header.decode("ascii")


class Entry:
    """One key: what was asked for with it, and what came of that."""

    __slots__ = ("at", "fingerprint", "nbytes", "outcome")

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self.outcome: Document | Problem | None = None  # once it is over
        self.at = 0.0  # when that was
        self.nbytes = 0


class Share:
    """What is kept of one owner."""

    __slots__ = ("entries", "nbytes")

    def __init__(self) -> None:
        self.entries: OrderedDict[Key, Entry] = OrderedDict()  # in the order in which they ended
        self.nbytes = 0


class Kept:
    """The answers of one server."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running: dict[Key, Entry] = {}
        self._shares: dict[str, Share] = {}  # by owner, of those of whom something is kept
        self._ended_order: OrderedDict[Key, None] = OrderedDict()  # of all owners
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._ended_order)

    async def answer(
        self, key: Key, fingerprint: bytes, call: Coroutine[Any, Any, Document], tells_all: bool
    ) -> tuple[Document, bool]:
        """What comes of the call, and whether that was kept from an earlier one, which `call` then does not repeat.

        Raises the problem that the call raised, or the earlier one; `Problem` 422 if that was another call, 409 while
        it runs, and 503 if too many run. `tells_all` leaves in a problem what administrators read. Cancelling leaves
        the call running.
        """
        self._forget_old()
        entry = self._running.get(key) or self._find(key)
        if entry is None:
            try:
                return await asyncio.shield(self._begin(key, fingerprint, call)), False
            except Problem as problem:
                raise problem.again(tells_all=tells_all, headers={}) from None
        call.close()
        if entry.fingerprint != fingerprint:
            detail = "The Idempotency-Key was used for another call."
            raise Problem(422, "idempotency_mismatch", detail, outcome="not_started")
        if entry.outcome is None:
            raise _later(409, "idempotency_running", "The first call with this key still runs.", "unknown")
        if isinstance(entry.outcome, Problem):
            raise entry.outcome.again(tells_all=tells_all, headers={REPLAYED: "true"})
        return entry.outcome, True

    def _find(self, key: Key) -> Entry | None:
        share = self._shares.get(key[0])
        return None if share is None else share.entries.get(key)

    def _begin(self, key: Key, fingerprint: bytes, call: Coroutine[Any, Any, Document]) -> asyncio.Task[Document]:
        if len(self._running) >= MOST_ENTRIES:
            call.close()
            raise _later(503, "idempotency_full", "Too many calls with keys are running.", "not_started")
        entry = self._running[key] = Entry(fingerprint)
        task = asyncio.ensure_future(call)
        task.add_done_callback(lambda task: self._ended(key, entry, task))
        return task

    def _ended(self, key: Key, entry: Entry, task: asyncio.Task[Document]) -> None:
        del self._running[key]
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or (error is not None and not isinstance(error, Problem)):
            return  # ours: whether the call ran is not known, and asking again says so
        if error is None:
            document = task.result()
            entry.outcome, size = document, len(document.body)
        elif error.members.get("outcome") == "not_started":
            return
        else:
            # A copy: an exception that was raised holds all that was at hand there, the request's body too.
            entry.outcome, size = error.again(tells_all=True, headers={}), len(error.body())
        entry.at, entry.nbytes = self._now(), _ENTRY_BYTES + size
        self._keep(key, entry)
        self._forget_old()

    def _keep(self, key: Key, entry: Entry) -> None:
        share = self._shares.setdefault(key[0], Share())
        share.entries[key] = entry
        self._ended_order[key] = None
        share.nbytes += entry.nbytes
        self.nbytes += entry.nbytes

    def _drop(self, key: Key) -> None:
        share = self._shares[key[0]]
        nbytes = share.entries.pop(key).nbytes
        del self._ended_order[key]
        share.nbytes -= nbytes
        self.nbytes -= nbytes
        if not share.entries:
            del self._shares[key[0]]

    def _forget_old(self) -> None:
        """Drop what is old, and what there is no room for."""
        since = self._now() - KEPT_S
        while self._ended_order:
            oldest = next(iter(self._ended_order))
            if self._shares[oldest[0]].entries[oldest].at > since:
                break
            self._drop(oldest)
        while self.nbytes > MOST_BYTES or len(self._ended_order) > MOST_ENTRIES:
            largest = max(self._shares.values(), key=lambda share: share.nbytes)
            self._drop(next(iter(largest.entries)))


def _later(status: int, code: str, detail: str, outcome: str) -> Problem:
    return Problem(status, code, detail, headers={"Retry-After": "1"}, outcome=outcome)
