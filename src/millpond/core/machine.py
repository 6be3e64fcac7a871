"""The heart: takes a stimulus and the time, changes the records, and puts orders into the outbox.

Orders are `(verb, subject, detail)`: send, withdraw, interrupt, finish, start, stop, kill, ping, check, look, weigh,
forget, session_closed, store, recall, erase, say. No I/O, no clock, no randomness of its own: what is simulated or
tested is what runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import (
    admission,
    affinity,
    answers,
    aside,
    dispatch,
    due,
    endings,
    failures,
    fleet,
    growth,
    keeping,
    leaving,
    lifetime,
    losses,
    moving,
    sleeping,
)
from millpond.core.call import ENDED, QUEUED, RUNNING, TRANSITIONS, Call
from millpond.core.deadlines import TICKS
from millpond.core.lifetime import OPENING
from millpond.core.operation import Operation
from millpond.core.records import Records
from millpond.core.sizing import GROW_AFTER
from millpond.core.standstill import LATE_S
from millpond.core.transitions import move
from millpond.core.worker import READY, Worker
from millpond.errors import PoolError
from millpond.seams import FUNCTION

if TYPE_CHECKING:
    from collections.abc import Collection

    from millpond.core.session import Session
    from millpond.seams import AnswerKind, Death, HandlerFacts, SessionRecord

FUNCTIONS = 64  # functions with a breaker of their own; the rest share one
OTHERS = "(other functions)"


class Machine(Records):
    """One pool. Its methods are stimuli; `outbox` is emptied by whoever carries the orders out.

    A call meets `admission`, `dispatch`, then `answers`, `leaving` or `losses`, and always `endings`. Workers' lives
    are in `fleet`, sessions in `affinity`, the pool's own life in `lifetime`, what time alone causes in `due`.
    """

    __slots__ = ()

    # Calls come in

    def knows(self, facts: HandlerFacts) -> None:
        """Take note of the handler's operations and hooks; one that is known keeps its record and its number."""
        for number, operation in enumerate(facts.operations, start=1):
            known = self.operations.get(operation.name)
            if known is None:
                self.operations[operation.name] = Operation(operation.name, number, operation, self.new_breaker())
            else:
                known.learn_facts(operation)
        self.has_close_hook = "close_session" in facts.hooks
        self.exports_aside = "export_session" not in facts.hooks

    def function(self, name: str) -> Operation:
        """The record of a function given to `run`: one a name, at most 64, then one for the rest.

        Changes nothing, so that callers on other threads may ask; a new one is entered when its first call is.
        """
        functions = self.functions
        known = functions.get(name)
        if known is None and len(functions) >= FUNCTIONS:
            known = functions.get(name := OTHERS)
        if known is None:
            known = Operation(name, FUNCTION, None, self.new_breaker())
            known.is_entered = False
        return known

    def _enter_function(self, call: Call) -> None:
        """The call's record is one of those that are kept, whoever else made another meanwhile."""
        call.op = self.function(call.op.name)
        self.functions[call.op.name] = call.op
        call.op.is_entered = True

    def reject(self, error: PoolError, now: float) -> PoolError:
        """Count a call that was refused before it was admitted, and give the error back to be raised."""
        code = error.code
        self.submitted += 1
        self.counts["rejected"] += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        self.say(events.CallRefused, code)
        growth.note_turned_away(self, error, now)
        return error

    def submit(self, call: Call, now: float, was_asked: bool = False) -> None:
        """Admit a call and place it, or raise the `PoolError` that refuses it.

        `was_asked`: `admission.refusal` was asked in this turn, before the size of the arguments was known.
        """
        if not call.op.is_entered:
            self._enter_function(call)
        refused = None
        if not was_asked:
            refused = admission.refusal(self, call.op, call.session, now, call.nbytes, call.deadline, call.priority)
        elif self.queued:
            refused = admission.too_many_bytes(self, call.op, call.nbytes)
        session = call.session
        if refused is None and session is not None and session.is_restored and session.is_idle:
            refused = moving.told_restored(session)
        if refused is not None:
            move(call, ENDED, TRANSITIONS)  # whoever gives it up from another thread may come too late
            raise self.reject(refused, now)
        call.submitted_at = now
        call.key = now - call.priority * self.settings.priority_age if call.priority else now
        deadline = call.deadline
        is_late = False
        if deadline <= now:  # it took its time from another thread, or it has none
            is_late = True
        elif deadline != math.inf:
            self.wheel.add(call)
        # Nothing from here on raises: what is counted here is counted off by the call's ending only.
        self.submitted += 1
        self.unended += 1
        self.queued += 1
        self.queued_bytes += call.nbytes
        breaker = call.op.breaker
        if breaker.state != "closed":
            before = breaker.state
            breaker.admitted(call.id, now)
            endings.say_if_changed(self, call.op, before)
        if self.tells_starts:
            self.say(events.CallStarted, call.id, call.op.name, call.nbytes)
        if is_late:
            leaving.leave(self, call, "deadline_exceeded", now)
        elif self.state == OPENING:
            self.shelf[call.id] = call  # until `let_in`
        else:
            dispatch.place(self, call, now)
        if session is not None and session.affinity == "fail_fast" and call.state == QUEUED and session.worker:
            endings.end_queued(self, call, "rejected", affinity.busy(session), now)

    def early(self) -> list[Call]:
        """The calls that wait until the pool serves, in their order."""
        return list(self.shelf.values())

    def let_in(self, call: Call, refused: PoolError | None, now: float) -> None:
        """The pool serves: a call that waited for that is placed, or refused for what is known now."""
        if refused is not None:
            endings.end_queued(self, call, "rejected", refused, now)
        elif self.shelf.pop(call.id, None) is not None:
            dispatch.place(self, call, now)

    def admit(self, call: Call, now: float) -> None:
        """Let an errand of the pool's own in, which nothing refuses and no ledger counts; it has no deadline yet."""
        call.submitted_at = call.key = now
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
        nbytes: int = 0,
    ) -> None:
        """The worker answered. What matches no call it holds is counted and dropped."""
        inflight = worker.inflight
        call = inflight.pop(call_id, None)
        worker.last_progress = now
        if worker.is_stalled:
            dispatch.unstall(self, worker, now)
        if call is None:
            answers.unmatched(self, worker, call_id, kind, value, now)
        else:
            if not inflight:
                worker.busy_s += now - worker.busy_since
            worker.expected_s -= call.expected
            if not call.is_chore:
                worker.answered += 1
            call.service_s = ended - started
            call.answer_bytes = nbytes
            if self.tells_checkins:
                self.say(events.WorkerCheckin, worker.id, call_id, call.op.name, call.service_s, len(inflight))
            if self.settings.max_calls is not None:
                fleet.count_call(self, worker, self.settings.max_calls, now)
            session = call.session
            if session is not None:
                answers.session_answered(self, session, call, kind, flags)
            if call.state != RUNNING:
                answers.judge_late(self, worker, call, kind, now)
            elif session is None or not keeping.withholds(self, call, kind, value, ended, now):
                answers.judge(self, call, kind, value, ended, now)
            if session is not None:
                answers.session_came_back(self, session, call, now)
        if len(inflight) < worker.places or worker.id not in self.open_windows:
            dispatch.settle(self, worker, now)
        if worker.queue.size or self.queue.size or self.openers.size:
            dispatch.pump(self, worker, now)
        if self.movers:
            aside.look_for_movers(self, now)
        if self.sizing.fails or worker.state != READY or self.state != lifetime.SERVING:
            fleet.after_answer(self, worker, now)

    def cancel(self, call: Call, now: float) -> None:
        """The caller gives the call up."""
        leaving.leave(self, call, "cancelled", now)

    def withdrawn(self, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
        """What came of an order to withdraw a call: proven that it did not start, or not."""
        leaving.withdrawn(self, worker, call, is_proven, now)

    def order_failed(self, verb: str, subject: Any, detail: Any, error: BaseException, now: float) -> None:
        """An order raised in place of being carried out; see `failures`."""
        failures.order_failed(self, verb, subject, detail, error, now)

    # Sessions' states come and go

    def saved(self, worker: Worker, call_id: int, lease: int, state: Any, reason: str = "") -> None:
        """The state a call of a session leaves, told right before its answer; `None` if it cannot be kept."""
        keeping.saved(worker, call_id, lease, state, reason)

    def stored(self, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
        """A record that was ordered to be stored is, or cannot be."""
        sleeping.stored(self, session, record, error, now)

    def recalled(self, session: Session, record: SessionRecord | None, error: PoolError | None, now: float) -> None:
        """What the store has of a session that was recalled; `None` if nothing."""
        sleeping.recalled(self, session, record, error, now)

    # Workers and time

    def worker_gone(self, worker: Worker, death: Death, started: Collection[int], now: float) -> None:
        """A worker is dead, all its answers were taken, and of the calls it held `started` had begun."""
        losses.worker_gone(self, worker, death, started, now)

    def stood_still(self, since: float, now: float) -> float:
        """Seconds since then in which the pool did not run; a wake-up that is overdue by now counts as well."""
        still_s = self.standstills.within(since, now)
        return still_s + now - max(since, self.wake_at) if self.is_late(now) else still_s

    def stood_still_at(self, at: float, now: float) -> bool:
        """Whether a deadline that has passed by now did so while the pool stood still."""
        woken_at = at + 1 / TICKS  # to notice it, at the latest
        return self.standstills.covers(at, woken_at) or (self.is_late(now) and woken_at >= self.wake_at)

    def is_late(self, now: float) -> bool:
        """Whether the pool should have been woken a while ago: what came in meanwhile is read before it is."""
        return now - self.wake_at > LATE_S

    def tick(self, now: float) -> None:
        """Do what is due; `wake_at` says when that is, again."""
        if self.is_late(now):
            self.standstills.note(self.wake_at, now)
        for call in self.wheel.due(now):
            leaving.leave(self, call, "deadline_exceeded", now)
        for verb, subject in self.agenda.due(now):
            due.DUE[verb](self, subject, now)
        self.wake_at = min(self.wheel.next_at(), self.agenda.next_at())

    def backlog_seen(self, now: float) -> None:
        """A call has to wait: consider growing, if there is room and it still waits in a moment."""
        if not self.is_watching_backlog and (self.is_private or self.sizing.wanted < self.sizing.high):
            self.is_watching_backlog = True
            self.agenda.add(now + (GROW_AFTER if self.ready_count else 0.0), "backlog")

    def say(self, kind: type[events.Event], *facts: Any) -> None:
        """Put an event into the outbox, if anybody listens."""
        if self.has_listener(kind.name):
            self.outbox.append(("say", kind(*facts), None))

    def may_open(self, worker: Worker) -> bool:
        """Whether a session may be bound to the worker: with private processes only one that ran nothing yet."""
        if worker.state != READY:
            return False
        return not self.is_private or not (worker.sessions or worker.answered or worker.load)
