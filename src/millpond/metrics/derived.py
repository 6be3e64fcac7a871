"""Every derived value, defined once: its name, its unit, what it means, and the function that computes it.

A value is computed from an `Interval`: what was counted and measured in some stretch of time, be it a window, a slot of
history or a pool's whole life. The table in `docs/metrics.md` is printed from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from millpond.facts import Distribution
from millpond.metrics.columns import COUNTER_AT, COUNTERS, FAMILIES, Row
from millpond.metrics.histogram import NOTHING
from millpond.metrics.history import Slot
from millpond.metrics.source import ENDINGS, UNPLANNED

Blame = Literal["ours", "handler", "caller"]

# Whose fault an error is: the pool's (or the machine's under it), the handler's, or the caller's. A deadline that
# passed is ours, whatever held the call up: the pool took it and did not answer in time.
BLAME: dict[str, Blame] = {
    "worker_died": "ours",
    "deadline_exceeded": "ours",
    "queue_full": "ours",
    "overloaded": "ours",
    "session_lost": "ours",
    "session_restored": "ours",
    "store_failed": "ours",
    "out_of_memory": "ours",
    "internal_error": "ours",
    "unreachable": "ours",
    "handler_error": "handler",
    "result_not_serializable": "handler",
    "circuit_open": "handler",
    "poison_call": "handler",
    "start_failed": "handler",
    "bad_argument": "caller",
    "access_denied": "caller",
    "payload_too_large": "caller",
    "cancelled": "caller",
    "session_busy": "caller",
    "too_many_sessions": "caller",
    "pool_closing": "caller",
    "pool_closed": "caller",
    "reentrant_call": "caller",
}


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """What was counted (`counters`, a row of `columns`) and measured in some seconds."""

    seconds: float
    counters: Row
    distributions: Mapping[str, Distribution]

    def __getitem__(self, name: str) -> float:
        """How much a counter grew."""
        return float(self.counters[COUNTER_AT[name]])

    @property
    def ended(self) -> float:
        """Calls that ended, however they did."""
        return sum(self[f"endings.{ending}"] for ending in ENDINGS)

    def blamed(self, whom: Blame) -> float:
        """Calls that ended with an error of somebody's; an error we do not know is ours."""
        return sum(self[f"codes.{code}"] for code in FAMILIES["codes"] if BLAME.get(code, "ours") == whom)

    def unplanned(self) -> float:
        """Workers that went without the pool wanting it. A start that failed may be counted without its death."""
        deaths = {cause: self[f"deaths.{cause}"] for cause in UNPLANNED}
        deaths["start_failed"] = max(deaths["start_failed"], self["start_failures"])
        return sum(deaths.values())

    def of(self, kind: str) -> Distribution:
        """A distribution; that of nothing if there is none."""
        return self.distributions.get(kind, NOTHING)


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived value. `unit` is "ratio" for shares from 0 to 1."""

    name: str
    unit: str
    definition: str
    compute: Callable[[Interval], float]


def share(part: float, whole: float) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else math.nan


def rate(count: float, span: Interval) -> float:
    """How often something happened a second; NaN of a span without length."""
    return share(count, span.seconds)


def _errors(whom: Blame, whose: str, more: str = "") -> Derived:
    """How many of the calls ended by somebody's fault."""
    definition = f"Calls that ended with an error of {whose}, over all that ended.{more}"
    return Derived(f"errors_{whom}", "ratio", definition, lambda span: share(span.blamed(whom), span.ended))


def _a_minute(name: str, what: str, count: Callable[[Interval], float]) -> Derived:
    return Derived(name, "1/min", f"{what}, a minute.", lambda span: rate(60.0 * count(span), span))


DERIVED: tuple[Derived, ...] = (
    Derived(
        "utilization",
        "ratio",
        "Seconds in which workers held at least one call, over the seconds in which they were ready: `busy_s / "
        "available_s`, summed over all workers of the span.",
        lambda span: share(span["busy_s"], span["available_s"]),
    ),
    Derived("arrivals", "calls/s", "Calls submitted a second.", lambda span: rate(span["submitted"], span)),
    Derived("throughput", "calls/s", "Calls that ended a second, however they did.", lambda s: rate(s.ended, s)),
    Derived("goodput", "calls/s", "Calls that ended `ok` a second.", lambda span: rate(span["endings.ok"], span)),
    Derived(
        "concurrency",
        "calls",
        "Calls in the pool on average, by Little's law: the sum of the latencies of the calls that ended, over the "
        "span's seconds.",
        lambda span: rate(span.of("latency").total, span),
    ),
    Derived(
        "attainment",
        "ratio",
        "Deadline attainment: the calls that did not end `expired`, over all that ended.",
        lambda span: 1.0 - share(span["endings.expired"], span.ended),
    ),
    _errors("ours", "the pool's own", " Which error is whose, see below."),
    _errors("handler", "the handler's"),
    _errors("caller", "the caller's"),
    Derived(
        "wait_share",
        "ratio",
        "How much of the calls' time was spent waiting for a worker: the sum of the queue waits over the sum of the "
        "latencies.",
        lambda span: share(span.of("wait").total, span.of("latency").total),
    ),
    Derived(
        "affinity_hit",
        "ratio",
        "Sessions' calls that ran where their session lived, over all calls of sessions that ran.",
        lambda span: share(span["affinity_hits"], span["affinity_hits"] + span["affinity_misses"]),
    ),
    _a_minute(
        "sessions_moved",
        "Sessions that went on in another worker with their state",
        lambda span: span["sessions_moved"],
    ),
    _a_minute("sessions_lost", "Sessions whose state was lost", lambda span: span["sessions_lost"]),
    Derived(
        "cold_share",
        "ratio",
        "Cold-start share: the calls that waited for a worker which was being started, over all submitted.",
        lambda span: share(span["cold_calls"], span["submitted"]),
    ),
    Derived(
        "retry_share",
        "ratio",
        "Retries over calls submitted; a call that is retried twice counts twice.",
        lambda span: share(span["retries"], span["submitted"]),
    ),
    _a_minute(
        "unplanned_deaths",
        "Workers that crashed, failed to start, stopped answering or outran an interrupt",
        Interval.unplanned,
    ),
)


def derive(span: Interval) -> Mapping[str, float]:
    """All derived values of a span."""
    return MappingProxyType({one.name: one.compute(span) for one in DERIVED})


def counted(slots: Sequence[Slot]) -> Interval:
    """What slots of history counted together; nothing that was measured."""
    counters = np.sum([np.zeros(len(COUNTERS)), *(slot.counters for slot in slots)], axis=0)
    return Interval(sum(slot.seconds for slot in slots), counters, {})
