"""The default rules: each fires on the trouble it is for and is over afterwards; a pool that is well hears none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pytest

from millpond.alerts.alerts import Alerts
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.expr.labels import Labels
from millpond.alerts.rules import Group
from millpond.alerts.series import names_in
from millpond.metrics.catalogue import Family, families
from millpond.testing import ManualClock
from tests.metrics.export_snapshots import operation, snapshot

HOUR = 3600.0
Curve = Callable[[float], float]  # seconds since the trouble began -> value


@dataclass(frozen=True)
class Trouble:
    """What goes wrong: curves of some series of a metric, those with these labels, for `seconds`.

    The time before lasts `lead_s`; afterwards gauges are well again and counters grow by `recovery` a second.
    """

    curves: Mapping[tuple[str, tuple[tuple[str, str], ...]], Curve]
    seconds: float
    lead_s: float = 120.0
    step_s: float = 5.0
    recovery: float = 0.0


def of(name: str, curve: Curve | float, **labels: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], Curve]:
    """A curve, or a value that stays, for the series of a metric with these labels."""
    made = curve if callable(curve) else lambda _, value=curve: value
    return {(f"millpond_{name}", tuple(labels.items())): made}


def grows(per_second: float) -> Curve:
    """A counter or a gauge that grows from the beginning of the trouble on; 0 before."""
    return lambda second: max(0.0, per_second * second)


def steady(per_second: float) -> Curve:
    """A counter that has always grown, and stands still when the trouble is over."""
    return lambda second: per_second * (second + 30 * HOUR)


def buckets(name: str, slow_from: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], Curve]:
    """A call a second, fast ones before the trouble and slow ones during it: from bucket `slow_from` on."""
    curves = {}
    for suffix, labels, _ in next(f for f in WELL if f.name == f"millpond_{name}").samples:
        if suffix == "_bucket":
            le = dict(labels)["le"]
            is_slow = float(le) >= float(slow_from)
            curves |= of(f"{name}_bucket", steady(1.0) if is_slow else lambda s: min(s, 0.0) + 30 * HOUR, le=le)
    return curves | of(f"{name}_count", steady(1.0))


WELL = families(snapshot(operation("add"), max_queued=1000, alerting=Alerts(list).figures()))
STATES = {
    state: Trouble(of("health_state", 1.0, state=state), 150.0)
    for state in ("no_workers", "crash_looping", "saturated", "slow")
}
TROUBLES: dict[str, Trouble] = {
    "MillpondNoWorkers": STATES["no_workers"],
    "MillpondCrashLooping": STATES["crash_looping"],
    "MillpondSaturated": STATES["saturated"],
    "MillpondSlow": STATES["slow"],
    "MillpondHealthLow": Trouble(of("health_score", 20.0), 600.0),
    "MillpondBreakerOpen": Trouble(of("breakers_open", 1.0), 60.0),
    "MillpondErrors": Trouble(
        of("calls_total", steady(5.0), ending="ok") | of("calls_total", grows(1.0), ending="failed"), 400.0
    ),
    "MillpondDeadlinesMissed": Trouble(
        of("calls_total", steady(5.0), ending="ok") | of("calls_total", grows(1.0), ending="expired"), 400.0
    ),
    "MillpondCallsRefused": Trouble(
        of("calls_total", steady(5.0), ending="ok") | of("call_errors_total", grows(1.0), code="queue_full"), 200.0
    ),
    "MillpondPoisonCall": Trouble(of("call_errors_total", lambda s: float(s > 5), code="poison_call"), 30.0),
    "MillpondLatencyUnusual": Trouble(buckets("call_duration_seconds", "8.0"), 600.0, lead_s=HOUR),
    "MillpondLatencyAboveYesterday": Trouble(
        buckets("call_duration_seconds", "8.0"), *(3 * HOUR, 25 * HOUR, 60.0)
    ),
    "MillpondTrafficLow": Trouble(
        of("calls_total", lambda s: 5.0 * min(s, 0.0), ending="ok"),
        *(1.5 * HOUR, 25 * HOUR, 60.0),
        recovery=5.0,
    ),
    "MillpondQueueWait": Trouble(buckets("queue_wait_seconds", "8.0"), 900.0),
    "MillpondQueueGrowing": Trouble(of("calls_queued", grows(1.0)), 400.0),
    "MillpondQueueFillingUp": Trouble(of("calls_queued", grows(1.0)), 600.0),
    "MillpondQueueStuck": Trouble(of("queue_oldest_seconds", grows(1.0)) | of("calls_running", 0.0), 90.0),
    "MillpondWorkersDying": Trouble(of("worker_deaths_total", grows(0.1), cause="crashed"), 120.0),
    "MillpondStartsFailing": Trouble(of("worker_start_failures_total", grows(0.1)), 60.0),
    "MillpondWorkersMissing": Trouble(of("workers", 0.0, state="busy"), 600.0),
    "MillpondWorkerMemoryGrowing": Trouble(
        of("workers_memory_trend_bytes_per_second", 50_000.0)
        | of("workers_memory_trend_confidence_ratio", 0.99),
        900.0,
    ),
    "MillpondParentMemoryGrowing": Trouble(
        of("parent_resident_bytes", lambda s: 1e8 + 1e5 * max(0.0, s)), 2 * HOUR, lead_s=2 * HOUR
    ),
    "MillpondFileDescriptors": Trouble(of("parent_open_fds", 900.0), 120.0),
    "MillpondFileDescriptorsGrowing": Trouble(of("parent_open_fds", lambda s: 33 + 0.1 * max(0.0, s)), 2 * HOUR),
    "MillpondZombies": Trouble(of("zombies", 2.0), 400.0),
    "MillpondSessionsLost": Trouble(of("sessions_lost_total", lambda s: float(s > 5) * 3), 30.0),
    "MillpondMetricsMissing": Trouble(of("health_score", lambda _: float("-inf")), 120.0),
    "MillpondStalled": Trouble(of("stalled_seconds", 4.0), 300.0),
    "MillpondCollectorLate": Trouble(of("collector_lag_seconds", 4.0), 200.0),
    "MillpondCollectorDropping": Trouble(of("collector_dropped_samples_total", grows(100.0)), 120.0),
    "MillpondCollectorShedding": Trouble(of("collector_is_shedding", 1.0), 400.0),
    "MillpondHistoryDegraded": Trouble(of("history_degraded", 1.0), 120.0),
    "MillpondListenerRemoved": Trouble(of("listeners_removed_total", lambda s: float(s > 5)), 30.0),
    "MillpondRulesFailing": Trouble(of("alert_rules_failing", 1.0), 120.0),
    "MillpondChannelFailing": Trouble(
        of("alert_notifications_total", lambda s: float(s > 5), channel="log", outcome="failed"), 30.0
    ),
}  # fmt: skip


class Patient:
    """A pool's metrics, well but for its trouble, and alerts that watch them; no channel."""

    def __init__(self, trouble: Trouble, rules: Collection[Group]) -> None:
        self.trouble = trouble
        self.clock = ManualClock(10_000.0)
        self.second = -trouble.lead_s
        mentioned = frozenset().union(*(names_in(rule.tree) for group in rules for rule in group.rules))
        self.series = [
            (f.name + suffix, labels, value, self.curve_of(f.name + suffix, labels))
            for f in WELL
            for suffix, labels, value in f.samples
            if f.name + suffix in mentioned
        ]
        wall = lambda: 1.7e9 + self.clock.now()  # noqa: E731
        self.alerts = Alerts(self.families, self.clock.now, wall, pool="default", rules=rules)
        self.alerts.remove_channel("log")
        self.alerts.families = list  # type: ignore[method-assign]  # what it says of itself is part of the story

    def curve_of(self, name: str, labels: Labels) -> Curve | None:
        """What is wrong with this series, if anything is."""
        curves = self.trouble.curves.items()
        found = (curve for (troubled, wanted), curve in curves if troubled == name and set(wanted) <= set(labels))
        return next(found, None)

    def families(self) -> list[Family]:
        """What there is at this second; a value of minus infinity is a series that is not there."""
        now = [
            (name, labels, well if curve is None else self.value(name, well, curve))
            for name, labels, well, curve in self.series
        ]
        return [Family(name, "gauge", "", "", [("", labels, v)]) for name, labels, v in now if v > float("-inf")]

    def value(self, name: str, well: float, curve: Curve) -> float:
        """A gauge is well outside its trouble; a counter goes on."""
        if not name.endswith(("_total", "_bucket", "_count")):
            return curve(self.second) if 0.0 <= self.second <= self.trouble.seconds else well
        after = max(0.0, self.second - self.trouble.seconds)
        return curve(self.second - after) + self.trouble.recovery * after + 1e7

    def live(self, seconds: float, step_s: float) -> set[str]:
        """Let time pass; the names of what fired meanwhile."""
        until, fired = self.second + seconds, set()
        while self.second < until:
            self.alerts.evaluate()
            fired |= {alert.name for alert in self.alerts.firing()}
            self.second += step_s
            self.clock.jump(step_s)
        return fired


@pytest.mark.parametrize("name", [rule.alert for group in DEFAULT_GROUPS for rule in group.rules])
def test_a_default_rule_fires_on_its_trouble_and_is_over_afterwards(name):
    """Not before the trouble, within it, and not for ever."""
    trouble = TROUBLES[name]
    patient = Patient(trouble, [group for group in DEFAULT_GROUPS if name in {rule.alert for rule in group.rules}])
    assert name not in patient.live(trouble.lead_s, trouble.step_s)
    assert name in patient.live(trouble.seconds, trouble.step_s)
    patient.live(2 * HOUR, 60.0)
    assert name not in {alert.name for alert in patient.alerts.firing()}
    assert [rule for rule in patient.alerts.rules() if rule.problem] == []


@pytest.mark.parametrize(("died", "told"), [(2, set()), (3, {"3"}), (40, {"40"})])
def test_the_deaths_that_are_told_are_those_there_were(died, told):
    """Also in a pool that was opened a moment ago, where a growth over ten minutes would have to be guessed."""
    deaths = of("worker_deaths_total", lambda second: 0.0 if second < 0 else float(died), cause="crashed")
    patient = Patient(Trouble(deaths, 2 * HOUR, 2.0, 1.0), DEFAULT_GROUPS)
    patient.live(2.0, 1.0)
    said = set()
    for _ in range(40):
        patient.live(1.0, 1.0)
        said |= {alert.annotations["summary"] for alert in patient.alerts.firing() if "Dying" in alert.name}
    assert {text.split("lost ")[1].split()[0] for text in said} == told


def test_a_pool_that_is_well_hears_no_alarm():
    """Two hours of steady work and nothing fires, nothing is even pending."""
    work = of("calls_total", steady(50.0), ending="ok") | of("calls_submitted_total", steady(50.0))
    patient = Patient(Trouble(work | of("call_duration_seconds_bucket", steady(50.0)), 2 * HOUR), DEFAULT_GROUPS)
    assert patient.live(2 * HOUR, 5.0) == set()
    assert patient.alerts.pending() == ()
    assert patient.alerts.history() == ()
