"""What outsiders may know of the core: one read-only look at its records, cheap enough to be taken at any time.

Numbers and mappings as they are at this moment; only what says so walks over calls or sessions. Nothing may be changed
through it. Plain numbers may be read on any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from millpond.core.records.call import ENDED
from millpond.core.records.states import AVAILABLE, LOST, STAFFED
from millpond.core.stimuli import lifetime

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.counters import Counters
    from millpond.core.records.ended import EndedCalls
    from millpond.core.records.gone import GoneWorker
    from millpond.core.records.operation import Operation
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.sizing import SizingRule
    from millpond.core.records.worker import Worker
    from millpond.settings import Settings


class View:
    """One pool at this moment."""

    __slots__ = ("_records", "functions", "operations", "starting", "workers")

    def __init__(self, records: Records) -> None:
        self._records = records
        self.workers: Mapping[int, Worker] = MappingProxyType(records.workers)  # by id, until they are gone
        self.starting: Mapping[int, Worker] = MappingProxyType(records.starting)  # those that start or are warmed
        self.operations: Mapping[str, Operation] = MappingProxyType(records.operations)  # the handler's, by name
        self.functions: Mapping[str, Operation] = MappingProxyType(records.functions)  # those given to `run`

    # The pool

    @property
    def state(self) -> str:
        """The pool's state, of the table."""
        return self._records.state

    @property
    def is_staffed(self) -> bool:
        """Whether the pool is in a state in which it keeps its workers up."""
        return self._records.state in STAFFED

    @property
    def settings(self) -> Settings:
        """The settings it goes by now."""
        return self._records.settings

    @property
    def concurrency(self) -> int:
        """Calls a worker runs at a time."""
        return self._records.concurrency

    def health(self) -> tuple[str, str]:
        """The pool's state as people see it, with the reason if it is degraded."""
        return lifetime.health(self._records)

    # Calls

    @property
    def unended(self) -> int:
        """Calls that wait or run."""
        return self._records.unended

    @property
    def queued(self) -> int:
        """Calls that wait."""
        return self._records.queued

    @property
    def queued_bytes(self) -> int:
        """Bytes of their arguments."""
        return self._records.queued_bytes

    @property
    def submitted(self) -> int:
        """Calls since the pool was made, refused ones included."""
        return self._records.submitted

    @property
    def counts(self) -> Mapping[str, int]:
        """Ending -> calls."""
        return MappingProxyType(self._records.counts)

    @property
    def codes(self) -> Mapping[str, int]:
        """Error code -> calls it was given to."""
        return MappingProxyType(self._records.codes)

    @property
    def retries(self) -> int:
        """Calls that were tried once more after their worker died of them, perhaps."""
        return self._records.retries

    @property
    def late_answers(self) -> int:
        """Answers that nobody waited for any more."""
        return self._records.late_answers

    def waiting(self) -> list[Call]:
        """The calls in the shared queue; the one look here that walks."""
        return list(self._records.queue)

    def calls(self) -> Iterator[Call]:
        """Each call that waits or runs, once, in no order; internal ones are not among them. Walks over all."""
        pool = self._records
        queues = (pool.queue, pool.unbound, *(worker.queue for worker in pool.workers.values()))
        held = (worker.inflight.values() for worker in pool.workers.values())
        lines = (session.waiting.values() for session in pool.sessions if session.waiting)
        for call in chain(pool.delayed.values(), *queues, *held, *lines, pool.committing.values()):
            if call.state != ENDED and call.continuation is None:
                yield call

    @property
    def ended_calls(self) -> EndedCalls:
        """What is remembered of calls that failed lately, or were slow."""
        return self._records.ended

    def oldest_wait(self, now: float) -> float:
        """Seconds that any call has waited for a worker, at most; those behind their session's own call do not."""
        pool = self._records
        queues = (pool.queue, pool.unbound, *(worker.queue for worker in pool.workers.values()))
        waiting = [since for queue in queues if (since := queue.oldest()) is not None]
        waiting += (call.submitted_at for call in pool.delayed.values())
        return now - min(waiting) if waiting else 0.0

    def all_operations(self) -> Iterator[Operation]:
        """The handler's operations, then the functions."""
        return chain(self.operations.values(), self.functions.values())

    # Workers

    @property
    def ready_count(self) -> int:
        """Workers that serve."""
        return self._records.ready_count

    @property
    def wanted(self) -> int:
        """Workers that are to serve."""
        return self._records.sizing.wanted

    @property
    def low(self) -> int:
        """The fewest that may be wanted."""
        return self._records.sizing.low

    @property
    def high(self) -> int:
        """The most that may be wanted."""
        return self._records.sizing.high

    @property
    def rule(self) -> SizingRule:
        """By which it is sized."""
        return self._records.sizing.rule

    @property
    def start_seconds(self) -> float:
        """How long a worker takes to start, a moving average; 0 while unknown."""
        return self._records.sizing.start_s

    @property
    def starts(self) -> int:
        """Workers that were started; the newest one's id."""
        return self._records.starts

    @property
    def fails(self) -> int:
        """Starts that failed since the last that did not."""
        return self._records.sizing.fails

    @property
    def failure(self) -> str:
        """Why starts fail, while they do; or why the pool could not be opened."""
        return self._records.failure

    @property
    def failed_start(self) -> int:
        """The id of the newest worker that could not start."""
        return self._records.failed_start

    @property
    def is_engine_lost(self) -> bool:
        """Whether no worker can be made: the engine is lost, or tried again at this moment."""
        return self._records.engine.state != AVAILABLE

    @property
    def is_engine_retried(self) -> bool:
        """Whether the engine is not only lost, but the first try to have it again has failed."""
        engine = self._records.engine
        return engine.state == LOST and engine.losses > 1  # the first loss is followed by a try at once

    @property
    def engine_failure(self) -> str:
        """Why no worker can be made; empty while the engine is there."""
        return self._records.engine.why

    @property
    def warm_failures(self) -> Mapping[str, int]:
        """Warm-up command -> times it failed."""
        return MappingProxyType(self._records.warm_failures)

    @property
    def gone_workers(self) -> Sequence[GoneWorker]:
        """The last workers that went, the newest at the end."""
        return self._records.gone.last()

    @property
    def counters(self) -> Counters:
        """What is counted beside the ledger of calls."""
        return self._records.counters

    # Sessions

    @property
    def sessions_open(self) -> int:
        """Open and closing sessions."""
        return len(self._records.sessions)

    @property
    def sessions_asleep(self) -> int:
        """Those of whose state nothing is in this process."""
        return self._records.asleep

    @property
    def pinned(self) -> Mapping[int, Session]:
        """Number -> session that cannot leave its worker."""
        return MappingProxyType(self._records.pinned)

    def sessions(self) -> Iterator[Session]:
        """All sessions there are: open, closing, and lost ones whose caller was not told yet. Walks over them."""
        return self._records.sessions.known()

    def session(self, session_id: str) -> Session | None:
        """The open session of that id, or the lost one, or `None`."""
        return self._records.sessions.find(session_id)

    # Time

    def is_late(self, now: float) -> bool:
        """Whether the pool should have been woken a while ago: what came in meanwhile is to be read first."""
        return self._records.is_late(now)

    def stood_still(self, since: float, now: float) -> float:
        """Seconds since then in which the pool did not run."""
        return self._records.stood_still(since, now)
