"""The heart: takes a stimulus and the time, changes the records, and puts orders into the outbox.

Orders are `(verb, subject, detail)`: send, withdraw, interrupt, finish, start, stop, kill, ping, forget, say, opened.
No I/O, no clock, no randomness of its own: what is simulated or tested is what runs. Each ending leaves by `finish`.
Who gets what is in `dispatch`, workers' lives in `fleet`, sessions in `affinity`, the pool's own life in `lifetime`.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import affinity, dispatch, due, fleet, leaving, lifetime, losses
from millpond.core.breaker import Breaker, BreakerRule
from millpond.core.call import ENDED, ENDINGS, QUEUED, RUNNING, TRANSITIONS, Call
from millpond.core.deadlines import Agenda, Wheel
from millpond.core.operation import Operation
from millpond.core.queue import CallQueue
from millpond.core.session import OPEN, Session, SessionBook
from millpond.core.sizing import Sizing
from millpond.core.transitions import move
from millpond.core.worker import READY, Worker
from millpond.errors import CLASSES, HandlerError, PoolError
from millpond.seams import FUNCTION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from millpond.errors import Ending, Outcome
    from millpond.seams import AnswerKind, Chance, Death, HandlerFacts
    from millpond.settings import Settings

FUNCTIONS = 64  # functions with a breaker of their own; the rest share one
SESSION_FAILED = 4  # answer flag: the session's opening hook failed, it is not open in the worker
Order = tuple[str, Any, Any]


def _hears_nothing(_name: str) -> bool:
    return False


class Machine:
    """The state of one pool. Its methods are stimuli; `outbox` is emptied by whoever carries the orders out.

    The records below are shared with the modules that decide on them (`dispatch`, `affinity`, `fleet`, `leaving`,
    `losses`, `lifetime`); nobody outside the core changes them.
    """

    def __init__(self, settings: Settings, random: Chance) -> None:
        self.settings = settings
        self.random = random
        self.outbox: list[Order] = []
        self.hears: Callable[[str], bool] = _hears_nothing  # whether anybody listens to an event's name
        self.state = lifetime.NEW
        self.concurrency = settings.concurrency
        self.is_private = settings.isolation == "process"
        self.workers: dict[int, Worker] = {}  # id -> worker, until it is gone
        self.idle: dict[int, Worker] = {}  # ready with a free place, the one used last at the end
        self.open_windows: OrderedDict[int, Worker] = OrderedDict()  # ready and not stalled, in turn
        self.queue = CallQueue()  # calls without a session
        self.openers = CallQueue()  # calls of sessions that are not bound to a worker
        self.shelf: dict[int, Call] = {}  # calls pausing before a retry
        self.operations: dict[str, Operation] = {}  # the handler's, by name
        self.functions: dict[str, Operation] = {}  # those given to `run`, by qualified name
        self.has_close_hook = False
        self.sizing = Sizing(
            settings.min_workers, settings.max_workers, settings.restart_backoff, settings.restart_backoff_max
        )
        self.book = SessionBook(remembered=settings.max_sessions)
        self.wheel = Wheel()
        self.agenda = Agenda()
        self.call_ids = itertools.count(1)
        self.worker_ids = itertools.count(1)
        self.counts: dict[str, int] = dict.fromkeys(ENDINGS, 0)
        self.codes: dict[str, int] = {}  # error code -> calls it was given to
        self.submitted = 0
        self.queued = 0
        self.queued_bytes = 0
        self.unended = 0
        self.late_answers = 0
        self.retries = 0
        self.starts = 0
        self.ready_count = 0
        self.failure = ""  # why starts fail, while they do
        self.failed_at = 0.0
        self.chores_at = 0.0
        self.chores_done = 0
        self.is_watching_stalls = False
        self.is_watching_backlog = False

    # Calls come in

    def knows(self, facts: HandlerFacts) -> None:
        """Take note of the handler's operations and hooks."""
        for number, operation in enumerate(facts.operations, start=1):
            self.operations[operation.name] = Operation(operation.name, number, operation, self.new_breaker())
        self.has_close_hook = "close_session" in facts.hooks

    def function(self, name: str) -> Operation:
        """The record of a function given to `run`: one a name, at most 64, then one for the rest."""
        operation = self.functions.get(name)
        if operation is None:
            name = name if len(self.functions) < FUNCTIONS else "(other functions)"
            operation = self.functions.setdefault(name, Operation(name, FUNCTION, None, self.new_breaker()))
        return operation

    def new_breaker(self) -> Breaker:
        """A closed breaker with the pool's rule."""
        s = self.settings
        return Breaker(BreakerRule(s.breaker_faults, s.breaker_share, s.breaker_window, s.breaker_reset))

    def refusal(self, op: Operation, session: Session | None, now: float, nbytes: int = 0) -> PoolError | None:
        """Why a call would be refused now, or `None`; changes nothing. The order is: pool, session, queue, breaker."""
        if self.state != lifetime.SERVING:
            return lifetime.closed_error(self)
        if session is not None and (session.state != OPEN or (session.affinity == "fail_fast" and session.current)):
            return affinity.refusal(session)
        bound, bytes_bound = self.settings.max_queued, self.settings.max_queued_bytes
        if bound is not None and self.unended >= bound + self.ready_count * self.concurrency:
            return self._queue_full(f"{self.unended} calls are in the pool, max_queued is {bound}")
        if bytes_bound is not None and self.queued and self.queued_bytes + nbytes > bytes_bound:
            return self._queue_full(f"{self.queued_bytes} bytes wait, max_queued_bytes is {bytes_bound}")
        wait = op.breaker.wait(now)
        if wait is not None:
            return CLASSES["circuit_open"](
                f"operation {op.name!r} keeps killing or hanging its workers; its breaker is open for {wait:.2f} s",
                retry_after=wait,
            )
        return None

    def reject(self, error: PoolError) -> PoolError:
        """Count a call that was refused before it was admitted, and give the error back to be raised."""
        self.submitted += 1
        self.counts["rejected"] += 1
        self.codes[error.code] = self.codes.get(error.code, 0) + 1
        return error

    def submit(self, call: Call, now: float) -> None:
        """Admit a call and place it, or raise the `PoolError` that refuses it."""
        refused = self.refusal(call.op, call.session, now, call.nbytes)
        if refused is not None:
            raise self.reject(refused)
        self.submitted += 1
        self.unended += 1
        self.queued += 1
        self.queued_bytes += call.nbytes
        call.op.breaker.admitted(call.id, now)
        self._admit(call, now)
        session = call.session
        if session is not None and session.affinity == "fail_fast" and call.state == QUEUED and session.worker:
            self.end_queued(call, "rejected", affinity.busy(session), now)

    def submit_chore(self, call: Call, now: float) -> None:
        """Admit one of the pool's own errands on a session; it is in no ledger of calls."""
        self._admit(call, now)

    def _admit(self, call: Call, now: float) -> None:
        call.submitted_at = now
        call.key = now - call.priority * self.settings.priority_age
        if call.deadline != math.inf:
            self.wheel.add(call)
        dispatch.place(self, call, now)

    # Calls go out

    def answered(
        self,
        worker: Worker,
        call_id: int,
        kind: AnswerKind,
        value: Any,
        started: float,
        ended: float,
        flags: int,
        now: float,
    ) -> None:
        """The worker answered. What matches no call it holds is counted and dropped."""
        call = worker.inflight.pop(call_id, None)
        worker.last_progress = now
        worker.is_stalled = False
        if call is None:
            if kind == "skipped" and worker.skips:
                worker.skips -= 1
            else:
                self.late_answers += 1
        else:
            worker.expected_s -= call.expected
            worker.answered += 1
            if call.state == RUNNING:
                self._answer(call, kind, value, started, ended, flags, now)
            else:
                self._late_answer(worker, call, kind, now)
            if call.session is not None and call.state == ENDED:
                affinity.call_left(self, call.session, call, now)
        dispatch.settle(self, worker, now)
        if worker.queue or self.queue or self.openers:
            dispatch.pump(self, worker, now)
        fleet.after_answer(self, worker, now)

    def _answer(
        self, call: Call, kind: AnswerKind, value: Any, started: float, ended: float, flags: int, now: float
    ) -> None:
        if kind == "ok":
            call.op.learn(ended - started)
            if ended > call.deadline:
                self._expire(call, "completed", now)
            else:
                self.finish(call, "ok", value, now)
        elif kind == "failed":
            call.op.learn(ended - started)
            if flags & SESSION_FAILED and call.session is not None:
                call.session.unbind()
            self.finish(call, "failed", value, now)
        elif kind == "expired":
            self._expire(call, "not_started", now)
        elif kind == "skipped":
            dispatch.put_back(self, call)
        else:
            self.finish(call, "failed", HandlerError("the operation raised Interrupted by itself"), now)

    def _late_answer(self, worker: Worker, call: Call, kind: AnswerKind, now: float) -> None:
        """The answer of a call its caller has left: dropped, and its place is free again."""
        if kind not in ("interrupted", "skipped", "expired"):
            self.late_answers += 1
        if self.settings.on_interrupt == "replace" and call.on_cancel == "interrupt" and worker.state == READY:
            fleet.drain(self, worker, "interrupted", now)

    def finish(self, call: Call, ending: Ending, value: Any, now: float) -> None:
        """The one step by which every call ends; `value` is the result or the exception."""
        move(call, ENDED, TRANSITIONS)
        call.ending = ending
        if call.deadline != math.inf:
            self.wheel.discard(call)
        if call.is_chore:
            affinity.chore_ended(self, call, ending, value, now)
            return
        call.op.ended += 1
        self.unended -= 1
        self.counts[ending] += 1
        if ending != "ok":
            self._note_failure(call, value, now)
        elif call.op.breaker.probe is not None:
            self._breaker_told(call, now, success=True)
        self.outbox.append(("finish", call, value))

    def _note_failure(self, call: Call, error: BaseException, now: float) -> None:
        code = "handler_error"
        if isinstance(error, PoolError):
            error.call_id, error.attempts, code = call.id, call.attempts, error.code
        self.codes[code] = self.codes.get(code, 0) + 1
        if call.op.breaker.probe is not None:
            self._breaker_told(call, now, success=call.ending == "failed")

    def _breaker_told(self, call: Call, now: float, success: bool) -> None:
        if call.op.breaker.probe_ended(call.id, now, success):
            self.say(events.BreakerChanged, call.op.name, "half_open", "closed")

    def breaker_fault(self, call: Call, now: float) -> None:
        """The call cost its worker, or outran its deadline while it ran."""
        before = call.op.breaker.state
        if call.op.breaker.fault(call.id, now, call.op.ended + 1):
            self.say(events.BreakerChanged, call.op.name, before, "open")

    def end_queued(self, call: Call, ending: Ending, error: PoolError, now: float) -> None:
        """End a call that waits, wherever it does."""
        if call.place is not None:
            call.place.remove(call)
        else:
            del self.shelf[call.id]
        if not call.is_chore:
            self.queued -= 1
            self.queued_bytes -= call.nbytes
        self.finish(call, ending, error, now)
        if call.session is not None:
            affinity.call_left(self, call.session, call, now)

    def _expire(self, call: Call, outcome: Outcome, now: float) -> None:
        self.finish(call, "expired", leaving.farewell(self, call, "deadline_exceeded", outcome, now), now)

    def cancel(self, call: Call, now: float) -> None:
        """The caller gives the call up."""
        leaving.leave(self, call, "cancelled", now)

    def withdrawn(self, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
        """What came of an order to withdraw a call: proven that it did not start, or not."""
        leaving.withdrawn(self, worker, call, is_proven, now)

    # Workers and time

    def worker_gone(self, worker: Worker, death: Death, started: Collection[int], now: float) -> None:
        """A worker is dead, all its answers were taken, and of the calls it held `started` had begun."""
        losses.worker_gone(self, worker, death, started, now)

    def next_at(self) -> float:
        """When `tick` is next due; infinite when nothing is."""
        return min(self.wheel.next_at(), self.agenda.next_at())

    def tick(self, now: float) -> None:
        """Do what is due."""
        for call in self.wheel.due(now):
            leaving.leave(self, call, "deadline_exceeded", now)
        for verb, subject in self.agenda.due(now):
            due.DUE[verb](self, subject, now)

    def backlog_seen(self, now: float) -> None:
        """A call has to wait: consider growing, if there is room and it still waits in a moment."""
        if not self.is_watching_backlog and (self.is_private or self.sizing.wanted < self.sizing.high):
            self.is_watching_backlog = True
            self.agenda.add(now + (fleet.GROW_AFTER if self.workers else 0.0), "backlog")

    def say(self, kind: type[events.Event], *facts: Any) -> None:
        """Put an event into the outbox, if anybody listens."""
        if self.hears(kind.name):
            self.outbox.append(("say", kind(*facts), None))

    def may_open(self, worker: Worker) -> bool:
        """Whether a session may be bound to the worker: with private processes only one that ran nothing yet."""
        if worker.state != READY:
            return False
        return not self.is_private or not (worker.sessions or worker.answered or worker.inflight)

    def _queue_full(self, numbers: str) -> PoolError:
        expected = sum(w.expected_s for w in self.workers.values()) / max(1, self.ready_count)
        return CLASSES["queue_full"](
            f"{numbers}; {self.ready_count} workers x {self.concurrency} are serving. "
            "Try again later, raise the bound, or raise max_workers",
            retry_after=round(max(0.05, min(expected, 30.0)), 3),
        )
