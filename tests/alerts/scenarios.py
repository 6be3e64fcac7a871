"""For each default rule, a pool's metrics in trouble: so and so many times as bad as the rule's threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from millpond.alerts.alerts import Alerts
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.rules import Group
from millpond.alerts.states import WatchedRule
from millpond.metrics.catalogue import Family, families
from millpond.metrics.readers import Labels
from millpond.testing import ManualClock
from tests.metrics.export_snapshots import operation, snapshot

HOUR = 3600.0
MiB = 1024.0 * 1024.0
Curve = Callable[[float], float | None]  # seconds since the trouble began -> value, `None` while all is well
Curves = dict[tuple[str, Labels], Curve]  # name and some labels of a series -> its curve
GONE = float("-inf")  # stands for a series that is not there

WELL = families(snapshot(operation("add"), max_queued=1000, alerting=Alerts(list).figures()))
ALONE: Mapping[str, Group] = {
    rule.alert: Group(group.name, (rule,)) for group in DEFAULT_GROUPS for rule in group.rules
}  # each default rule in a group of its own


@dataclass(frozen=True)
class Scenario:
    """What goes wrong: curves of some series for a factor, during `seconds`, after `lead_s` in which all was well.

    Afterwards gauges are well again and counters grow by `recovery` a second.
    """

    curves: Callable[[float], Curves]
    seconds: float
    lead_s: float = 120.0
    step_s: float = 5.0
    recovery: float = 0.0


def of(name: str, curve: Curve | float, **labels: str) -> Curves:
    """A curve, or a value in trouble, for the series of a metric with these labels."""
    made = curve if callable(curve) else lambda second, value=curve: value if second >= 0 else None
    return {(f"millpond_{name}", tuple(labels.items())): made}


def steady(per_second: float) -> Curve:
    """A counter that has always grown."""
    return lambda second: per_second * (second + 30 * HOUR)


def after(per_second: float) -> Curve:
    """A counter or a gauge that grows from the beginning of the trouble on."""
    return lambda second: per_second * max(0.0, second)


def once(count: float) -> Curve:
    """A counter that grows at once by a whole number."""
    return lambda second: float(int(count)) if second > 5 else 0.0


def share(part: float, whole: float = 10.0) -> tuple[Curve, Curve]:
    """Counters of calls that end in another way than the trouble's, and of those that end in its way."""
    return lambda s: whole * (s + 30 * HOUR) - after(part * whole)(s), after(part * whole)


def quantile(name: str, before: float, during: float) -> Curves:
    """Two observations a second, whose 95th percentile is `before` until the trouble and `during` in it."""
    family = next(f for f in WELL if f.name == f"millpond_{name}")
    texts = [dict(labels)["le"] for suffix, labels, _ in family.samples if suffix == "_bucket"]
    found = of(f"{name}_count", steady(2.0))
    for text, *parts in zip(texts, _cumulative(texts, before), _cumulative(texts, during), strict=True):
        found |= of(f"{name}_bucket", _turned(*parts), le=text)
    return found


def _cumulative(bounds: list[str], p95: float) -> list[float]:
    """The part of the observations up to each bound: they lie in the bucket of the percentile and the one before."""
    upper = next(float(bound) for bound in bounds if float(bound) > p95)
    lower = max(float(bound) for bound in bounds if float(bound) <= p95)
    place = (p95 - lower) / (upper - lower)
    assert place < 0.95
    part = (0.95 - place) / (1 - place)
    return [0.0 if float(bound) < lower else part if float(bound) < upper else 1.0 for bound in bounds]


def _turned(before: float, during: float) -> Curve:
    return lambda second: 2.0 * (before * (min(second, 0.0) + 30 * HOUR) + during * max(second, 0.0))


def is_so(name: str, **labels: str) -> Callable[[float], Curves]:
    """A gauge that is 1 when there is trouble: half of that is none."""
    return lambda factor: of(name, float(factor >= 1), **labels)


def times(name: str, threshold: float, **labels: str) -> Callable[[float], Curves]:
    """A gauge that is so many times its threshold; of none is counted in whole numbers."""
    return lambda factor: of(name, threshold * factor if threshold else float(int(factor)), **labels)


def grown(name: str, threshold: float = 0.0, **labels: str) -> Callable[[float], Curves]:
    """A counter that grows at once by so many times what is too much."""
    return lambda factor: of(name, once((threshold or 1.0) * factor), **labels)


def calls(ending: str, threshold: float) -> Callable[[float], Curves]:
    """Ten calls a second, of which so many times the threshold end like that."""

    def curves(factor: float) -> Curves:
        others, these = share(threshold * factor)
        return of("calls_total", others, ending="ok") | of("calls_total", these, ending=ending)

    return curves


def traffic(factor: float) -> Curves:
    """Five calls a second, and then a fifth of that over the factor."""
    return of("calls_total", lambda s: 5.0 * (min(s, 0.0) + 30 * HOUR) + max(s, 0.0) / factor, ending="ok")


def refused(factor: float) -> Curves:
    """Ten calls a second, of which so many times a hundredth are refused."""
    return of("calls_total", steady(10.0), ending="ok") | of(
        "call_errors_total", after(0.1 * factor), code="queue_full"
    )


def latency(threshold: float) -> Callable[[float], Curves]:
    return lambda factor: quantile("call_duration_seconds", 0.6, 0.6 * threshold * factor)


SCENARIOS: dict[str, Scenario] = {
    "MillpondNoWorkers": Scenario(is_so("health_state", state="no_workers"), 150.0),
    "MillpondCrashLooping": Scenario(is_so("health_state", state="crash_looping"), 150.0),
    "MillpondSaturated": Scenario(is_so("health_state", state="saturated"), 150.0),
    "MillpondSlow": Scenario(is_so("health_state", state="slow"), 150.0),
    "MillpondHealthLow": Scenario(lambda factor: of("health_score", min(60.0 / factor, 100.0)), 600.0),
    "MillpondBreakerOpen": Scenario(times("breakers_open", 0), 60.0),
    "MillpondErrors": Scenario(calls("failed", 0.05), 500.0),
    "MillpondDeadlinesMissed": Scenario(calls("expired", 0.05), 500.0),
    "MillpondCallsRefused": Scenario(refused, 500.0),
    "MillpondPoisonCall": Scenario(grown("call_errors_total", code="poison_call"), 60.0),
    "MillpondLatencyUnusual": Scenario(latency(3.0), 405.0, lead_s=HOUR, step_s=15.0),
    "MillpondLatencyAboveYesterday": Scenario(latency(2.0), HOUR, lead_s=25 * HOUR, step_s=60.0),
    "MillpondTrafficLow": Scenario(traffic, HOUR, lead_s=25 * HOUR, step_s=60.0, recovery=5.0),
    "MillpondQueueWait": Scenario(lambda factor: quantile("queue_wait_seconds", 0.3, factor), 600.0),
    "MillpondQueueGrowing": Scenario(
        lambda factor: of("calls_queued", lambda s: 100.0 + factor * 200 * max(s, 0.0) / 300), 400.0, lead_s=600.0
    ),
    "MillpondQueueFillingUp": Scenario(
        lambda factor: of("calls_queued", lambda s: 300.0 + factor**2 * max(s, 0.0) / 3), 400.0, lead_s=600.0
    ),
    "MillpondQueueStuck": Scenario(
        lambda factor: of("queue_oldest_seconds", 30 * factor) | of("calls_running", 0.0), 90.0
    ),
    "MillpondWorkersDying": Scenario(grown("worker_deaths_total", 3, cause="crashed"), 60.0),
    "MillpondStartsFailing": Scenario(grown("worker_start_failures_total"), 60.0),
    "MillpondWorkersMissing": Scenario(
        lambda factor: of("workers_wanted", 4.0)
        | of("workers", 4.0 // factor, state="ready")
        | of("workers", 0.0, state="busy"),
        400.0,
    ),
    "MillpondWorkerMemoryGrowing": Scenario(
        lambda factor: of("workers_memory_trend_bytes_per_second", 4096 * factor)
        | of("workers_memory_trend_confidence_ratio", 0.99),
        700.0,
    ),
    "MillpondParentMemoryGrowing": Scenario(
        lambda factor: of("parent_resident_bytes", lambda s: 500 * MiB * (1 + factor * max(s, 0.0) / HOUR / 2)),
        1.5 * HOUR,
        lead_s=2 * HOUR,
        step_s=30.0,
    ),
    "MillpondFileDescriptors": Scenario(
        lambda factor: of("parent_max_fds", 2000.0) | of("parent_open_fds", 1600.0 * min(factor, 1.2)), 120.0
    ),
    "MillpondFileDescriptorsGrowing": Scenario(
        lambda factor: of("parent_max_fds", 1000.0)
        | of("parent_open_fds", lambda s: 400.0 + factor**2 * max(s, 0.0) / 60),
        HOUR,
        step_s=30.0,
    ),
    "MillpondZombies": Scenario(times("zombies", 0), 400.0),
    "MillpondSessionsLost": Scenario(grown("sessions_lost_total"), 60.0),
    "MillpondMetricsMissing": Scenario(lambda factor: of("health_score", 90.0 if factor < 1 else GONE), 120.0),
    "MillpondStalled": Scenario(times("stalled_seconds", 0), 300.0),
    "MillpondCollectorLate": Scenario(times("collector_lag_seconds", 2), 200.0),
    "MillpondCollectorDropping": Scenario(grown("collector_dropped_samples_total"), 120.0),
    "MillpondCollectorShedding": Scenario(is_so("collector_is_shedding"), 400.0),
    "MillpondHistoryDegraded": Scenario(is_so("history_degraded"), 120.0),
    "MillpondListenerRemoved": Scenario(grown("listeners_removed_total"), 60.0),
    "MillpondRulesFailing": Scenario(times("alert_rules_failing", 0), 120.0),
    "MillpondChannelFailing": Scenario(
        grown("alert_notifications_total", channel="log", outcome="failed"), 60.0
    ),
}  # fmt: skip


class TroubledPool:
    """A pool's metrics, well but for a scenario, and alerts that watch them with one group; no channel."""

    def __init__(self, scenario: Scenario, factor: float, group: Group) -> None:
        self.scenario = scenario
        self.clock = ManualClock(10_000.0)
        self.second = -scenario.lead_s
        curves = scenario.curves(factor)
        read = set().union(*(WatchedRule(rule).names for rule in group.rules))
        self.series = [
            (f.name + suffix, labels, value, _curve_of(curves, f.name + suffix, labels))
            for f in WELL
            for suffix, labels, value in f.samples
            if f.name + suffix in read
        ]
        wall = lambda: 1.7e9 + self.clock.now()  # noqa: E731
        self.alerts = Alerts(self.families, self.clock.now, wall, pool="default", rules=[group])
        self.rules = group.rules
        self.alerts.remove_channel("log")
        self.alerts.families = list  # type: ignore[method-assign]  # what it says of itself is part of the scenario

    def now(self) -> Iterator[tuple[str, Labels, float]]:
        """The series of this second; `GONE` for one that is not there."""
        for name, labels, well, curve in self.series:
            yield name, labels, well if curve is None else self._value(name, well, curve)

    def families(self) -> list[Family]:
        return [Family(name, "gauge", "", "", [("", labels, v)]) for name, labels, v in self.now() if v > GONE]

    def _value(self, name: str, well: float, curve: Curve) -> float:
        """A gauge is well when its trouble is over; a counter goes on."""
        over = max(0.0, self.second - self.scenario.seconds)
        if not name.endswith(("_total", "_bucket", "_count")):
            value = None if over else curve(self.second)
            return well if value is None else value
        return curve(self.second - over) + self.scenario.recovery * over + 1e7

    def step(self, step_s: float = 0.0) -> None:
        """One sample, one evaluation, and the time until the next."""
        self.alerts.evaluate()
        self.second += step_s or self.scenario.step_s
        self.clock.jump(step_s or self.scenario.step_s)

    def live(self, seconds: float, step_s: float = 0.0) -> set[str]:
        """Let time pass; the names of what fired meanwhile."""
        until, fired = self.second + seconds, set()
        while self.second < until:
            self.step(step_s)
            fired |= {alert.name for alert in self.alerts.firing()}
        return fired


def _curve_of(curves: Curves, name: str, labels: Labels) -> Curve | None:
    """What is wrong with this series, if anything is."""
    found = (curve for (troubled, some), curve in curves.items() if troubled == name and set(some) <= set(labels))
    return next(found, None)
