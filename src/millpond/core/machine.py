"""The core's one entrance: takes a stimulus and the time, changes the records, and puts orders into the outbox.

Each method is a stimulus, carried to its end by the settling step. What outsiders may know is in `view`. No I/O, no
clock, no randomness of its own: what is simulated or tested is what runs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.assignment import admission, cancellation, dispatch, endings, refusals
from millpond.core.records.call import ENDED, QUEUED, RUNNING, TRANSITIONS, Call
from millpond.core.records.operation import Operation
from millpond.core.records.pool import Records
from millpond.core.records.states import FORKED, OPENING, SERVING, move
from millpond.core.records.worker import READY
from millpond.core.sessions import durability, lifecycle, rebalancing, sleeping
from millpond.core.sessions.durability import NEVER_BEGAN
from millpond.core.settling import serve_sessions, settle
from millpond.core.stimuli import answers, deaths, failures, lifetime
from millpond.core.view import View
from millpond.core.workers import fleet, outage, staffing, upkeep, warmup
from millpond.seams import FUNCTION

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Collection, Iterable, Sequence

    from millpond.core.records.orders import Order
    from millpond.core.records.session import Session
    from millpond.core.records.sizing import SizingRule
    from millpond.core.records.worker import Worker
    from millpond.core.workers.warmup import Command, Run
    from millpond.errors import PoolError
    from millpond.seams import AnswerKind, Chance, Death, HandlerFacts, SessionRecord
    from millpond.settings import Settings

FUNCTIONS = 64  # functions with a breaker of their own; the rest share one
OTHERS = "(other functions)"

# What time alone can cause: looks, each on the agenda once while it can find anything, and what is due of one subject.
# Each of the latter checks for itself that it still matters.
LOOKS: dict[str, Callable[[Records, float], None]] = {
    "work": upkeep.look_at_work,
    "health": upkeep.look_at_health,
    "memory": upkeep.look_at_memory,
    "age": upkeep.look_at_age,
    "stalls": dispatch.look_for_stalls,
    "rebalance": rebalancing.look,
    "load": staffing.look_at_load,
    "idle": staffing.look_for_idle,
    "surplus": staffing.look_at_surplus,
    "sleep": sleeping.look_for_sleepers,
    "expiry": sleeping.look_for_expired,
    "slowest": lambda pool, now: pool.ended.begin_minute(now),
}
DUE: dict[str, Callable[[Records, Any, float], None]] = {
    "interrupt": cancellation.interrupt,
    "overdue": cancellation.stop,
    "grace": fleet.end_grace,
    "retry": deaths.retry_now,
    "start_timeout": upkeep.start_is_late,
    "proved": upkeep.proved,
    "warm": warmup.go_on,
    "revive": lambda pool, _, now: outage.revive(pool, now),
    "reconcile": lambda pool, _, now: staffing.reconcile(pool, now),
    "goodbye": fleet.no_goodbye,
    "stopped": fleet.look_if_stopped,
    "kill_again": failures.kill_again,
    "erase_again": failures.erase_again,
    "evacuate": lifecycle.evacuate,
    "close": lambda pool, _, now: lifetime.end_drain(pool, now),
}


class Machine:
    """One pool. `outbox` is emptied by whoever carries the orders out, who calls `tick` when `alarm` says so."""

    __slots__ = ("_records", "alarm", "call_ids", "outbox", "refusal", "view")

    def __init__(self, settings: Settings, random: Chance) -> None:
        self._records = Records(settings, random)
        self.outbox: list[Order] = self._records.outbox
        self.alarm = self._records.alarm
        self.call_ids = self._records.call_ids
        self.view = View(self._records)
        # Why a call would be refused now, whatever its arguments; any thread may ask. Each call does, and is spared a
        # method of its own.
        self.refusal = partial(admission.refusal, self._records)

    # Calls come in

    def function(self, name: str) -> Operation:
        """The record of a function given to `run`: one a name, at most 64, then one for the rest.

        Changes nothing, so that callers on other threads may ask; a new one is entered when its first call is.
        """
        functions = self._records.functions
        known = functions.get(name)
        if known is None and len(functions) >= FUNCTIONS:
            known = functions.get(name := OTHERS)
        if known is None:
            known = self.unlisted(name, FUNCTION)
            known.is_entered = False
        return known

    def unlisted(self, name: str, number: int) -> Operation:
        """The record of an operation that is not among those the core keeps: a warm-up command, or not known yet."""
        return Operation(name, number, None, self._records.new_breaker())

    def reject(self, error: PoolError, now: float) -> PoolError:
        """Count a call that was refused before it was admitted, and give the error back to be raised."""
        pool = self._records
        pool.submitted += 1
        pool.counts["rejected"] += 1
        pool.codes[error.code] = pool.codes.get(error.code, 0) + 1
        pool.emit(events.CallRefused, error.code)
        staffing.note_turned_away(pool, error, now)
        return error

    def submit(self, call: Call, now: float, was_asked: bool = False) -> None:
        """Admit a call and place it, or raise the `PoolError` that refuses it.

        `was_asked`: `refusal` was asked in this turn, before the size of the arguments was known.
        """
        pool, session = self._records, call.session
        if not call.op.is_entered:
            self._enter_function(call)
        refused = None
        if not was_asked:
            refused = admission.refusal(pool, call.op, session, now, call.deadline, call.priority, call.nbytes)
        elif pool.queued:
            refused = admission.too_many_bytes(pool, call.op, call.nbytes)
        if refused is None and session is not None and session.restored_because and session.is_idle:
            refused = refusals.session_restored(session)
        if refused is not None:
            move(call, ENDED, TRANSITIONS)  # whoever gives it up from another thread may come too late
            raise self.reject(refused, now)
        call.submitted_at = now
        call.key = now - call.priority * pool.settings.priority_age if call.priority else now
        deadline = call.deadline
        is_late = deadline <= now  # it took its time from another thread, or it has none
        if not is_late and deadline != math.inf:
            pool.wheel.add(call)
        # From here on nothing raises: what is counted here is counted off by the call's ending only. The deadline is
        # watched before the call is placed, so that one which is sent, taken back and sent again is watched once.
        pool.submitted += 1
        pool.unended += 1
        pool.queued += 1
        pool.queued_bytes += call.nbytes
        if call.op.breaker.state != "closed":
            self._admit_probe(call, now)
        if pool.emits_starts:
            pool.emit(events.CallStarted, call.id, call.op.name, call.nbytes)
        if is_late:
            endings.expire_queued(pool, call, now)
        elif pool.state == OPENING:
            pool.delayed[call.id] = call  # until `let_in`
        elif session is None:
            dispatch.place(pool, call, now)
            if pool.unsettled.has_more_load:
                settle(pool, now)
        else:
            lifecycle.place(pool, session, call, now)
            if session.affinity == "fail_fast" and call.state == QUEUED and session.worker:
                endings.end_queued(pool, call, "rejected", refusals.session_busy(session), now)
            settle(pool, now)

    def _enter_function(self, call: Call) -> None:
        """The call's record is one of those that are kept, whoever else made another meanwhile."""
        call.op = self.function(call.op.name)
        self._records.functions[call.op.name] = call.op
        call.op.is_entered = True

    def _admit_probe(self, call: Call, now: float) -> None:
        before = call.op.breaker.state
        call.op.breaker.admitted(call.id, now)
        endings.emit_if_changed(self._records, call.op, before)

    def early(self) -> list[Call]:
        """The calls that wait until the pool serves, in their order."""
        return list(self._records.delayed.values())

    def let_in(self, call: Call, refused: PoolError | None, now: float) -> None:
        """The pool serves: a call that waited for that is placed, or refused for what is known now."""
        pool = self._records
        if refused is not None:
            endings.end_queued(pool, call, "rejected", refused, now)
        elif pool.delayed.pop(call.id, None) is not None:
            if call.session is None:
                dispatch.place(pool, call, now)
            else:
                lifecycle.place(pool, call.session, call, now)
        settle(pool, now)

    def cancel(self, call: Call, now: float) -> None:
        """The caller gives the call up."""
        cancellation.cancel(self._records, call, "cancelled", now)
        settle(self._records, now)

    # Workers answer

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
        pool = self._records
        inflight = worker.inflight
        call = inflight.pop(call_id, None)
        worker.last_progress = now
        if pool.stalled and worker.id in pool.stalled:
            dispatch.unstall(pool, worker, now)
        if call is None:
            answers.unmatched(pool, worker, call_id, kind, value, now)
            serve_sessions(pool, now)
        else:
            if not inflight:
                worker.busy_s += now - worker.busy_since
            worker.expected_s -= call.expected
            if call.continuation is None:
                worker.answered += 1
            call.service_s = ended - started
            call.answer_bytes = nbytes
            if pool.emits_checkins:
                pool.emit(events.WorkerCheckin, worker.id, call_id, call.op.name, call.service_s, len(inflight))
            if pool.settings.max_calls is not None:
                fleet.count_call(pool, worker, pool.settings.max_calls, now)
            session = call.session
            if session is not None:
                answers.answered_in_session(pool, session, call, kind, flags)
            if call.state != RUNNING:
                answers.judge_late(pool, worker, call, kind, now)
            elif kind != "ok" and kind in NEVER_BEGAN:
                answers.did_not_begin(pool, call, kind, now)
            elif session is None or not durability.defers(pool, call, kind, value, ended, now):
                endings.answer(pool, call, kind, value, ended, now)
            if session is not None:
                if call.state == ENDED or call.id in pool.committing:
                    endings.leave_session(pool, call, now)
                # First the session's next call takes its place in line, then the slot is filled with the oldest call
                # there is. The other way round a newer call would pass it. The order in which the slot was given back
                # and the call ended does not matter: both happened before anybody looks.
                serve_sessions(pool, now)
        if len(inflight) < worker.slots or worker.id not in pool.open_windows:
            dispatch.note_free(pool, worker, now)
        if worker.queue.size or pool.queue.size or pool.unbound.size:
            dispatch.fill(pool, worker, now)
        if pool.candidates:
            rebalancing.look(pool, now)
        if pool.sizing.fails or worker.state != READY or pool.state != SERVING:
            fleet.after_answer(pool, worker, now)
            settle(pool, now)
        else:
            left = pool.unsettled
            if left.sessions or left.has_more_load or not left.is_staffed:  # nothing else is left by such an answer
                settle(pool, now)

    def progressed(self, worker: Worker, now: float) -> None:
        """The worker sent an item of a stream."""
        worker.last_progress = now

    def saved(self, worker: Worker, call_id: int, lease: int, state: Any, reason: str = "") -> None:
        """The state a call of a session leaves, told right before its answer; `None` if it cannot be kept."""
        durability.saved(worker, call_id, lease, state, reason)

    def withdrawn(self, worker: Worker, call: Call, is_proven: bool, now: float) -> None:
        """What came of an order to withdraw a call: proven that it did not start, or not."""
        answers.withdrawn(self._records, worker, call, is_proven, now)
        settle(self._records, now)

    def unsent(self, worker: Worker, call: Call, now: float) -> None:
        """The caller gave the call up between the order to send it and its carrying out: the worker never had it."""
        call.cancel_reason = "cancelled"
        answers.withdrawn(self._records, worker, call, True, now)
        answers.passed_over(self._records, worker, now)
        settle(self._records, now)

    def order_failed(self, order: Order, error: BaseException, now: float, was_sent: bool = False) -> None:
        """An order raised; `was_sent`: it was a `Send`, and its worker has the call after all."""
        failures.order_failed(self._records, order, error, was_sent, now)
        settle(self._records, now)

    def ponged(self, worker: Worker, held: int, now: float) -> None:
        """A worker gave a sign: when it came to the ping it had `held` calls."""
        fleet.ponged(self._records, worker, held, now)
        settle(self._records, now)

    # Workers come and go

    def warming(self, worker: Worker, pid: int, now: float) -> None:
        """The worker's handler exists."""
        fleet.warming(self._records, worker, pid, now)

    def ready(self, worker: Worker, pid: int, now: float) -> None:
        """The worker answered its handshake."""
        fleet.ready(self._records, worker, pid, now)
        settle(self._records, now)

    def start_failed(self, worker: Worker, message: str) -> None:
        """The worker said why it cannot start; its death follows."""
        fleet.start_failed(self._records, worker, message)

    def worker_gone(self, worker: Worker, death: Death, started: Collection[int], now: float) -> None:
        """A worker is dead, all its answers were taken, and of the calls it held `started` had begun."""
        deaths.worker_gone(self._records, worker, death, started, now)
        settle(self._records, now)

    def stopped(self, worker: Worker, is_stopped: bool, now: float) -> None:
        """The worker's process was stopped (SIGSTOP) or goes on."""
        fleet.stopped(self._records, worker, is_stopped, now)

    def looked(self, worker: Worker, is_stopped: bool, now: float) -> None:
        """What came of an order to look whether the worker's process is stopped."""
        fleet.looked(self._records, worker, is_stopped, now)
        settle(self._records, now)

    def weighed(self, worker: Worker, memory_bytes: int | None, now: float) -> None:
        """What came of an order to weigh the worker."""
        fleet.weighed(self._records, worker, memory_bytes, now)
        settle(self._records, now)

    def distrusted(self, worker: Worker, why: str, now: float) -> None:
        """The worker broke the protocol."""
        fleet.distrust(self._records, worker, why, now)
        settle(self._records, now)

    def engine_lost(self, why: str, now: float) -> None:
        """There is nobody to make workers."""
        outage.engine_lost(self._records, why, now)
        settle(self._records, now)

    def workers_lost(self, workers: Iterable[Worker], why: str, now: float) -> None:
        """These died with whoever made them, or are about to: their deaths will be told."""
        outage.workers_lost(self._records, workers, why, now)
        settle(self._records, now)

    def engine_back(self, now: float) -> None:
        """Workers can be made again."""
        outage.engine_back(self._records, now)
        settle(self._records, now)

    # Warm-up by commands

    def require_warmup(self, is_required: bool) -> None:
        """Whether workers have to be warmed by commands before they may serve."""
        self._records.is_warming_up = is_required

    def begin_warmup(self, worker: Worker, commands: Sequence[Command], ticket: Any, now: float) -> Run:
        """Run the commands on a worker; `ticket` is told of each step and of the end, once."""
        run = warmup.begin(self._records, worker, commands, ticket, now)
        settle(self._records, now)
        return run

    def give_up_warmup(self, run: Run, now: float) -> None:
        """Nobody wants the run any more."""
        warmup.give_up(self._records, run, now)
        settle(self._records, now)

    def refuse_warmup(self, worker: Worker, why: str, now: float) -> None:
        """Nobody will warm this worker."""
        warmup.refuse(self._records, worker, why, now)
        settle(self._records, now)

    # Sessions

    def open_session(
        self,
        session_id: str,
        affinity: str | None,
        reopen: bool,
        now: float,
        on_restore: str | None = None,
        record: SessionRecord | None = None,
    ) -> Session:
        """Join the open session of that id, or open one; with a `record` of an earlier program, as it was left there.

        Raises `SessionLost` for one that was lost unless `reopen`, `TooManySessions` at the cap, and `PoolClosed`.
        """
        return lifecycle.open_session(self._records, session_id, affinity, reopen, now, on_restore, record)

    def close_session(self, session: Session, now: float) -> None:
        """Its owner ends the session: calls already made come first."""
        lifecycle.close_session(self._records, session, now)
        settle(self._records, now)

    def stored(self, session: Session, record: SessionRecord, error: PoolError | None, now: float) -> None:
        """A record that was ordered to be stored is, or cannot be."""
        sleeping.stored(self._records, session, record, error, now)
        settle(self._records, now)

    def recalled(self, session: Session, record: SessionRecord | None, error: PoolError | None, now: float) -> None:
        """What the store has of a session that was recalled; `None` if nothing."""
        sleeping.recalled(self._records, session, record, error, now)
        settle(self._records, now)

    # The pool's own life

    def open_pool(self, now: float) -> None:
        """Begin to open: the engine is being prepared."""
        lifetime.open_pool(self._records, now)

    def learn(self, facts: HandlerFacts) -> None:
        """Take note of the handler's operations and hooks; one that is known keeps its record and its number."""
        pool = self._records
        for number, operation in enumerate(facts.operations, start=1):
            known = pool.operations.get(operation.name)
            if known is None:
                pool.operations[operation.name] = Operation(operation.name, number, operation, pool.new_breaker())
            else:
                known.learn_facts(operation)
        pool.has_close_hook = "close_session" in facts.hooks
        pool.exports_concurrently = "export_session" not in facts.hooks

    def start_workers(self, now: float, fewest: int = 0) -> None:
        """The engine is there: start the wanted workers, and at least `fewest`."""
        pool = self._records
        pool.sizing.want(max(fewest, pool.sizing.wanted))
        lifetime.start_workers(pool, now)
        settle(pool, now)

    def serve(self, now: float) -> None:
        """Enough workers are ready: calls are taken."""
        lifetime.serve(self._records, now)
        settle(self._records, now)

    def drain_pool(self, now: float) -> None:
        """Take no more calls; finish what is queued and running."""
        lifetime.drain_pool(self._records, now)

    def close_pool(self, now: float, drain_s: float, failure: str = "") -> None:
        """Refuse the queued at once, give the running `drain_s` seconds; `failure` is why it could not be opened."""
        lifetime.close_pool(self._records, now, drain_s, failure)
        settle(self._records, now)

    def closed(self, now: float) -> None:
        """Every worker is gone."""
        lifetime.closed(self._records, now)

    def forked(self) -> None:
        """This is a copy of the pool in a forked child, which can do nothing."""
        self._records.state = FORKED

    # How many workers, and which

    def configure(self, settings: Settings, reason: str, now: float) -> None:
        """Go on with other settings, of which only live ones differ; new bounds are acted upon."""
        pool = self._records
        pool.settings = settings
        staffing.size_by(pool, pool.sizing.rule, reason, now)
        for look in list(pool.looks):  # each by the new settings
            pool.look_at(look, now)
        settle(pool, now)

    def size_by(self, rule: SizingRule, reason: str, now: float) -> None:
        """Size the pool by another rule from now on."""
        staffing.size_by(self._records, rule, reason, now)
        settle(self._records, now)

    def raise_floor(self, reason: str, now: float) -> None:
        """Want as many workers as the calls there are would keep at work, and keep those that were started."""
        pool = self._records
        needed = min(math.ceil(pool.unended / pool.concurrency), pool.settings.max_workers)
        if needed > pool.settings.min_workers:
            self.configure(replace(pool.settings, min_workers=needed), reason, now)

    def replace(self, worker: Worker, now: float) -> None:
        """Let a new worker take this one's place, its sessions taken along."""
        staffing.replace(self._records, worker, "replace_workers()", now)
        settle(self._records, now)

    def keep(self, worker: Worker, now: float) -> None:
        """Let a worker stay that was to be replaced."""
        staffing.keep(self._records, worker, now)
        settle(self._records, now)

    def try_at_once(self, now: float) -> None:
        """Other code is there: the next start need not wait until the pause is over."""
        staffing.try_at_once(self._records, now)
        settle(self._records, now)

    def forgive(self, now: float) -> None:
        """What made starts fail is not there any more."""
        staffing.forgive(self._records, now)
        settle(self._records, now)

    # Listeners and readers

    def listen(self, has_listener: Callable[[str], bool]) -> None:
        """Look anew which events anybody wants: nobody listens to most, and a call has no time to ask for each."""
        pool = self._records
        pool.listened = frozenset(name for name in events.EVENTS if has_listener(name))
        pool.emits_starts = events.CallStarted.name in pool.listened
        pool.emits_checkouts = events.WorkerCheckout.name in pool.listened
        pool.emits_checkins = events.WorkerCheckin.name in pool.listened
        pool.emits_ends = not pool.listened.isdisjoint((events.CallStopped.name, events.CallFailed.name))

    def emit(self, kind: type[events.Event], *facts: Any) -> None:
        """Emit an event in the order of those of the core, if anybody listens."""
        self._records.emit(kind, *facts)

    def sample(self, is_sampled: bool) -> None:
        """Let calls that end leave samples from now on, or no more."""
        self._records.is_sampled = is_sampled

    def remember_no_slow_calls(self) -> None:
        """Nobody will ask which calls were slow: a simulation with few calls a second is a fifth faster without."""
        self._records.ended.slow_s = math.inf

    def take_start_seconds(self) -> array[float]:
        """How long starts took since this was asked last."""
        return self._records.counters.take_start_seconds()

    # Time

    def tick(self, now: float) -> None:
        """Do what is due; `alarm` says when that is, again."""
        pool = self._records
        if pool.is_late(now):
            pool.standstills.note(pool.alarm.wake_at, now)
            pool.alarm.beat_at = max(pool.alarm.beat_at, now)  # a beat that is overdue is noted, and not once more
        # Deadlines first: a call whose time is over must not be sent by what else is due in this tick. Each entry of
        # the agenda is settled before the next, which may be about the very worker or session that has changed.
        for call in pool.wheel.due(now):
            cancellation.cancel(pool, call, "deadline_exceeded", now)
        settle(pool, now)
        for verb, subject in pool.agenda.due(now):
            if verb in DUE:
                DUE[verb](pool, subject, now)
            else:
                del pool.looks[verb]
                LOOKS[verb](pool, now)
            settle(pool, now)
        pool.alarm.at = min(pool.wheel.next_at(), pool.agenda.next_at())
