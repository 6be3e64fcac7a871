"""How the pool is: 0 to 100 points in five named parts, a reason for every part that lost some, and one of five states.

Pure functions of what the collector knows. The states are judged apart from the points, because they ask for different
answers: a slow pool has workers to spare, a saturated one has none, and starting more does not help one that loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from millpond.metrics.derived import Interval
from millpond.metrics.snapshot import Component, Health
from millpond.metrics.source import Reading

HEALTHY, SLOW, SATURATED, NO_WORKERS, CRASH_LOOPING = "healthy", "slow", "saturated", "no_workers", "crash_looping"
SERVING = frozenset({"ready", "degraded"})  # states of a pool that ought to have workers


@dataclass(frozen=True, slots=True)
class Scale:
    """Where points begin to go (`first`) and where all are gone (`last`)."""

    what: str
    first: float
    last: float

    def lost(self, value: float) -> float:
        """The share of the points that is gone."""
        return min(1.0, max(0.0, (value - self.first) / (self.last - self.first)))


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the score; several measures share its points evenly."""

    weight: float
    measures: tuple[Scale, ...]


PARTS: dict[str, Part] = {
    "attainment": Part(30.0, (Scale("share of the last minute's calls that missed their deadline", 0.0, 0.1),)),
    "errors": Part(
        25.0,
        (
            Scale(
                "share of the last minute's calls that failed by our or the handler's fault, deadlines aside", 0.0, 0.1
            ),
        ),
    ),
    "saturation": Part(
        20.0,
        (
            Scale("utilization of the last 10 seconds, while calls wait", 0.9, 1.0),
            Scale("seconds it takes to work the queue off, or that its oldest call waited", 0.5, 10.0),
        ),
    ),
    "stability": Part(15.0, (Scale("workers lost unplanned within five minutes", 0.0, 3.0),)),
    "queue_trend": Part(
        10.0, (Scale("calls the queue gained within a minute, over the calls that can run at a time", 0.0, 2.0),)
    ),
}

LATE_SHARE, LATE_CALLS = 0.01, 2  # share of calls past their deadline that is slow, and how many at least
SLOWER, SLOWER_CALLS, SLOWER_S = 3.0, 100, 0.01  # p50 or p95 of a minute over those of a quarter of an hour
BUSY, WAITING_S = 0.9, 1.0  # utilization and seconds of queue that are saturated
NO_ROOM = ("overloaded", "queue_full")  # codes of calls that are refused because there are too many
REFUSED_SHARE = 0.01  # of the calls of ten seconds, refused for that, which is saturated too
LOOP_DEATHS = 3  # unplanned, in one minute

MEANINGS: dict[str, str] = {  # state -> when it holds; a state further down outweighs one further up
    HEALTHY: "None of the others.",
    SLOW: (
        f"Within the last minute {LATE_SHARE:.0%} of the calls, and at least {LATE_CALLS}, missed their deadline; or "
        f"their p50 or p95 is {SLOWER:g} times that of the last fifteen minutes, with {SLOWER_CALLS} calls in either "
        f"and {SLOWER_S * 1e3:g} ms at least."
    ),
    SATURATED: (
        f"The workers were {BUSY:.0%} busy for ten seconds, and calls wait that take {WAITING_S:g} s or more to work "
        f"off, or {REFUSED_SHARE:.0%} of the calls of these seconds were refused as overloaded or queue_full."
    ),
    NO_WORKERS: "The pool serves and wants workers, or calls wait, and none is ready.",
    CRASH_LOOPING: (
        f"{LOOP_DEATHS} or more workers crashed, failed to start, stopped answering or outran an interrupt within a "
        "minute."
    ),
}
STATES = tuple(MEANINGS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged: the last reading, the last ten seconds and one, five and fifteen minutes; what the queue gained
    in the last minute (calls, on average of its first and last third)."""

    reading: Reading
    now: Interval
    minute: Interval
    five: Interval
    quarter: Interval
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
    def refused(self) -> float:
        """Calls of the last ten seconds that were refused because there were too many."""
        return sum(self.now[f"codes.{code}"] for code in NO_ROOM)

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
    yield _component("attainment", (late,), f"{late:.1%} of calls missed their deadline", none)
    failed = _share(_failures(e.minute), e.minute.ended)
    yield _component("errors", (failed,), f"{failed:.1%} of calls failed")
    load = (e.utilization, e.clearing_s) if e.reading.queued else (0.0, 0.0)
    yield _component("saturation", load, _saturation_reason(e), none)
    deaths = e.five.unplanned()
    lost = "1 worker was" if deaths == 1 else f"{deaths:.0f} workers were"
    yield _component("stability", (deaths,), f"{lost} lost in five minutes", none)
    gained = e.queue_growth / max(1, e.reading.places)
    yield _component("queue_trend", (gained,), f"the queue grew by {e.queue_growth:.1f} calls in the last minute")


def _component(name: str, values: tuple[float, ...], reason: str, none: str = "") -> Component:
    """A component with the points that its measures leave, or without any because of `none`."""
    part = PARTS[name]
    if none:
        return Component(name, part.weight, 0.0, none)
    lost = sum(measure.lost(value) for measure, value in zip(part.measures, values, strict=True)) / len(values)
    return Component(name, part.weight, part.weight * (1.0 - lost), reason if lost > 0 else "")


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _failures(span: Interval) -> float:
    """Calls that failed by our or the handler's fault, without the late ones, which are counted elsewhere."""
    return max(0.0, span.blamed("ours") - span["codes.deadline_exceeded"]) + span.blamed("handler")


def _saturation_reason(e: Evidence) -> str:
    refused = f", {e.refused:.0f} were refused in {e.now.seconds:.0f} s" if e.refused else ""
    return f"workers are {e.utilization:.0%} busy, {e.reading.queued} calls wait, {e.clearing_s:.1f} s of work{refused}"


def _state(e: Evidence) -> tuple[str, str]:
    """The worst state that holds; one that loops has lost its workers by that, and a saturated one is slow by that."""
    deaths = e.minute.unplanned()
    if deaths >= LOOP_DEATHS and e.reading.state in SERVING:
        return CRASH_LOOPING, f"{deaths:.0f} workers died or failed to start in the last minute{_because(e)}"
    if e.has_none:
        return NO_WORKERS, f"no worker is ready, {e.reading.wanted} are wanted{_because(e)}"
    is_behind = e.reading.queued > 0 and e.clearing_s >= WAITING_S
    if e.utilization >= BUSY and (is_behind or _share(e.refused, e.now.ended) >= REFUSED_SHARE):
        return SATURATED, _saturation_reason(e)
    slow = _slowness(e)
    return (SLOW, slow) if slow else (HEALTHY, "")


def _because(e: Evidence) -> str:
    """A pointer to the last failure: its text is the handler's and may hold anything, so it is not repeated here."""
    return "; `statistics().reason` has the last failure" if e.reading.reason else ""


def _slowness(e: Evidence) -> str:
    """Why the pool is slow, if it is: calls are late, or take much longer than they used to."""
    late = e.minute["endings.expired"]
    if late >= LATE_CALLS and _share(late, e.minute.ended) >= LATE_SHARE:
        return f"{late:.0f} of {e.minute.ended:.0f} calls missed their deadline in the last minute"
    now, usual = e.minute.of("latency"), e.quarter.of("latency")
    if min(now.count, usual.count - now.count) < SLOWER_CALLS:
        return ""
    for share, mine, theirs in ((50, now.p50, usual.p50), (95, now.p95, usual.p95)):
        if mine >= SLOWER_S and mine >= SLOWER * theirs:
            return f"{share} % of calls took up to {mine:.3g} s in the last minute, {theirs:.3g} s in the last fifteen"
    return ""
