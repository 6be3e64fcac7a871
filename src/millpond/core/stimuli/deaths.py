"""A worker is dead: what becomes of each call it held.

What it had not begun goes to another worker, silently; what it had begun is lost, unless its caller declared it
idempotent; what killed two workers is poison. Its sessions' calls are told that the session is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch, endings, refusals
from millpond.core.records import states
from millpond.core.records.call import QUEUED, RUNNING, TAKEN_BACK, TRANSITIONS
from millpond.core.records.counters import note_retry
from millpond.core.records.session import BOUND
from millpond.core.records.states import move
from millpond.core.records.timing import backoff
from millpond.core.records.worker import KILLED
from millpond.core.sessions import lifecycle, moving, rebalancing
from millpond.core.workers import fleet, warmup
from millpond.errors import CLASSES, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Collection

    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.worker import Worker
    from millpond.errors import Outcome
    from millpond.seams import Death

POISON = 2  # workers a call may kill


def worker_gone(pool: Records, worker: Worker, death: Death, started: Collection[int], now: float) -> None:
    """A worker is dead and all its answers were taken: judge what it held, and see to its replacement."""
    # All the worker had answered was read before this is told, so that what it holds has no answer. Of what it holds it
    # had begun the calls whose lines in the logbook it claimed (`started`); the others are as good as never sent, also
    # if they were withdrawn and nothing is known of that yet. Calls are judged before sessions: what is said of a call
    # in a session depends on whether the session will be restored, and that is known only while it is still bound.
    was_killed = worker.state == KILLED
    held = list(worker.inflight.values())
    if held:
        worker.inflight.clear()
        worker.rested(now)
    fleet.remove(pool, worker, death, sum(c.id in started and c.state == RUNNING for c in held), now)
    for call in held:
        if call.session is not None and call.id in started and not call.session.is_in_worker:
            pool.relocate(call.session, BOUND)
        if call.state == RUNNING:
            # The pool ended a killed worker: no call it held is to blame, unless one broke the protocol.
            is_to_blame = call.id in started and (bool(worker.breach) or not was_killed)
            _judge(pool, worker, call, death, call.id in started, is_to_blame, now)
    warmup.worker_gone(pool, worker, death, now)
    rebalancing.lost(pool, worker, now)
    lifecycle.worker_gone(pool, worker, str(death), now)
    pool.unsettled.is_staffed = False
    pool.unsettled.has_free_slots = True


def _judge(
    pool: Records, worker: Worker, call: Call, death: Death, has_started: bool, is_to_blame: bool, now: float
) -> None:
    if call.continuation is not None and call.session is None:
        warmup.lost(pool, call, death, now)
        return
    if is_to_blame:
        call.deaths += 1
        if call.continuation is None:
            endings.fault(pool, call, now)
    if call.cancel_reason not in ("", TAKEN_BACK):
        outcome: Outcome = "unknown" if has_started else refusals.not_begun(call.attempts - 1)
        endings.give_up(pool, call, call.cancel_reason, outcome, now)
    elif has_started:
        _judge_started(pool, worker, call, death, is_to_blame, now)
    elif call.session is not None and call.session.is_in_worker and not moving.will_restore(pool, call.session):
        error = refusals.session_lost(call.session, f"its worker ended with {death}")
        endings.finish(pool, call, "rejected", error, now)
    else:
        _resend(pool, call, now)


def _judge_started(pool: Records, worker: Worker, call: Call, death: Death, is_to_blame: bool, now: float) -> None:
    if call.deaths >= POISON:
        message = f"{call.deaths} workers died of this call, the last ({worker.id}) with {death}; it is not tried again"
        endings.finish(pool, call, "lost", CLASSES["poison_call"](message), now)
    elif pool.state == states.CLOSING or not _retry(pool, call, now):
        endings.finish(pool, call, "lost", _death_error(worker, call, death, is_to_blame), now)


def _death_error(worker: Worker, call: Call, death: Death, is_to_blame: bool) -> WorkerDied:
    return WorkerDied(
        f"worker {worker.id} (pid {worker.pid}) {_how_and_remedy(worker, call, death, is_to_blame)}",
        signal=death.signal,
        exit_code=death.exit_code,
        stderr_tail=death.stderr_tail,
    )


def _how_and_remedy(worker: Worker, call: Call, death: Death, is_to_blame: bool) -> str:
    if worker.breach:
        return (
            f"broke the protocol while it ran {call.op.name!r}, and was killed: {worker.breach}; something in it "
            "wrote to, or read from, file descriptors that are not its own"
        )
    why = f" ({worker.reason})" if worker.reason else ""
    remedy = "declare the call idempotent if it may be tried again"
    hint = f"{death.hint}; " if death.hint and is_to_blame else ""
    stack = f"\n{death.native_stack}" if death.native_stack else ""
    return f"ended with {death}{why} while it ran {call.op.name!r}; {hint}{remedy}{stack}"


def _resend(pool: Records, call: Call, now: float) -> None:
    """It never began: given to another worker, silently."""
    dispatch.put_back(pool, call, now)
    if call.state == QUEUED:
        pool.emit(events.CallRetried, call.id, call.op.name, call.attempts, True)


def _retry(pool: Records, call: Call, now: float) -> bool:
    """Delay the call until its pause is over, if it may be tried again."""
    at = now + backoff(pool.settings.retry_backoff, call.attempts, pool.random.random())
    if not _may_retry(call, pool.settings.max_attempts, at):
        return False
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    pool.queued += 1
    pool.queued_bytes += call.nbytes
    pool.retries += 1
    if pool.is_sampled:
        note_retry(call)
    pool.delayed[call.id] = call
    pool.agenda.add(at, "retry", call)
    pool.emit(events.CallRetried, call.id, call.op.name, call.attempts, False)
    return True


def _may_retry(call: Call, max_attempts: int, at: float) -> bool:
    """Whether a call that had started may be tried once more at the time `at`.

    Session calls are never retried elsewhere, nor streams, whose items may have been seen.
    """
    return (
        call.idempotent
        and call.session is None
        and not call.is_stream
        and call.attempts < max_attempts
        and at < call.deadline
    )


def retry_now(pool: Records, call: Call, now: float) -> None:
    """The pause is over: the call stands where its age puts it."""
    if pool.delayed.pop(call.id, None) is not None:
        pool.queue.push(call)
        dispatch.fill_free(pool, now)
        pool.note_waiting(now)
