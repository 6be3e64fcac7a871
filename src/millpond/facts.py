"""What a pool tells of itself when asked, as frozen records: the same from a pool and from a client of a served one.

Filled by whoever knows the pool, in `statistics`, `metrics` and the listings. Part of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from millpond.logger.escaping import escaped

if TYPE_CHECKING:
    from millpond.errors import Ending

SessionState = Literal["open", "moving", "asleep", "closing", "lost"]

STATES: tuple[SessionState, ...] = get_args(SessionState)

CallState = Literal["waiting", "running", "ended"]
Show = Literal["running", "waiting", "slowest", "failed"]

SHOWN: tuple[Show, ...] = get_args(Show)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's figures: how many values, their sum, mean, percentiles and highest (within 1.1 %)."""

    count: int = 0
    total: float = 0.0
    mean: float = math.nan
    p50: float = math.nan
    p90: float = math.nan
    p95: float = math.nan
    p99: float = math.nan
    p999: float = math.nan
    highest: float = math.nan


# Window in seconds -> wait, service and latency -> their percentiles.
Percentiles: TypeAlias = "Mapping[int, Mapping[str, Distribution]]"
NO_PERCENTILES: Percentiles = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BusyWorker:
    """A worker at work: for how long (seconds) with its oldest call, and since when its interpreter gives no sign."""

    worker: int
    operation: str
    seconds: float
    unresponsive_s: float

    def __str__(self) -> str:
        silent = f", unresponsive {self.unresponsive_s:.0f} s" if self.unresponsive_s else ""
        return f"worker {self.worker}: busy with {escaped(self.operation)} for {self.seconds:.1f} s{silent}"


@dataclass(frozen=True, slots=True)
class Statistics:
    """A pool at one moment; counts are since it opened, and `submitted` is the sum of `endings` and `in_flight`.

    `percentiles` are as of the last second that was added up; there are none without metrics or before it opens.
    """

    name: str
    run_id: str
    state: str
    reason: str
    is_ready: bool
    is_live: bool
    workers: Mapping[str, int]
    wanted: int
    asked_for: int
    alive: int
    spares: int
    warm_failures: Mapping[str, int]
    not_warm: Mapping[int, tuple[str, ...]]
    pids: Mapping[int, int]
    busy: tuple[BusyWorker, ...]
    submitted: int
    in_flight: int
    queued: int
    queued_bytes: int
    running: int
    endings: Mapping[str, int]
    codes: Mapping[str, int]
    sessions_open: int
    sessions_asleep: int
    sessions_pinned: Mapping[int, str]
    starts: int
    retries: int
    late_answers: int
    log_records_dropped: int
    breakers: Mapping[str, str]
    faults: Mapping[str, int]
    percentiles: Percentiles


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One worker at one moment.

    `state` is `starting`, `warming`, `spare`, `ready`, `busy` or `draining`. `calls` it answered; `utilization` is the
    share of its time, since it was ready, in which it held a call. `rss` (bytes) and `cpu` (of one core) are as of the
    last look at its process, `None` without metrics and before the first. `operation` is that of the oldest call it
    holds, at work for `seconds` now; both are `None` if it holds none. `unresponsive_s` is how long its interpreter
    has given no sign while it is busy, 0 if that is less than a second. `age_s` is the time since it was asked for.
    The metrics have the same figures as of their last reading, in `WorkerFigures`.
    """

    worker: int
    pid: int
    state: str
    sessions: int
    calls: int
    in_flight: int
    utilization: float
    rss: int | None
    cpu: float | None
    operation: str | None
    seconds: float | None
    unresponsive_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class GoneWorkerFacts:
    """One worker that is gone since `wall` (Unix time), after `seconds`: the facts of the event `worker.gone`.

    `cause` is `retired`, `recycled`, `crashed`, `start_failed`, `unresponsive`, `overran` or `protocol`. One of
    `signal` and `exit_code` is `None`, or both if nobody knows. `lost` calls had begun, `sessions` were bound to it.
    `stderr_tail` is the end of what it wrote, `None` for who may not see it.
    """

    worker: int
    pid: int
    wall: float
    cause: str
    reason: str
    signal: int | None
    exit_code: int | None
    lost: int
    sessions: int
    seconds: float
    stderr_tail: str | None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session at one moment.

    `state` is `open`, `moving` (its state is on its way out of a worker, or kept in this process until its next call),
    `asleep` (in the store), `closing` or `lost`. `idle_s` is how long no call of it was there, in seconds; 0 while one
    is. `worker` is the id of the worker it is bound to. `size_bytes` is how large its state is, where that is known:
    it is in this process. `number` rises from session to session.
    """

    id: str
    number: int
    generation: int
    state: SessionState
    idle_s: float
    worker: int | None
    size_bytes: int | None
    waiting: int


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call at one moment, or as it ended; never its arguments, its result or the text of an error.

    `state` is `waiting` (for a worker, its session, or a retry), `running` (a worker has it) or `ended`, with `ending`,
    and `code` and `outcome` unless it was answered. `age_s` are the seconds since it was submitted, `wait_s` those
    until it was given to a worker (the last time, if it was tried again), `run_s` those since: `None` while another
    call is before it in its worker; of one that ended they are what it took. `deadline_left_s` is negative once the
    deadline has passed. `worker` has it, had it last, or has its session. `wall` is when it ended (Unix time).
    `signal`, `exit_code` and `stderr_tail` are of a worker that died of it (`worker_died`).
    """

    call_id: int
    operation: str
    state: CallState
    ending: Ending | None
    code: str | None
    outcome: str | None
    age_s: float
    wait_s: float
    run_s: float | None
    deadline_left_s: float | None
    worker: int | None
    session: str | None
    attempts: int
    priority: int
    wall: float | None = None
    signal: int | None = None
    exit_code: int | None = None
    stderr_tail: str | None = None


@dataclass(frozen=True, slots=True)
class CallListing:
    """Some calls, and how many there are (`of`) of which these are the first."""

    calls: tuple[CallFacts, ...]
    of: int


def check_show(show: object, limit: object) -> None:
    """Raise `ValueError` for what no listing of calls can be asked for."""
    if show not in SHOWN:
        raise ValueError(f"show must be one of {', '.join(map(repr, SHOWN))}, not {show!r}")
    _check_limit(limit)


def check_page(state: object, limit: object) -> None:
    """Raise `ValueError` for what no listing can be asked for."""
    if state is not None and state not in STATES:
        raise ValueError(f"state must be one of {', '.join(map(repr, STATES))}, not {state!r}")
    _check_limit(limit)


def _check_limit(limit: object) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(f"limit must be 1 or more, not {limit!r}")
