"""Which workers have a free slot, and which of them had better get a call or a session: found without a walk.

Ranks follow the facts they are derived from (`inflight`, `sessions`), so that no call pays for the number of workers:
constant for a call, logarithmic for a session's binding. Told of each change by `dispatch`; decides nothing else.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING

from millpond.core.records.worker import READY, UNRANKED

if TYPE_CHECKING:
    from collections.abc import Collection

    from millpond.core.records.worker import Rank, Worker

SPARSE = 64  # superseded entries that are always let stand


class ByLoad:
    """Workers with a free slot by the calls they hold, one level a number; only with `concurrency` above one."""

    __slots__ = ("_levels", "_lowest")

    def __init__(self, slots: int) -> None:
        self._levels: list[dict[int, Worker]] = [{} for _ in range(slots)]  # calls held -> id -> worker
        self._lowest = 0  # no level below it holds anybody

    def put(self, worker: Worker, load: int) -> None:
        """The worker holds so many calls now, and has a free slot."""
        if worker.level != load:
            self.remove(worker)
            self._levels[load][worker.id] = worker
            worker.level = load
            self._lowest = min(self._lowest, load)

    def remove(self, worker: Worker) -> None:
        """It has no free slot."""
        if worker.level != UNRANKED:
            del self._levels[worker.level][worker.id]
            worker.level = UNRANKED

    @property
    def unused(self) -> int:
        """Workers that hold no call."""
        return len(self._levels[0])

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


class FreeSlots:
    """The ready workers with a free slot. With private processes one that has a session is free for nobody else."""

    __slots__ = ("_by_load", "_concurrency", "by_sessions", "fresh", "has_ranks", "idle", "is_private")

    def __init__(self, concurrency: int, is_private: bool) -> None:
        self._concurrency = concurrency
        self.is_private = is_private
        self.has_ranks = is_private or concurrency > 1  # whether it matters which of the idle workers it is
        self.idle: dict[int, Worker] = {}  # id -> worker with a free slot, the one used last at the end
        self.fresh: OrderedDict[int, Worker] = OrderedDict()  # with private processes: idle ones that ran nothing yet
        self.by_sessions = BySessions()  # idle ones and some that are not
        self._by_load = ByLoad(concurrency if concurrency > 1 else 0)

    def add(self, worker: Worker) -> None:
        """A ready worker has a free slot."""
        if self.is_private and worker.sessions:
            return
        self.idle[worker.id] = worker
        if worker.rank is None:
            self.by_sessions.put(worker)
        if self.has_ranks:
            self.load_changed(worker, worker.load)

    def load_changed(self, worker: Worker, load: int) -> None:
        """What the worker holds has changed, and it has a free slot still."""
        if worker.id not in self.idle:
            return
        if self._concurrency > 1:
            self._by_load.put(worker, load)
        if self.is_private and self.may_open(worker):
            self.fresh[worker.id] = worker
        else:
            self.fresh.pop(worker.id, None)

    def remove(self, worker: Worker) -> None:
        """The worker has no free slot for just anybody."""
        self.idle.pop(worker.id, None)
        self._by_load.remove(worker)
        self.fresh.pop(worker.id, None)

    def forget(self, worker: Worker) -> None:
        """The worker serves no more."""
        self.by_sessions.remove(worker)
        self.remove(worker)

    def session_left(self, worker: Worker) -> None:
        """A session was taken from the worker; a private one that could not be begun leaves its worker to others."""
        if worker.rank is not None:
            self.by_sessions.put(worker)
        if self.is_private and worker.state == READY and worker.load < worker.slots and worker.id not in self.idle:
            self.add(worker)

    def may_open(self, worker: Worker) -> bool:
        """Whether a session may be bound to the worker: with private processes only one that ran nothing yet."""
        if worker.state != READY:
            return False
        return not self.is_private or not (worker.sessions or worker.answered or worker.load)

    @property
    def unused(self) -> int:
        """Workers that hold nothing."""
        return self._by_load.unused if self._concurrency > 1 else len(self.idle)

    def for_call(self) -> Worker | None:
        """The worker for a call without a session: the one with the fewest calls, the one used last among equals."""
        if self._concurrency > 1:
            return self._by_load.least()
        return self.idle[next(reversed(self.idle))] if self.idle else None

    def for_session(self) -> Worker | None:
        """The worker for an unbound session: that with the fewest sessions; a private one that ran nothing yet."""
        if self.is_private:
            return next(iter(self.fresh.values()), None)
        return self.by_sessions.fewest(self.idle)
