"""What an optimizer sees of a pool at one moment, and of the time since it looked last; the same live and simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millpond.core import SizingRule, View

NONE_ARRIVED = np.empty(0)
NONE_ENDED = np.empty((0, 3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """Times are seconds of one clock that never jumps, virtual or monotonic. Whoever keeps an array copies it."""

    now: float
    busy: int  # workers at work
    waiting: int  # calls
    ready: int  # workers, those at work included
    starting: int
    in_system_s: float  # integral of (busy + waiting calls) over time since the last observation, in call-seconds
    arrivals: NDArray[np.float64] = field(default_factory=lambda: NONE_ARRIVED)  # (n,): when they came, ascending
    ended: NDArray[np.float64] = field(default_factory=lambda: NONE_ENDED)  # (m, 3): arrival, service, wait
    start_s: float  # how long a cold start takes, a moving average; 0 while unknown
    service_s: float  # mean service time of recent calls; 0 while unknown
    rule: SizingRule  # in force
    low: int  # the setting min_workers
    high: int  # the setting max_workers

    # How long the calls waited that ended since, by operation ("": unknown); without it no change is checked
    waits: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # operation -> (k,) seconds

    # What a simulation may leave out
    oldest_wait_s: float = 0.0  # of the calls that wait now
    stalled_s: float = 0.0  # since the last observation the program stood still for so long
    starts_failed: int = 0  # in a row
    start_error: str = ""  # of the last of them
    errors: Mapping[str, int] = field(default_factory=dict)  # calls that failed since the last observation, by code
    deadline_s: float | None = None  # the default deadline of a call
    max_queued: int | None = None  # calls that may wait
    worker_bytes: int = 0  # private memory of the largest worker; 0 while unknown
    free_bytes: int | None = None  # memory that the machine or the control group has left
    worker_cores: float = 0.0  # cores' worth of time that a worker at work uses; 0 while unknown
    cores: int = 0  # that the workers may use; 0 while unknown
    worker_age_s: float = 0.0  # mean, of the ready ones
    sessions_open: int = 0
    sessions_asleep: int = 0


def facts_of(view: View) -> dict[str, Any]:
    """The fields of an observation that the core's view has as they are, whatever the engine is."""
    settings = view.settings
    return {
        "ready": view.ready_count,
        "starting": len(view.starting),
        "start_s": view.start_seconds,
        "rule": view.rule,
        "low": view.low,
        "high": view.high,
        "starts_failed": view.fails,
        "deadline_s": settings.deadline,
        "max_queued": settings.max_queued,
        "sessions_open": view.sessions_open,
        "sessions_asleep": view.sessions_asleep,
    }
