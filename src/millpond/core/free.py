"""Which workers have a free place, and which of them had better get a call or a session: found without a walk.

Ranks follow the facts they are derived from (`inflight`, `sessions`), so that no call pays for the number of workers:
constant for a call, logarithmic for a session's binding. `dispatch` asks, and tells of each change.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from millpond.core.machine import Machine
    from millpond.core.worker import Worker

UNRANKED = -1
Rank = tuple[int, float]  # sessions, and since when it is idle
SPARSE = 64  # superseded entries that are always let stand


class ByLoad:
    """Workers with a free place by the calls they hold, one level a number; only with `concurrency` above one."""

    __slots__ = ("_levels", "_lowest")

    def __init__(self, places: int) -> None:
        self._levels: list[dict[int, Worker]] = [{} for _ in range(places)]  # calls held -> id -> worker
        self._lowest = 0  # no level below it holds anybody

    def put(self, worker: Worker, load: int) -> None:
        """The worker holds so many calls now, and has a free place."""
        if worker.level != load:
            self.remove(worker)
            self._levels[load][worker.id] = worker
            worker.level = load
            self._lowest = min(self._lowest, load)

    def remove(self, worker: Worker) -> None:
        """It has no free place."""
        if worker.level != UNRANKED:
            del self._levels[worker.level][worker.id]
            worker.level = UNRANKED

    def least(self) -> Worker | None:
        """One that holds the fewest calls, the one that came to so few last."""
        for load in range(self._lowest, len(self._levels)):
            if self._levels[load]:
                self._lowest = load
                return next(reversed(self._levels[load].values()))
        return None


class BySessions:
    """Workers by their sessions and how long they are idle: a heap whose entries are put right when they are in front.

    A worker's valid entry says `worker.rank`, which is never above what it should be. Entries of workers that proved
    busy are dropped, and made anew when those are free again: each correction follows a call, which pays for it once.
    """

    __slots__ = ("_entries", "_order", "_ranked")

    def __init__(self) -> None:
        self._entries: list[tuple[Rank, int, Worker]] = []  # heap of (rank, order of arrival, worker)
        self._order = itertools.count()
        self._ranked = 0  # workers that have a valid entry

    def put(self, worker: Worker) -> None:
        """The worker is free, or a session has left it."""
        rank = _rank(worker)
        if worker.rank is None:
            self._ranked += 1
        elif worker.rank <= rank:
            return
        worker.rank = rank
        heapq.heappush(self._entries, (rank, next(self._order), worker))
        if len(self._entries) > 2 * self._ranked + SPARSE:
            valid = {one.id: (rank, order, one) for rank, order, one in self._entries if rank == one.rank}
            self._entries = list(valid.values())
            heapq.heapify(self._entries)

    def remove(self, worker: Worker) -> None:
        """It takes no session any more, or not now."""
        if worker.rank is not None:
            worker.rank = None
            self._ranked -= 1

    def fewest(self, free: Collection[int]) -> Worker | None:
        """One of the free workers with the fewest sessions, the one that is free longest."""
        entries = self._entries
        while entries:
            rank, order, worker = entries[0]
            if rank != worker.rank or worker.id not in free:
                heapq.heappop(entries)
                if rank == worker.rank:
                    self.remove(worker)
            elif rank < (now := _rank(worker)):
                worker.rank = now
                heapq.heapreplace(entries, (now, order, worker))
            else:
                return worker
        return None

    def __contains__(self, worker: Worker) -> bool:
        return any(rank == worker.rank and one is worker for rank, _, one in self._entries)


def _rank(worker: Worker) -> Rank:
    return len(worker.sessions), worker.idle_since


def enter(m: Machine, worker: Worker) -> None:
    """A ready worker has a free place. With private processes one that has a session is free for nobody else."""
    if m.is_private and worker.sessions:
        return
    m.idle[worker.id] = worker
    if worker.rank is None:
        m.by_sessions.put(worker)
    if m.has_ranks:
        loaded(m, worker, worker.load)


def loaded(m: Machine, worker: Worker, load: int) -> None:
    """What the worker holds has changed, and it has a free place still."""
    if worker.id not in m.idle:
        return
    if m.concurrency > 1:
        m.by_load.put(worker, load)
    if m.is_private and m.may_open(worker):
        m.fresh[worker.id] = worker
    else:
        m.fresh.pop(worker.id, None)


def leave(m: Machine, worker: Worker) -> None:
    """The worker has no free place for just anybody."""
    m.idle.pop(worker.id, None)
    m.by_load.remove(worker)
    m.fresh.pop(worker.id, None)


def session_left(m: Machine, worker: Worker) -> None:
    """A session was taken from the worker."""
    if worker.rank is not None:
        m.by_sessions.put(worker)


def for_call(m: Machine) -> Worker | None:
    """The free worker for a call without a session: the one with the fewest calls, the one used last among equals."""
    if m.concurrency > 1:
        return m.by_load.least()
    return m.idle[next(reversed(m.idle))] if m.idle else None


def for_session(m: Machine) -> Worker | None:
    """The free worker for a session without one: that with the fewest sessions; a private one that ran nothing yet."""
    if m.is_private:
        return next(iter(m.fresh.values()), None)
    return m.by_sessions.fewest(m.idle)
