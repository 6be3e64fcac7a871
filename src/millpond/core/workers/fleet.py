"""Workers' lives: start, ready, drain, goodbye, death.

Works on the records and puts `Stop`, `Kill` and `Look` into the outbox. Every change of a worker's state carries its
reason. How many there should be is in `staffing`; what is looked at meanwhile is in `upkeep`. The sessions of a worker
that drains are asked to leave when the stimulus is settled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import dispatch
from millpond.core.records import states
from millpond.core.records.orders import Kill, Look, Stop, Warm
from millpond.core.records.sizing import EARLY
from millpond.core.records.states import move
from millpond.core.records.worker import (
    CRASHED,
    DRAINING,
    GONE,
    KILLED,
    LEAVING,
    OVERRAN,
    PROTOCOL,
    READY,
    RECYCLED,
    RETIRED,
    SPARE,
    START_FAILED,
    STARTING,
    STOPPING,
    TRANSITIONS,
    UNRESPONSIVE,
    WARMING,
    Worker,
)

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.seams import Death

GOODBYE_S = 2.0  # seconds a worker has for its teardown
LIFETIME_JITTER = 0.1
START_TIMEOUT = "was not ready within start_timeout"
LOSSES = (CRASHED, UNRESPONSIVE, OVERRAN, PROTOCOL)  # deaths that the pool has to recover from


def warming(pool: Records, worker: Worker, pid: int, now: float) -> None:
    """The worker's handler exists."""
    worker.pid = pid
    if worker.state == STARTING:
        _turn(pool, worker, WARMING)
        pool.emit(events.WorkerWarming, worker.id, pid, now - worker.started_at)


def ready(pool: Records, worker: Worker, pid: int, now: float) -> None:
    """The worker answered its handshake: it is ready, unless there are commands to warm it up by."""
    if worker.state == STARTING and pool.is_warming_up:
        warming(pool, worker, pid, now)
    worker.pid = pid
    if worker.state not in (STARTING, WARMING) or worker.greeted_at:
        return
    worker.greeted_at = now
    if pool.is_warming_up:
        pool.outbox.append(Warm(worker))
    else:
        warmed(pool, worker, 0.0, now)


def warmed(pool: Records, worker: Worker, seconds: float, now: float) -> None:
    """The worker may be given calls, or stands by if enough others are; `seconds` went into its warm-up."""
    worker.warm_at = worker.idle_since = worker.last_progress = now
    start_s = max(0.0, worker.greeted_at - worker.started_at + seconds - pool.stood_still(worker.started_at, now))
    pool.sizing.start_succeeded(start_s)
    pool.counters.start_seconds.append(start_s)
    longest = pool.settings.max_lifetime
    if longest is not None:
        worker.retire_at = now + longest * (1 + LIFETIME_JITTER * (2 * pool.random.random() - 1))
        pool.look_at("age", worker.retire_at)
    if pool.sizing.fails:
        pool.agenda.add(now + EARLY, "proved", worker)
        pool.unsettled.is_staffed = False  # one start at a time while they fail: it is the next one's turn
    pool.look_at("health", now + pool.settings.health_interval)
    pool.emit(events.WorkerReady, worker.id, worker.pid, now - worker.started_at)
    if pool.sizing.spares and not short(pool):
        _turn(pool, worker, SPARE)
        pool.emit(events.WorkerSpare, worker.id, worker.pid)
    else:
        enter_service(pool, worker, now)
        pool.counters.cold_calls += len(worker.inflight)
    if pool.outgoing:  # whoever waited for this one may go
        pool.unsettled.is_staffed = False


def enter_service(pool: Records, worker: Worker, now: float) -> None:
    """The worker may be given calls from now on, and is given those that wait."""
    was_spare = worker.state == SPARE
    _turn(pool, worker, READY)
    worker.ready_at = worker.idle_since = worker.last_progress = now
    pool.ready_count += 1
    pool.look_at("idle", now)  # timeouts differ with the number of workers
    if pool.losses and (was_spare or pool.losses[0][1] <= worker.started_at):
        lost, died_at = pool.losses.popleft()
        pool.emit(events.PoolRecovered, worker.id, lost, now - died_at)
    dispatch.note_free(pool, worker, now)
    dispatch.fill(pool, worker, now)
    pool.look_for_room(now)
    for other in list(pool.stalled.values()):
        dispatch.take_back(pool, other)


def start_failed(pool: Records, worker: Worker, message: str) -> None:
    """The worker said why it cannot start; its death follows."""
    pool.failure = message
    pool.emit(events.WorkerStartFailed, worker.id, message)


def drain(pool: Records, worker: Worker, reason: str, now: float, cause: str = RECYCLED) -> None:
    """Give the worker no new work; it goes when what it holds is done and its sessions have left."""
    if worker.state in LEAVING or worker.state == GONE:
        return
    retire(pool, worker, reason, cause)
    pool.unsettled.is_staffed = False
    pool.unsettled.has_free_slots = True


def retire(pool: Records, worker: Worker, reason: str, cause: str) -> None:
    """As `drain`, and nothing is started in its place."""
    _leave_service(pool, worker, DRAINING, reason, cause)
    pool.emit(events.WorkerDraining, worker.id, worker.pid, reason)
    pool.unsettled.evacuated[worker.id] = worker


def _leave_service(pool: Records, worker: Worker, state: str, reason: str, cause: str) -> None:
    was_ready = worker.state == READY
    _turn(pool, worker, state)
    worker.reason, worker.cause = reason, cause
    if cause == START_FAILED:
        pool.given_up[worker.id] = worker
    worker.slots = pool.concurrency
    pool.ready_count -= was_ready
    _is_open_to_nobody(pool, worker)


def _turn(pool: Records, worker: Worker, state: str) -> None:
    """Put the worker into another state, and among those of that state."""
    move(worker, state, TRANSITIONS)
    pool.standing_by.pop(worker.id, None)
    if state == SPARE:
        pool.standing_by[worker.id] = worker
    if state != WARMING:
        pool.starting.pop(worker.id, None)


def _is_open_to_nobody(pool: Records, worker: Worker) -> None:
    pool.free.forget(worker)
    pool.open_windows.pop(worker.id, None)


def maybe_stop(pool: Records, worker: Worker, now: float) -> None:
    """Let a draining worker say goodbye once it holds nothing."""
    if worker.state != DRAINING:
        return
    # What it holds includes calls whose callers were answered already, and its sessions whose states are still there.
    # When the pool closes these states are nobody's any more.
    if not (worker.inflight or worker.queue or (worker.sessions and pool.state != states.CLOSING)):
        _turn(pool, worker, STOPPING)
        pool.outbox.append(Stop(worker))
        pool.agenda.allow(GOODBYE_S, "goodbye", worker, now)


def kill(pool: Records, worker: Worker, reason: str, cause: str, now: float) -> None:
    """End a worker now, whatever it does; a spare steps in at once, a new one is started when its death is told."""
    if worker.state in (KILLED, GONE):
        return
    if worker.state in LEAVING:
        worker.reason += f", then {reason}"
        _turn(pool, worker, KILLED)
    else:
        _leave_service(pool, worker, KILLED, reason, cause)
    # From now on it is given nothing, but what it holds is judged when its death is told: until then answers that it
    # gave before may still be read, and count.
    pool.emit(events.WorkerKilled, worker.id, worker.pid, reason, len(worker.inflight))
    pool.outbox.append(Kill(worker))
    pool.unsettled.is_staffed = False


def distrust(pool: Records, worker: Worker, why: str, now: float) -> None:
    """A worker broke the protocol: what it says means nothing any more, so that it goes at once."""
    if worker.state != KILLED:
        worker.breach = why
        kill(pool, worker, PROTOCOL, PROTOCOL, now)


def no_goodbye(pool: Records, worker: Worker, now: float) -> None:
    """The worker should have gone by itself."""
    kill(pool, worker, "did not say goodbye in time", UNRESPONSIVE, now)


def end_grace(pool: Records, call: Call, now: float) -> None:
    """An interrupted operation did not come back: its worker goes."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        kill(pool, worker, f"{call.op.name!r} did not stop within cancel_grace", OVERRAN, now)


def stopped(pool: Records, worker: Worker, is_stopped: bool, now: float) -> None:
    """The process was stopped or goes on."""
    worker.stopped_since = now if is_stopped else None
    if is_stopped:
        pool.emit(events.WorkerUnhealthy, worker.id, worker.pid, "stopped")
        pool.agenda.allow(pool.settings.stopped_timeout, "stopped", (worker, now), now)


def look_if_stopped(pool: Records, stop: tuple[Worker, float], _now: float) -> None:
    """A worker was told to be stopped and not to go on: have somebody look whether that holds still.

    That it goes on is told by a process that may have been stopped with it, and for longer.
    """
    worker, since = stop
    if worker.state != GONE and worker.stopped_since == since:
        pool.outbox.append(Look(worker))


def looked(pool: Records, worker: Worker, is_stopped: bool, now: float) -> None:
    """Replace a worker that was stopped for `stopped_timeout` and still is."""
    if not is_stopped:
        worker.stopped_since = None
    elif worker.state != GONE and worker.stopped_since is not None:
        kill(pool, worker, "was stopped (SIGSTOP)", UNRESPONSIVE, now)


def remove(pool: Records, worker: Worker, death: Death, lost: int, now: float) -> None:
    """Take a dead worker off the books and learn from how it died."""
    was_starting = not worker.warm_at and worker.cause not in (RETIRED, RECYCLED, CRASHED)
    # A call that had begun may have killed it: that is the call's fault, and no sign that starts fail.
    was_early = worker.state in (SPARE, READY) and not (worker.answered or lost) and now < worker.warm_at + EARLY
    pool.ready_count -= worker.state == READY
    _turn(pool, worker, GONE)
    del pool.workers[worker.id]
    pool.outgoing.pop(worker.id, None)
    pool.given_up.pop(worker.id, None)
    pool.ahead.pop(worker.id, None)
    pool.stalled.pop(worker.id, None)
    _is_open_to_nobody(pool, worker)
    reason, cause = worker.reason or "died", worker.cause or (START_FAILED if was_starting else CRASHED)
    alive_s, sessions = now - worker.started_at, len(worker.sessions)
    how = (death.signal, death.exit_code)
    pool.counters.worker_gone(worker, cause, now)
    pool.gone.note(worker, cause, reason, death, lost, now)
    pool.emit(events.WorkerGone, worker.id, worker.pid, cause, reason, *how, lost, sessions, alive_s)
    if cause in LOSSES and pool.state != states.CLOSING:
        pool.losses.append((worker.id, now))
    if was_starting or was_early:
        _start_failed(pool, worker, death, now)


def _start_failed(pool: Records, worker: Worker, death: Death, now: float) -> None:
    reason = f"broke the protocol ({worker.breach})" if worker.breach else worker.reason
    why = f" because it {reason}" if reason else ""
    message = f"worker {worker.id} ended with {death}{why} before it answered anything. {death.stderr_tail[-2000:]}"
    pool.failed_start = max(pool.failed_start, worker.id)
    # Those asked for before the last failure was known fail for the same cause: together they are one failure.
    note_failed_start(pool, pool.failure or message, now, worker.started_at > pool.failed_at)


def note_failed_start(pool: Records, why: str, now: float, is_one_more: bool = True) -> None:
    """Starts fail: the next is tried after a pause."""
    was_well = not pool.sizing.fails
    pool.counters.start_failures += 1
    pool.failure = why
    pool.failed_at = now
    pool.agenda.add(pool.sizing.start_failed(now, pool.random.random(), is_one_more), "reconcile")
    if was_well and pool.state == states.SERVING:
        pool.emit(events.PoolDegraded, pool.failure)


def count_call(pool: Records, worker: Worker, max_calls: int, now: float) -> None:
    """With `max_calls`: a worker is sent no more calls than it may run still, and drained when it has run them."""
    left = max_calls - worker.answered
    if worker.state != READY:
        return
    if left <= 0:
        drain(pool, worker, "max_calls", now)
        return
    worker.slots, worker.window = min(pool.concurrency, left), min(worker.window, left)
    if worker.load >= worker.slots:
        pool.free.remove(worker)


def after_answer(pool: Records, worker: Worker, now: float) -> None:
    """An answer came: the worker has proved itself, or may be free to go."""
    if pool.sizing.fails and worker.warm_at > pool.failed_at:
        proved_well(pool, now)
    go_if_free(pool, worker, now)


def go_if_free(pool: Records, worker: Worker, now: float) -> None:
    """The worker gave something back: it goes, if it only had to finish what it held."""
    if worker.state == DRAINING:
        maybe_stop(pool, worker, now)
    elif pool.state == states.CLOSING and not worker.inflight:
        drain(pool, worker, "the pool closed", now, RETIRED)


def short(pool: Records) -> int:
    """How many more should serve."""
    return pool.sizing.short(staying(pool))


def staying(pool: Records) -> int:
    """Workers that serve and are to stay."""
    outgoing = next_to_go(pool) if pool.outgoing else None
    return pool.ready_count - (outgoing is not None and outgoing.state == READY)


def next_to_go(pool: Records) -> Worker | None:
    """Whose place another is to take now: it serves on till then, and is not counted among those who stay."""
    for worker_id in pool.outgoing:
        if pool.workers[worker_id].state not in LEAVING:
            return pool.workers[worker_id]
    return None


def proved_well(pool: Records, now: float) -> None:
    """Starts do not fail any more."""
    pool.sizing.proved_well()
    pool.failure = ""
    pool.unsettled.is_staffed = False
    if pool.state == states.SERVING:
        pool.emit(events.PoolRestored, now - pool.failed_at)


def say_goodbye(pool: Records, now: float) -> None:
    """The pool closes: idle workers may go at once, the others when they have answered."""
    for worker in list(pool.workers.values()):
        if not worker.inflight:
            drain(pool, worker, "the pool closed", now, RETIRED)
            maybe_stop(pool, worker, now)  # one that drained already was waiting for its sessions to leave
        elif worker.state in (WARMING, SPARE):
            kill(pool, worker, "the pool closed", RETIRED, now)  # what it holds is nobody's


def ponged(pool: Records, worker: Worker, held: int, now: float) -> None:
    """A worker gave a sign: when it came to the ping it had `held` calls.

    Calls and answers keep their order, so what was sent to it before the ping is among them, or was answered before.
    """
    worker.is_asked = False
    if worker.pings_missed:
        worker.pings_missed = 0
        pool.emit(events.WorkerHealth, worker.id, worker.pid, "answered", 0, now - worker.pinged_at)
    if not held:
        for call in worker.inflight.values():
            if call.sent_at < worker.pinged_at:
                distrust(pool, worker, f"it says that it holds no call, and was given {call.op.name!r}", now)
                return


def weighed(pool: Records, worker: Worker, memory_bytes: int | None, now: float) -> None:
    """Replace a worker whose private memory outgrew `max_memory`."""
    bound = pool.settings.max_memory
    if bound is not None and memory_bytes is not None and memory_bytes > bound and worker.state in (SPARE, READY):
        pool.emit(events.WorkerUnhealthy, worker.id, worker.pid, f"holds {memory_bytes} bytes, max_memory is {bound}")
        drain(pool, worker, "max_memory", now)
