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


def warming(m: Records, worker: Worker, pid: int, now: float) -> None:
    """The worker's handler exists."""
    worker.pid = pid
    if worker.state == STARTING:
        _turn(m, worker, WARMING)
        m.emit(events.WorkerWarming, worker.id, pid, now - worker.started_at)


def ready(m: Records, worker: Worker, pid: int, now: float) -> None:
    """The worker answered its handshake: it is ready, unless there are commands to warm it up by."""
    if worker.state == STARTING and m.is_warming_up:
        warming(m, worker, pid, now)
    worker.pid = pid
    if worker.state not in (STARTING, WARMING) or worker.greeted_at:
        return
    worker.greeted_at = now
    if m.is_warming_up:
        m.outbox.append(Warm(worker))
    else:
        warmed(m, worker, 0.0, now)


def warmed(m: Records, worker: Worker, seconds: float, now: float) -> None:
    """The worker may be given calls, or stands by if enough others are; `seconds` went into its warm-up."""
    worker.warm_at = worker.idle_since = worker.last_progress = now
    start_s = max(0.0, worker.greeted_at - worker.started_at + seconds - m.stood_still(worker.started_at, now))
    m.sizing.start_succeeded(start_s)
    m.counters.start_seconds.append(start_s)
    longest = m.settings.max_lifetime
    if longest is not None:
        worker.retire_at = now + longest * (1 + LIFETIME_JITTER * (2 * m.random.random() - 1))
        m.agenda.add(worker.retire_at, "retire", worker)
    if m.sizing.fails:
        m.agenda.add(now + EARLY, "proved", worker)
        m.unsettled.is_staffed = False  # one start at a time while they fail: it is the next one's turn
    m.watch("health", now + m.settings.health_interval)
    m.emit(events.WorkerReady, worker.id, worker.pid, now - worker.started_at)
    if m.sizing.spares and not short(m):
        _turn(m, worker, SPARE)
        m.emit(events.WorkerSpare, worker.id, worker.pid)
    else:
        enter_service(m, worker, now)
        m.counters.cold_calls += len(worker.inflight)
    if m.outgoing:  # whoever waited for this one may go
        m.unsettled.is_staffed = False


def enter_service(m: Records, worker: Worker, now: float) -> None:
    """The worker may be given calls from now on, and is given those that wait."""
    was_spare = worker.state == SPARE
    _turn(m, worker, READY)
    worker.ready_at = worker.idle_since = worker.last_progress = now
    m.ready_count += 1
    if m.losses and (was_spare or m.losses[0][1] <= worker.started_at):
        lost, died_at = m.losses.popleft()
        m.emit(events.PoolRecovered, worker.id, lost, now - died_at)
    dispatch.note_free(m, worker, now)
    dispatch.fill(m, worker, now)
    for other in list(m.stalled.values()):
        dispatch.take_back(m, other)


def start_failed(m: Records, worker: Worker, message: str) -> None:
    """The worker said why it cannot start; its death follows."""
    m.failure = message
    m.emit(events.WorkerStartFailed, worker.id, message)


def drain(m: Records, worker: Worker, reason: str, now: float, cause: str = RECYCLED) -> None:
    """Give the worker no new work; it goes when what it holds is done and its sessions have left."""
    if worker.state in LEAVING or worker.state == GONE:
        return
    retire(m, worker, reason, cause)
    m.unsettled.is_staffed = False
    m.unsettled.has_free_slots = True


def retire(m: Records, worker: Worker, reason: str, cause: str) -> None:
    """As `drain`, and nothing is started in its place."""
    _leave_service(m, worker, DRAINING, reason, cause)
    m.emit(events.WorkerDraining, worker.id, worker.pid, reason)
    m.unsettled.evacuated[worker.id] = worker


def _leave_service(m: Records, worker: Worker, state: str, reason: str, cause: str) -> None:
    was_ready = worker.state == READY
    _turn(m, worker, state)
    worker.reason, worker.cause = reason, cause
    if cause == START_FAILED:
        m.given_up[worker.id] = worker
    worker.slots = m.concurrency
    m.ready_count -= was_ready
    _is_open_to_nobody(m, worker)


def _turn(m: Records, worker: Worker, state: str) -> None:
    """Put the worker into another state, and among those of that state."""
    move(worker, state, TRANSITIONS)
    m.standing_by.pop(worker.id, None)
    if state == SPARE:
        m.standing_by[worker.id] = worker
    if state != WARMING:
        m.starting.pop(worker.id, None)


def _is_open_to_nobody(m: Records, worker: Worker) -> None:
    m.free.forget(worker)
    m.open_windows.pop(worker.id, None)


def maybe_stop(m: Records, worker: Worker, now: float) -> None:
    """Let a draining worker say goodbye once it holds nothing."""
    if worker.state != DRAINING:
        return
    # What it holds includes calls whose callers were answered already, and its sessions whose states are still there.
    # When the pool closes these states are nobody's any more.
    if not (worker.inflight or worker.queue or (worker.sessions and m.state != states.CLOSING)):
        _turn(m, worker, STOPPING)
        m.outbox.append(Stop(worker))
        m.agenda.allow(GOODBYE_S, "goodbye", worker, now)


def kill(m: Records, worker: Worker, reason: str, cause: str, now: float) -> None:
    """End a worker now, whatever it does; a spare steps in at once, a new one is started when its death is told."""
    if worker.state in (KILLED, GONE):
        return
    if worker.state in LEAVING:
        worker.reason += f", then {reason}"
        _turn(m, worker, KILLED)
    else:
        _leave_service(m, worker, KILLED, reason, cause)
    # From now on it is given nothing, but what it holds is judged when its death is told: until then answers that it
    # gave before may still be read, and count.
    m.emit(events.WorkerKilled, worker.id, worker.pid, reason, len(worker.inflight))
    m.outbox.append(Kill(worker))
    m.unsettled.is_staffed = False


def distrust(m: Records, worker: Worker, why: str, now: float) -> None:
    """A worker broke the protocol: what it says means nothing any more, so that it goes at once."""
    if worker.state != KILLED:
        worker.breach = why
        kill(m, worker, PROTOCOL, PROTOCOL, now)


def no_goodbye(m: Records, worker: Worker, now: float) -> None:
    """The worker should have gone by itself."""
    kill(m, worker, "did not say goodbye in time", UNRESPONSIVE, now)


def end_grace(m: Records, call: Call, now: float) -> None:
    """An interrupted operation did not come back: its worker goes."""
    worker = call.worker
    if worker is not None and worker.inflight.get(call.id) is call:
        kill(m, worker, f"{call.op.name!r} did not stop within cancel_grace", OVERRAN, now)


def stopped(m: Records, worker: Worker, is_stopped: bool, now: float) -> None:
    """The process was stopped or goes on."""
    worker.stopped_since = now if is_stopped else None
    if is_stopped:
        m.emit(events.WorkerUnhealthy, worker.id, worker.pid, "stopped")
        m.agenda.allow(m.settings.stopped_timeout, "stopped", (worker, now), now)


def look_if_stopped(m: Records, stop: tuple[Worker, float], _now: float) -> None:
    """A worker was told to be stopped and not to go on: have somebody look whether that holds still.

    That it goes on is told by a process that may have been stopped with it, and for longer.
    """
    worker, since = stop
    if worker.state != GONE and worker.stopped_since == since:
        m.outbox.append(Look(worker))


def looked(m: Records, worker: Worker, is_stopped: bool, now: float) -> None:
    """Replace a worker that was stopped for `stopped_timeout` and still is."""
    if not is_stopped:
        worker.stopped_since = None
    elif worker.state != GONE and worker.stopped_since is not None:
        kill(m, worker, "was stopped (SIGSTOP)", UNRESPONSIVE, now)


def remove(m: Records, worker: Worker, death: Death, lost: int, now: float) -> None:
    """Take a dead worker off the books and learn from how it died."""
    was_starting = not worker.warm_at and worker.cause not in (RETIRED, RECYCLED, CRASHED)
    # A call that had begun may have killed it: that is the call's fault, and no sign that starts fail.
    was_early = worker.state in (SPARE, READY) and not (worker.answered or lost) and now < worker.warm_at + EARLY
    m.ready_count -= worker.state == READY
    _turn(m, worker, GONE)
    del m.workers[worker.id]
    m.outgoing.pop(worker.id, None)
    m.given_up.pop(worker.id, None)
    m.ahead.pop(worker.id, None)
    m.stalled.pop(worker.id, None)
    _is_open_to_nobody(m, worker)
    reason, cause = worker.reason or "died", worker.cause or (START_FAILED if was_starting else CRASHED)
    alive_s, sessions = now - worker.started_at, len(worker.sessions)
    how = (death.signal, death.exit_code)
    m.counters.worker_gone(worker, cause, now)
    m.emit(events.WorkerGone, worker.id, worker.pid, cause, reason, *how, lost, sessions, alive_s)
    if cause in LOSSES and m.state != states.CLOSING:
        m.losses.append((worker.id, now))
    if was_starting or was_early:
        _start_failed(m, worker, death, now)


def _start_failed(m: Records, worker: Worker, death: Death, now: float) -> None:
    reason = f"broke the protocol ({worker.breach})" if worker.breach else worker.reason
    why = f" because it {reason}" if reason else ""
    told = f"worker {worker.id} ended with {death}{why} before it answered anything. {death.stderr_tail[-2000:]}"
    m.failed_start = max(m.failed_start, worker.id)
    # Those asked for before the last failure was known fail for the same cause: together they are one failure.
    note_failed_start(m, m.failure or told, now, worker.started_at > m.failed_at)


def note_failed_start(m: Records, why: str, now: float, is_one_more: bool = True) -> None:
    """Starts fail: the next is tried after a pause."""
    was_well = not m.sizing.fails
    m.counters.start_failures += 1
    m.failure = why
    m.failed_at = now
    m.agenda.add(m.sizing.start_failed(now, m.random.random(), is_one_more), "reconcile")
    if was_well and m.state == states.SERVING:
        m.emit(events.PoolDegraded, m.failure)


def count_call(m: Records, worker: Worker, max_calls: int, now: float) -> None:
    """With `max_calls`: a worker is sent no more calls than it may run still, and drained when it has run them."""
    left = max_calls - worker.answered
    if worker.state != READY:
        return
    if left <= 0:
        drain(m, worker, "max_calls", now)
        return
    worker.slots, worker.window = min(m.concurrency, left), min(worker.window, left)
    if worker.load >= worker.slots:
        m.free.remove(worker)


def after_answer(m: Records, worker: Worker, now: float) -> None:
    """An answer came: the worker has proved itself, or may be free to go."""
    if m.sizing.fails and worker.warm_at > m.failed_at:
        proved_well(m, now)
    go_if_free(m, worker, now)


def go_if_free(m: Records, worker: Worker, now: float) -> None:
    """The worker gave something back: it goes, if it only had to finish what it held."""
    if worker.state == DRAINING:
        maybe_stop(m, worker, now)
    elif m.state == states.CLOSING and not worker.inflight:
        drain(m, worker, "the pool closed", now, RETIRED)


def short(m: Records) -> int:
    """How many more should serve."""
    return m.sizing.short(staying(m))


def staying(m: Records) -> int:
    """Workers that serve and are to stay."""
    outgoing = next_to_go(m) if m.outgoing else None
    return m.ready_count - (outgoing is not None and outgoing.state == READY)


def next_to_go(m: Records) -> Worker | None:
    """Whose place another is to take now: it serves on till then, and is not counted among those who stay."""
    for worker_id in m.outgoing:
        if m.workers[worker_id].state not in LEAVING:
            return m.workers[worker_id]
    return None


def proved_well(m: Records, now: float) -> None:
    """Starts do not fail any more."""
    m.sizing.proved_well()
    m.failure = ""
    m.unsettled.is_staffed = False
    if m.state == states.SERVING:
        m.emit(events.PoolRestored, now - m.failed_at)


def say_goodbye(m: Records, now: float) -> None:
    """The pool closes: idle workers may go at once, the others when they have answered."""
    for worker in list(m.workers.values()):
        if not worker.inflight:
            drain(m, worker, "the pool closed", now, RETIRED)
            maybe_stop(m, worker, now)  # one that drained already was waiting for its sessions to leave
        elif worker.state in (WARMING, SPARE):
            kill(m, worker, "the pool closed", RETIRED, now)  # what it holds is nobody's


def ponged(m: Records, worker: Worker, held: int, now: float) -> None:
    """A worker gave a sign: when it came to the ping it had `held` calls.

    Calls and answers keep their order, so what was sent to it before the ping is among them, or was answered before.
    """
    worker.is_asked = False
    if worker.pings_missed:
        worker.pings_missed = 0
        m.emit(events.WorkerHealth, worker.id, worker.pid, "answered", 0, now - worker.pinged_at)
    if not held:
        for call in worker.inflight.values():
            if call.sent_at < worker.pinged_at:
                distrust(m, worker, f"it says that it holds no call, and was given {call.op.name!r}", now)
                return


def weighed(m: Records, worker: Worker, memory_bytes: int | None, now: float) -> None:
    """Replace a worker whose private memory outgrew `max_memory`."""
    bound = m.settings.max_memory
    if bound is not None and memory_bytes is not None and memory_bytes > bound and worker.state in (SPARE, READY):
        m.emit(events.WorkerUnhealthy, worker.id, worker.pid, f"holds {memory_bytes} bytes, max_memory is {bound}")
        drain(m, worker, "max_memory", now)
