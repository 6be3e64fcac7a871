"""Stores for tests: one that waits at each commit until it may go on, and fails when it is told to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from millpond.errors import StoreFailed
from millpond.seams import SessionRecord
from millpond.sessions.memory import MemoryStore

WAIT_S = 60.0


class SlowStore(MemoryStore):
    """A store with a thread of its own; `batches` are what was committed together, erasures as (id, generation).

    After `hold()` each `put_many` waits for `release()`. The next operations raise what is put into `failures`.
    """

    is_immediate = False
    survives = True

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[SessionRecord] | list[tuple[str, int]]] = []
        self.failures: deque[Exception] = deque()
        self.is_held = threading.Event()  # a commit waits
        self.threads: set[int] = set()
        self._goes_on = threading.Event()
        self._goes_on.set()

    def hold(self) -> None:
        self.is_held.clear()
        self._goes_on.clear()

    def release(self) -> None:
        self._goes_on.set()

    def wait_held(self) -> None:
        assert self.is_held.wait(WAIT_S)

    def put_many(self, records: Sequence[SessionRecord]) -> None:
        self.is_held.set()
        assert self._goes_on.wait(WAIT_S)
        self._maybe_fail()
        self.batches.append(list(records))
        super().put_many(records)

    def delete_many(self, erased: Sequence[tuple[str, int]]) -> None:
        self._maybe_fail()
        self.batches.append(list(erased))
        super().delete_many(erased)

    def get(self, session_id: str) -> SessionRecord | None:
        self._maybe_fail()
        return super().get(session_id)

    def close(self) -> None:
        """What survives is not forgotten."""

    def _maybe_fail(self) -> None:
        self.threads.add(threading.get_ident())
        if self.failures:
            raise self.failures.popleft()


def full() -> StoreFailed:
    return StoreFailed("the disk is full")
