"""Everything the pool says, as frozen facts with dotted names.

Each event is a dataclass with its name, measurements in units, and closed-set metadata; no arguments, results,
environment values or session ids. Part of the vocabulary; the bus carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """What all events share: a dotted name."""

    name: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class PoolStateChanged(Event):
    """The pool is opening, ready, draining, closing or closed."""

    name = "pool.state"
    before: str
    after: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PoolResized(Event):
    """The number of workers the pool wants changed."""

    name = "pool.resize"
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerStarting(Event):
    """A worker was asked for."""

    name = "worker.starting"
    worker: int


@dataclass(frozen=True, slots=True)
class WorkerReady(Event):
    """A worker answered its handshake; `seconds` since it was asked for."""

    name = "worker.ready"
    worker: int
    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerDraining(Event):
    """A worker takes no new calls and goes when it holds nothing."""

    name = "worker.draining"
    worker: int
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerStartFailed(Event):
    """A worker could not be made ready; `message` ends with the user's traceback when there is one."""

    name = "worker.start_failed"
    worker: int
    message: str


@dataclass(frozen=True, slots=True)
class WorkerGone(Event):
    """A worker is dead and reaped. One of `signal` and `exit_code` is `None`; `lost` calls had begun on it."""

    name = "worker.gone"
    worker: int
    pid: int
    reason: str
    signal: int | None
    exit_code: int | None
    lost: int
    sessions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerUnhealthy(Event):
    """A worker missed a ping, was stopped, or was found over its memory bound."""

    name = "worker.unhealthy"
    worker: int
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class CallRetried(Event):
    """A call is given to another worker; `silent` when it had not begun on the first."""

    name = "call.retry"
    call: int
    operation: str
    attempts: int
    silent: bool


@dataclass(frozen=True, slots=True)
class BreakerChanged(Event):
    """An operation's breaker changed its state."""

    name = "breaker.state"
    operation: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """A session was opened or reopened."""

    name = "session.open"
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """A session was closed by its owner."""

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
class SessionLost(Event):
    """A session's state is gone."""

    name = "session.lost"
    number: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class UserEvent(Event):
    """An event of the program's own; a handler's carries its worker and its call, the parent's has `None` there."""

    name: str  # type: ignore[misc]
    worker: int | None = None
    pid: int | None = None
    call: int | None = None
    operation: str | None = None
    measurements: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


EVENTS: dict[str, type[Event]] = {
    kind.name: kind for kind in Event.__subclasses__() if isinstance(kind.name, str) and kind.name
}
