"""A worker is dead: what becomes of each call it held.

What it had not begun goes to another worker, silently; what it had begun is lost, unless its caller declared it
idempotent; what killed two workers is poison. Its sessions' calls are told that the session is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core import affinity, aside, dispatch, endings, fleet, lifetime, moving, staffing, warmup
from millpond.core.call import QUEUED, RUNNING, TAKEN_BACK, TRANSITIONS
from millpond.core.leaving import farewell, unbegun
from millpond.core.retry import POISON, backoff, may_retry
from millpond.core.tally import note_retry
from millpond.core.transitions import move
from millpond.core.whereabouts import BOUND, go
from millpond.errors import CLASSES, TABLE, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Collection

    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.worker import Worker
    from millpond.errors import Outcome
    from millpond.seams import Death


def worker_gone(m: Machine, worker: Worker, death: Death, started: Collection[int], now: float) -> None:
    """A worker is dead and all its answers were taken: judge what it held, and see to its replacement."""
    held = list(worker.inflight.values())
    if held:
        worker.inflight.clear()
        worker.rested(now)
    fleet.bury(m, worker, death, sum(c.id in started and c.state == RUNNING for c in held), now)
    for call in held:
        if call.session is not None and call.id in started and not call.session.is_in_worker:
            go(m, call.session, BOUND)
        if call.state == RUNNING:
            _judge(m, worker, call, death, call.id in started, now)
    warmup.worker_gone(m, worker, death, now)
    aside.lost(m, worker, now)
    affinity.worker_gone(m, worker, str(death), now)
    staffing.reconcile(m, now)
    dispatch.pump_idle(m, now)


def _judge(m: Machine, worker: Worker, call: Call, death: Death, has_started: bool, now: float) -> None:
    if call.is_chore and call.session is None:
        warmup.lost(m, call, death, now)
        return
    if has_started and (worker.breach or not worker.is_killed):
        call.deaths += 1
        if not call.is_chore:
            endings.fault(m, call, now)
    if call.leaving not in ("", TAKEN_BACK):
        outcome: Outcome = "unknown" if has_started else unbegun(call.attempts - 1)
        endings.finish(m, call, TABLE[call.leaving].ending, farewell(m, call, call.leaving, outcome, now), now)
    elif has_started:
        _judge_started(m, worker, call, death, now)
    elif call.session is not None and call.session.is_in_worker and not moving.will_restore(m, call.session):
        endings.finish(m, call, "rejected", affinity.lost(call.session, f"its worker ended with {death}"), now)
    else:
        _resend(m, call, now)


def _judge_started(m: Machine, worker: Worker, call: Call, death: Death, now: float) -> None:
    if call.deaths >= POISON:
        told = f"{call.deaths} workers died of this call, the last ({worker.id}) with {death}; it is not tried again"
        endings.finish(m, call, "lost", CLASSES["poison_call"](told), now)
    elif m.state == lifetime.CLOSING or not _retry(m, call, now):
        endings.finish(m, call, "lost", _death_error(worker, call, death), now)


def _death_error(worker: Worker, call: Call, death: Death) -> WorkerDied:
    return WorkerDied(
        f"worker {worker.id} (pid {worker.pid}) {_how_and_remedy(worker, call, death)}",
        signal=death.signal,
        exit_code=death.exit_code,
        stderr_tail=death.stderr_tail,
    )


def _how_and_remedy(worker: Worker, call: Call, death: Death) -> str:
    if worker.breach:
        return (
            f"broke the protocol while it ran {call.op.name!r}, and was killed: {worker.breach}; something in it "
            "wrote to, or read from, file descriptors that are not its own"
        )
    why = f" ({worker.reason})" if worker.reason else ""
    remedy = "declare the call idempotent if it may be tried again"
    hint = f"{death.hint}; " if death.hint and not worker.is_killed else ""
    stack = f"\n{death.native_stack}" if death.native_stack else ""
    return f"ended with {death}{why} while it ran {call.op.name!r}; {hint}{remedy}{stack}"


def _resend(m: Machine, call: Call, now: float) -> None:
    """It never began: given to another worker, silently."""
    dispatch.put_back(m, call, now)
    if call.state == QUEUED:
        m.say(events.CallRetried, call.id, call.op.name, call.attempts, True)


def _retry(m: Machine, call: Call, now: float) -> bool:
    """Shelve the call until its pause is over, if it may be tried again."""
    at = now + backoff(m.settings.retry_backoff, call.attempts, m.random.random())
    if not may_retry(call, m.settings.max_attempts, at):
        return False
    move(call, QUEUED, TRANSITIONS)
    call.worker = None
    m.queued += 1
    m.queued_bytes += call.nbytes
    m.retries += 1
    if m.is_sampled:
        note_retry(call)
    m.shelf[call.id] = call
    m.agenda.add(at, "retry", call)
    m.say(events.CallRetried, call.id, call.op.name, call.attempts, False)
    return True


def retry_now(m: Machine, call: Call, now: float) -> None:
    """The pause is over: the call stands where its age puts it."""
    if m.shelf.pop(call.id, None) is not None:
        m.queue.push(call)
        dispatch.pump_idle(m, now)
        m.backlog_seen(now)
