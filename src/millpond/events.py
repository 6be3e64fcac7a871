"""Everything the pool says, as frozen facts with dotted names.

Each event is a dataclass with its name, measurements in units (`Seconds`, `Bytes`, ...), and metadata: no arguments,
results, environment values or session ids. Part of the vocabulary; the bus carries them. The hot ones (`HOT`) come
several times a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

Seconds = Annotated[float, "s"]
Bytes = Annotated[int, "bytes"]
Calls = Annotated[int, "calls"]
Workers = Annotated[int, "workers"]
Sessions = Annotated[int, "sessions"]
Times = Annotated[int, "times"]
Share = Annotated[float, "share"]


@dataclass(frozen=True, slots=True)
class Event:
    """What all events share: a dotted name."""

    name: ClassVar[str] = ""


# The pool


@dataclass(frozen=True, slots=True)
class PoolOpening(Event):
    """The pool begins to open."""

    name = "pool.open"
    min_workers: Workers
    max_workers: Workers


@dataclass(frozen=True, slots=True)
class PoolReady(Event):
    """`min_workers` are ready and calls are taken; `seconds` since it began to open."""

    name = "pool.ready"
    workers: Workers
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class PoolDegraded(Event):
    """Workers fail to start, or none can be made; those that are there keep serving."""

    name = "pool.degraded"
    message: str


@dataclass(frozen=True, slots=True)
class PoolRestored(Event):
    """Workers start again; `seconds` since the last that failed, or since none could be made."""

    name = "pool.restored"
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class PoolDraining(Event):
    """No more calls are taken; those that are there are finished."""

    name = "pool.draining"
    queued: Calls
    running: Calls


@dataclass(frozen=True, slots=True)
class PoolClosingEvent(Event):
    """The queued calls are refused, the running ones have `drain` seconds."""

    name = "pool.closing"
    queued: Calls
    running: Calls
    drain: Seconds


@dataclass(frozen=True, slots=True)
class PoolClosedEvent(Event):
    """Every worker is gone; `seconds` since the pool began to close."""

    name = "pool.close"
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class PoolFault(Event):
    """The pool itself cannot do what it should: it did not open (`open`), or has lost its engine (`engine`)."""

    name = "pool.error"
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class PoolStalled(Event):
    """The pool did not run for `seconds`, half a second more at most: something blocked its loop (`of` is `loop`), or
    the whole `program` was stopped or suspended. Told once, when it goes on; of a second or more."""

    name = "pool.stalled"
    seconds: Seconds
    of: str


@dataclass(frozen=True, slots=True)
class PoolRecovered(Event):
    """A worker that was lost has been replaced by one that is ready; `seconds` from the death to that."""

    name = "pool.recovery"
    worker: int
    lost: int
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class PoolResized(Event):
    """The number of workers the pool wants changed."""

    name = "pool.resize"
    before: Workers
    after: Workers
    reason: str


@dataclass(frozen=True, slots=True)
class PoolUtilization(Event):
    """Once a second with metrics: busy worker-seconds over available ones since the last time."""

    name = "pool.utilization"
    ratio: Share
    busy: Seconds
    available: Seconds


@dataclass(frozen=True, slots=True)
class QueueDepth(Event):
    """The number of waiting calls reached or left another power of two: 0, 1, 2, 4, 8 and so on."""

    name = "queue.depth"
    queued: Calls
    queued_bytes: Bytes


# Workers


@dataclass(frozen=True, slots=True)
class WorkerStarting(Event):
    """A worker was asked for."""

    name = "worker.starting"
    worker: int


@dataclass(frozen=True, slots=True)
class WorkerWarming(Event):
    """A worker's handler was made; its warm-up runs. `seconds` since it was asked for."""

    name = "worker.warming"
    worker: int
    pid: int
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WorkerReady(Event):
    """A worker answered its handshake; `seconds` since it was asked for."""

    name = "worker.ready"
    worker: int
    pid: int
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WarmingStart(Event):
    """A round of warm-up begins: so many workers, each to be given so many commands."""

    name = "warming.start"
    workers: Workers
    commands: Times


@dataclass(frozen=True, slots=True)
class WarmingCommand(Event):
    """A warm-up command, `done` of `of` of its worker, ended: ok, failed, expired, cancelled or lost."""

    name = "warming.command"
    worker: int
    command: str
    outcome: str
    done: Times
    of: Times
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WarmingStop(Event):
    """A round of warm-up is over: so many workers are warm, the others are not. `seconds` since it began."""

    name = "warming.stop"
    warm: Workers
    failed: Workers
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WorkerSpare(Event):
    """A worker is ready and enough others serve: it stands by."""

    name = "worker.spare"
    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerPromoted(Event):
    """A spare begins to serve, in place of a worker that is gone or because more are wanted.

    `seconds` since it was ready.
    """

    name = "worker.promoted"
    worker: int
    pid: int
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WorkerDraining(Event):
    """A worker takes no new calls and goes when it holds nothing."""

    name = "worker.draining"
    worker: int
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerKilled(Event):
    """The pool ends a worker at once; `running` are the calls it holds. Reason `protocol`: it broke the protocol."""

    name = "worker.killed"
    worker: int
    pid: int
    reason: str
    running: Calls


@dataclass(frozen=True, slots=True)
class WorkerStartFailed(Event):
    """A worker could not be made ready; `message` ends with the user's traceback when there is one."""

    name = "worker.start_failed"
    worker: int
    message: str


@dataclass(frozen=True, slots=True)
class WorkerGone(Event):
    """A worker is dead and reaped after `seconds`. One of `signal`, `exit_code` is `None`; `lost` calls had begun.

    `cause` is `retired`, `recycled`, `crashed`, `start_failed`, `unresponsive`, `overran` or `protocol`.
    """

    name = "worker.gone"
    worker: int
    pid: int
    cause: str
    reason: str
    signal: int | None
    exit_code: int | None
    lost: Calls
    sessions: Sessions
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WorkerUnhealthy(Event):
    """A worker was stopped, or was found over its memory bound."""

    name = "worker.unhealthy"
    worker: int
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerHealth(Event):
    """A ping was `answered` or `missed`: `seconds` since it was sent, `missed` so many in a row."""

    name = "worker.health"
    worker: int
    pid: int
    result: str
    missed: Times
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class WorkerCheckout(Event):
    """A call was given to a worker, `seconds` after its submission; the worker now holds `held` calls."""

    name = "worker.checkout"
    worker: int
    call: int
    operation: str
    seconds: Seconds
    held: Calls


@dataclass(frozen=True, slots=True)
class WorkerCheckin(Event):
    """A worker answered a call it held, after `seconds` of work on it."""

    name = "worker.checkin"
    worker: int
    call: int
    operation: str
    seconds: Seconds
    held: Calls


# Calls


@dataclass(frozen=True, slots=True)
class CallRefused(Event):
    """A call was refused before it was let in."""

    name = "call.refused"
    code: str


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A call was let in."""

    name = "call.start"
    call: int
    operation: str
    request: Bytes


@dataclass(frozen=True, slots=True)
class CallStopped(Event):
    """A call was answered, `seconds` after it was let in; it waited `queued` of them and ran `service`."""

    name = "call.stop"
    call: int
    operation: str
    worker: int
    attempts: Times
    seconds: Seconds
    queued: Seconds
    service: Seconds


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """A call ended otherwise, `seconds` after it was let in; `worker` is the last it was given to, if any."""

    name = "call.exception"
    call: int
    operation: str
    worker: int | None
    ending: str
    code: str
    attempts: Times
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class CallRetried(Event):
    """A call is given to another worker; `silent` when it had not begun on the first."""

    name = "call.retry"
    call: int
    operation: str
    attempts: Times
    silent: bool


@dataclass(frozen=True, slots=True)
class BreakerChanged(Event):
    """An operation's breaker changed its state."""

    name = "breaker.state"
    operation: str
    before: str
    after: str


# Sessions, by their numbers


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """A session was opened or reopened."""

    name = "session.open"
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """A session was closed by its owner, or ended with its pool."""

    name = "session.close"
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionMoved(Event):
    """A session left its worker with its state and goes on elsewhere."""

    name = "session.moved"
    number: int
    from_worker: int


@dataclass(frozen=True, slots=True)
class SessionPinned(Event):
    """A session's state could not be taken out of its worker."""

    name = "session.pinned"
    number: int
    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionLostEvent(Event):
    """A session's state is gone."""

    name = "session.lost"
    number: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionAsleep(Event):
    """A session's state is in the store, and no worker has it."""

    name = "session.asleep"
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionAwake(Event):
    """A sleeping session's state was read from the store, for its next call."""

    name = "session.awake"
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionRestoredEvent(Event):
    """A session's worker died, and it goes on from the state of its last acknowledged answer."""

    name = "session.restored"
    number: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionUnstored(Event):
    """The session store could not write or read a session; nothing of it is lost by that."""

    name = "session.unstored"
    number: int
    message: str


# Alerts


@dataclass(frozen=True, slots=True)
class AlertFiring(Event):
    """A rule's condition has held for its time; `value` is its figure, `fingerprint` that of the alert's labels."""

    name = "alert.firing"
    alert: str
    fingerprint: str
    severity: str
    summary: str
    value: float


@dataclass(frozen=True, slots=True)
class AlertResolved(Event):
    """What fired holds no more; `seconds` since it began to fire."""

    name = "alert.resolved"
    alert: str
    fingerprint: str
    severity: str
    summary: str
    seconds: Seconds


# The optimizer


@dataclass(frozen=True, slots=True)
class OptimizerDecided(Event):
    """A decision was entered in the journal; `kind` is `change`, `hold`, `taken back` or `command`, `change` says which
    parameters of the sizing rule are others now."""

    name = "optimizer.decision"
    number: int
    kind: str
    floor: Workers
    spares: Workers
    change: str
    reason: str


@dataclass(frozen=True, slots=True)
class OptimizerConcluded(Event):
    """What came of the decision of that number; what is worse is taken back."""

    name = "optimizer.outcome"
    number: int
    is_worse: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class OptimizerSwitched(Event):
    """Somebody paused the optimizer, froze it or let it go on: it is `running`, `paused` or `frozen` from now on."""

    name = "optimizer.state"
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class PoolAdministered(Event):
    """An administrator gave a command (`verb`) through the server; `by` is the owner of the token."""

    name = "pool.command"
    verb: str
    by: str


# The program's own


@dataclass(frozen=True, slots=True)
class UserEvent(Event):
    """An event of the program's own; a handler's carries its worker and its call, the parent's has `None` there.

    `suppressed` were not sent before it, because their worker said more than `emit_rate` allows.
    """

    name: str  # type: ignore[misc]
    worker: int | None = None
    pid: int | None = None
    call: int | None = None
    operation: str | None = None
    measurements: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    suppressed: Times = 0


EVENTS: dict[str, type[Event]] = {
    kind.name: kind for kind in Event.__subclasses__() if isinstance(kind.name, str) and kind.name
}
HOT = frozenset({"worker.checkout", "worker.checkin", "call.start", "call.stop", "call.exception", "queue.depth"})


def units(kind: type[Event]) -> dict[str, str]:
    """The measurements of an event: field name -> unit. Its other fields are metadata."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items() if hasattr(hint, "__metadata__")}
