"""How the pool is: 0 to 100 points in five named parts, a reason for every part that lost some, and one of five states.

Pure functions of what the collector knows. The states are judged apart from the points, because they ask for different
answers: a slow pool has workers to spare, a saturated one has none, and starting more does not help one that loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from millpond.metrics.derived import Span
from millpond.metrics.snapshot import Component, Health
from millpond.metrics.source import Reading

HEALTHY, SLOW, SATURATED, NO_WORKERS, CRASH_LOOPING = "healthy", "slow", "saturated", "no_workers", "crash_looping"
STATES = (HEALTHY, SLOW, SATURATED, NO_WORKERS, CRASH_LOOPING)
WEIGHTS = {"attainment": 30.0, "errors": 25.0, "saturation": 20.0, "stability": 15.0, "queue_trend": 10.0}
SERVING = frozenset({"ready", "degraded"})  # states of a pool that ought to have workers

# Where points begin to go and where all are gone
ATTAINMENT = (1.0, 0.9)  # share of calls in time
ERRORS = (0.0, 0.1)  # share of calls that failed by our or the handler's fault
UTILIZATION = (0.9, 1.0)
CLEARING_S = (0.5, 10.0)  # seconds to work the queue off
DEATHS = (0.0, 3.0)  # unplanned, in five minutes
GROWTH = (0.0, 2.0)  # what the queue gained in a minute, over what can run at a time

# The states
LATE_SHARE, LATE_CALLS = 0.01, 2  # share of calls past their deadline that is slow, and how many at least
SLOWER, SLOWER_CALLS, SLOWER_S = 3.0, 100, 0.01  # p50 or p95 of a minute over those of a quarter of an hour
BUSY, WAITING_S = 0.9, 1.0  # utilization and seconds of queue that are saturated
LOOP_DEATHS = 3  # unplanned, in one minute


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged: the last reading, the last ten seconds and one, five and fifteen minutes; what the queue gained
    in the last minute (calls, on average of its first and last third)."""

    reading: Reading
    now: Span
    minute: Span
    five: Span
    quarter: Span
    queue_growth: float
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> int:
        """Workers that can take calls, or are at one."""
        return self.reading.states.get("ready", 0) + self.reading.states.get("busy", 0)

    @property
    def has_none(self) -> bool:
        """Whether calls cannot run although they should."""
        wants = self.reading.wanted > 0 or self.reading.queued > 0
        return self.reading.state in SERVING and wants and not self.ready

    @property
    def utilization(self) -> float:
        """Of the last ten seconds; 0 if no worker was ready."""
        return min(1.0, self.now["busy_s"] / self.now["available_s"]) if self.now["available_s"] > 0 else 0.0

    @property
    def clearing_s(self) -> float:
        """Seconds it would take to work the queue off at the present pace, or that its oldest call waits already."""
        pace = self.now.ended / self.now.seconds if self.now.seconds else 0.0
        clearing = self.reading.queued / pace if pace else 0.0
        return max(clearing, self.reading.oldest_wait_s)


def judge(evidence: Evidence) -> Health:
    """The pool's health."""
    components = tuple(_components(evidence))
    state, reason = _state(evidence)
    return Health(sum(one.score for one in components), state, reason, components, evidence.notes)


def _components(e: Evidence) -> Iterator[Component]:
    """The parts of the score; without workers nothing is in time and nothing has room."""
    none = "no worker is ready" if e.has_none else ""
    late = _share(e.minute["endings.expired"], e.minute.ended)
    yield _part("attainment", _lost(1.0 - late, ATTAINMENT), f"{late:.1%} of calls missed their deadline", none)
    failed = _share(_failures(e.minute), e.minute.ended)
    yield _part("errors", _lost(failed, ERRORS), f"{failed:.1%} of calls failed")
    yield _part("saturation", _saturation(e), _saturation_told(e), none)
    deaths = e.five.unplanned()
    yield _part("stability", _lost(deaths, DEATHS), f"{deaths:.0f} workers were lost in five minutes", none)
    gained = e.queue_growth / max(1, e.reading.places)
    yield _part("queue_trend", _lost(gained, GROWTH), f"the queue grew by {e.queue_growth:.0f} calls in a minute")


def _part(name: str, lost: float, reason: str, none: str = "") -> Component:
    """A component that lost a share of its points, or all because of `none`."""
    weight = WEIGHTS[name]
    if none:
        return Component(name, weight, 0.0, none)
    return Component(name, weight, weight * (1.0 - lost), reason if lost > 0 else "")


def _lost(value: float, bounds: tuple[float, float]) -> float:
    """Which share of the points is gone: none up to the first bound, all from the second on."""
    first, last = bounds
    return min(1.0, max(0.0, (value - first) / (last - first)))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _failures(span: Span) -> float:
    """Calls that failed by our or the handler's fault, without the late ones, which are counted elsewhere."""
    return max(0.0, span.blamed("ours") - span["codes.deadline_exceeded"]) + span.blamed("handler")


def _saturation(e: Evidence) -> float:
    """Half for busy workers, half for a queue that takes long to clear; no queue, no loss."""
    if not e.reading.queued:
        return 0.0
    return (_lost(e.utilization, UTILIZATION) + _lost(e.clearing_s, CLEARING_S)) / 2


def _saturation_told(e: Evidence) -> str:
    return f"workers are {e.utilization:.0%} busy, {e.reading.queued} calls wait, {e.clearing_s:.1f} s of work"


def _state(e: Evidence) -> tuple[str, str]:
    """The worst state that holds; one that loops has lost its workers by that, and a saturated one is slow by that."""
    deaths = e.minute.unplanned()
    if deaths >= LOOP_DEATHS and e.reading.state in SERVING:
        return CRASH_LOOPING, f"{deaths:.0f} workers died or failed to start within a minute{_because(e)}"
    if e.has_none:
        return NO_WORKERS, f"no worker is ready, {e.reading.wanted} are wanted{_because(e)}"
    if e.reading.queued and e.utilization >= BUSY and e.clearing_s >= WAITING_S:
        return SATURATED, _saturation_told(e)
    slow = _slowness(e)
    return (SLOW, slow) if slow else (HEALTHY, "")


def _because(e: Evidence) -> str:
    return f": {e.reading.reason}" if e.reading.reason else ""


def _slowness(e: Evidence) -> str:
    """Why the pool is slow, if it is: calls are late, or take much longer than they used to."""
    late = e.minute["endings.expired"]
    if late >= LATE_CALLS and _share(late, e.minute.ended) >= LATE_SHARE:
        return f"{late:.0f} of {e.minute.ended:.0f} calls missed their deadline within a minute"
    now, usual = e.minute.of("latency"), e.quarter.of("latency")
    if min(now.count, usual.count - now.count) < SLOWER_CALLS:
        return ""
    for share, mine, theirs in ((50, now.p50, usual.p50), (95, now.p95, usual.p95)):
        if mine >= SLOWER_S and mine >= SLOWER * theirs:
            return f"{share} % of calls took up to {mine:.3g} s within a minute, {theirs:.3g} s within fifteen"
    return ""
