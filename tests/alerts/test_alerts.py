"""The whole of `pool.alerts`, on a clock moved by hand: samples, rules, events, silences, channels, its own metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from millpond.alerts.alerts import HISTORY, LOG_ROUTE, Alerts
from millpond.alerts.notify import Notification, Route
from millpond.alerts.rules import Condition, Group, Rule, RuleError
from millpond.events import AlertFiring, AlertResolved
from millpond.metrics.catalogue import Family
from millpond.telemetry.bus import Bus
from millpond.testing import ManualClock
from tests.alerts.made import gauge, gauges, group
from tests.leftovers import Leftovers

UPPER_BOUND_S = 60.0
BUSY = Rule("Busy", of="calls_queued", above=5, for_s=10.0, summary="{value} wait in {pool}")


class Listening:
    """A channel that remembers, and lets a test wait for so many notifications."""

    def __init__(self, name: str = "listening") -> None:
        self.name = name
        self.sent: list[Notification] = []
        self.came = threading.Semaphore(0)

    def deliver(self, notification: Notification) -> None:
        self.sent.append(notification)
        self.came.release()

    def next(self) -> str:
        """Wait for one more notification; its status and the names of its alerts."""
        assert self.came.acquire(timeout=UPPER_BOUND_S)
        one = self.sent[-1]
        return f"{one.status} {','.join(alert.name for alert in one.alerts)}"


class Site:
    """Alerts over a queue whose length the test sets."""

    def __init__(self, *groups: Group) -> None:
        self.queued: dict[str, float] = {"a": 0.0}
        self.clock = ManualClock(50.0)
        self.bus = Bus()
        self.events: list[object] = []
        self.bus.attach("test", "alert", self.events.append)
        wall = lambda: 1.7e9 + self.clock.now()  # noqa: E731
        self.alerts = Alerts(self.families, self.clock.now, wall, self.bus, pool="a", rules=groups or (group(BUSY),))

    def families(self) -> list[Family]:
        return [gauges("millpond_calls_queued", "pool", self.queued), gauge("millpond_calls_running", 1.0, pool="a")]

    def live(self, seconds: int) -> None:
        """Let time pass, with a look each second, as the collector has it."""
        for _ in range(seconds):
            self.alerts.evaluate()
            self.clock.jump(1.0)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.alerts.close(UPPER_BOUND_S)


def test_an_alert_goes_through_its_states(site):
    """Pending at once, firing when it held long enough, resolved when it is over; the history has both ends."""
    site.live(5)
    site.queued["a"] = 9.0
    site.live(5)
    (pending,) = site.alerts.pending()
    assert (pending.name, pending.state, site.alerts.firing()) == ("Busy", "pending", ())
    site.live(10)
    (firing,) = site.alerts.firing()
    assert firing.labels == {"alertname": "Busy", "pool": "a", "severity": "warning"}
    assert firing.summary == "9 wait in a"
    assert firing.fired_at - firing.active_at == 10.0
    site.queued["a"] = 0.0
    site.live(6)
    assert (site.alerts.firing(), site.alerts.pending()) == ((), ())
    assert [alert.state for alert in site.alerts.history()] == ["resolved", "firing"]


def test_events_say_that_it_fires_and_that_it_is_over(site):
    """With name, severity, summary and how long."""
    site.queued["a"] = 9.0
    site.live(20)
    site.queued["a"] = 0.0
    site.live(6)
    fired, resolved = site.events
    assert isinstance(fired, AlertFiring)
    assert (fired.alert, fired.severity, fired.summary, fired.value) == ("Busy", "warning", "9 wait in a", 9.0)
    assert isinstance(resolved, AlertResolved)
    assert (resolved.fingerprint, resolved.seconds) == (fired.fingerprint, 10.0)


def test_samples_are_taken_every_five_seconds_however_often_it_is_called(site):
    """A look in between costs next to nothing."""
    site.live(60)
    assert site.alerts.figures().rounds == 12


def test_each_series_has_an_alert_of_its_own(site):
    """Equal labels are one alert, others another."""
    site.queued = {"a": 9.0, "b": 7.0, "c": 1.0}
    site.live(20)
    assert [alert.labels["pool"] for alert in site.alerts.firing()] == ["a", "b"]
    assert len({alert.fingerprint for alert in site.alerts.firing()}) == 2


def test_a_channel_is_sent_beginning_and_end(site):
    """Once each."""
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=0.0, interval_s=0.0))
    site.queued["a"] = 9.0
    site.live(60)
    assert channel.next() == "firing Busy"
    site.queued["a"] = 0.0
    site.live(60)
    assert channel.next() == "resolved Busy"
    site.alerts.close(UPPER_BOUND_S)
    assert len(channel.sent) == 2


def test_a_notification_that_waited_is_sent_between_two_rounds(site):
    """When its route says so, not with the next sample."""
    site.alerts.add_rules(group(Rule("Now", of="calls_queued", above=5), name="now"))
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=1.0))
    site.queued["a"] = 9.0
    site.live(2)
    assert channel.next() == "firing Now"


def test_when_the_pool_closes_what_fires_is_resolved(site):
    """Channels, listeners and the history have it, before the channels are closed."""
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=3600.0))
    site.queued["a"] = 9.0
    site.live(20)
    site.alerts.end()
    assert site.alerts.firing() == ()
    assert [type(event) for event in site.events] == [AlertFiring, AlertResolved]
    assert site.alerts.history()[0].state == "resolved"
    site.alerts.close(UPPER_BOUND_S)
    assert [notification.status for notification in channel.sent] == ["firing", "resolved"]


def test_a_channel_without_a_thread_keeps_the_others_from_nothing(site, monkeypatch):
    """What cannot be sent now is sent with the next notification, when a thread can be had again."""
    starved, channel = Listening("starved"), Listening()
    for one in (starved, channel):
        site.alerts.add_channel(one, Route(wait_s=0.0, interval_s=0.0))
    start = threading.Thread.start

    def failing(thread):
        if thread.name == "millpond-starved":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", failing)
    site.queued["a"] = 9.0
    site.live(20)
    assert channel.next() == "firing Busy"
    monkeypatch.undo()
    site.queued["a"] = 0.0
    site.live(6)
    assert channel.next() == "resolved Busy"
    assert starved.next() in ("firing Busy", "resolved Busy")
    site.alerts.close(UPPER_BOUND_S)
    assert [one.status for one in starved.sent][-1] == "resolved"


def test_a_channel_that_comes_late_is_sent_what_fires(site):
    """The night watch learns of the fire."""
    site.queued["a"] = 9.0
    site.live(20)
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=0.0))
    site.live(6)
    assert channel.next() == "firing Busy"


def test_the_log_is_a_channel_unless_it_is_removed(site, caplog):
    """Beginning and end in `millpond.alerts`, on one line each."""
    caplog.set_level("INFO", logger="millpond.alerts")
    site.queued["a"] = 9.0
    site.live(20)
    site.queued["a"] = 0.0
    site.live(6)
    site.alerts.close(UPPER_BOUND_S)
    messages = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert messages[0][0] == "WARNING"
    assert messages[0][1].startswith('alert.firing alert=Busy summary="9 wait in a" value=9')
    assert messages[1][1].startswith("alert.resolved alert=Busy")
    assert site.alerts.remove_channel("log")
    assert not site.alerts.remove_channel("log")
    assert LOG_ROUTE.wait_s == 0.0


def test_a_silenced_alert_is_seen_and_not_sent(site):
    """It stays in the lists with the silence's id; when that ends it is sent."""
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=0.0, interval_s=0.0))
    silence = site.alerts.silence('alertname="Busy"', 60.0, author="me", comment="known")
    site.queued["a"] = 9.0
    site.live(30)
    assert [alert.silenced_by for alert in site.alerts.firing()] == [silence.id]
    assert site.alerts.silences() == (silence,)
    site.live(40)
    assert channel.next() == "firing Busy"
    assert len(channel.sent) == 1
    assert site.alerts.silences() == ()
    assert not site.alerts.lift(silence.id)


def test_groups_of_rules_are_added_all_or_none(site):
    """A name that is taken needs `replace`, and keeps the others of the call out too."""
    more = group(Rule("Running", of="calls_running", above=0), name="more")
    other = group(Rule("Other", of="calls_running", above=0), name="other")
    site.alerts.add_rules(more)
    with pytest.raises(RuleError, match="replace"):
        site.alerts.add_rules([other, more])
    assert [rule.alert for rule in site.alerts.rules()] == ["Busy", "Running"]
    site.alerts.add_rules([other, more], replace=True)
    site.live(20)
    assert {(rule.group, rule.alert, rule.state) for rule in site.alerts.rules()} == {
        ("g", "Busy", "inactive"),
        ("more", "Running", "firing"),
        ("other", "Other", "firing"),
    }
    assert site.alerts.rules()[0].expr == "millpond_calls_queued > 5"


def test_all_rules_make_one_file(site):
    """With each group that is there now."""
    site.alerts.add_rules(group(Rule("Running", of="calls_running", above=0, for_s=90), name="more"))
    groups = json.loads(site.alerts.rule_file())["groups"]
    assert [one["name"] for one in groups] == ["g", "more"]
    assert groups[1]["rules"] == [
        {"alert": "Running", "expr": "millpond_calls_running > 0", "for": "90s", "labels": {"severity": "warning"}}
    ]


def test_removing_rules_resolves_what_fires(site):
    """Nobody keeps waiting for the end of an alert that nobody evaluates any more."""
    channel = Listening()
    site.alerts.add_channel(channel, Route(wait_s=0.0, interval_s=0.0))
    site.queued["a"] = 9.0
    site.live(20)
    assert channel.next() == "firing Busy"
    assert site.alerts.remove_rules("g")
    assert not site.alerts.remove_rules("g")
    site.live(10)
    assert channel.next() == "resolved Busy"
    assert site.alerts.rules() == ()


def test_a_rule_that_cannot_be_evaluated_is_reported(site):
    """In the list of rules and in the alerting's own metrics; the other rules go on."""
    alike = Rule("Alike", of="calls_queued", above=5, labels={"pool": "any"})
    site.alerts.add_rules(group(alike, name="alike"))
    site.queued = {"a": 9.0, "b": 9.0}
    site.live(20)
    assert [rule.alert for rule in site.alerts.rules() if rule.problem] == ["Alike"]
    assert {alert.name for alert in site.alerts.firing()} == {"Busy"}
    (failing,) = (f for f in site.alerts.families() if f.name == "millpond_alert_rules_failing")
    assert failing.samples == [("", (("pool", "a"),), 1.0)]


def test_metrics_that_cannot_be_read_change_nothing(site, caplog):
    """No sample is no reason to resolve or to stop: it is logged once, and goes on when there is one again."""
    site.queued["a"] = 9.0
    site.live(20)
    readable, site.queued = site.queued, None
    site.live(30)
    assert {alert.name for alert in site.alerts.firing()} == {"Busy"}
    assert caplog.text.count("the metrics cannot be read") == 1
    site.queued = {**readable, "a": 0.0}
    site.live(6)
    assert site.alerts.firing() == ()


def test_the_alerting_watches_itself():
    """Its own metrics are samples among the others, so that rules can be about rules."""
    also = Condition(of="alert_series", above=0)
    watcher = Rule("Watcher", of="alerts", where={"state": "firing"}, above=0, also=(also,))
    site = Site(group(BUSY, watcher))
    site.queued["a"] = 9.0
    site.live(30)
    assert {alert.name for alert in site.alerts.firing()} == {"Busy", "Watcher"}
    site.alerts.close(UPPER_BOUND_S)


def test_its_own_figures_are_those_of_the_last_round(site):
    """A record that any thread may read, while the loop's thread goes on."""
    assert (site.alerts.figures().rounds, site.alerts.figures().pending) == (0, 0)
    site.queued["a"] = 9.0
    site.live(5)
    first = site.alerts.figures()
    assert (first.rounds, first.pending, first.firing) == (1, 1, 0)
    assert first.evaluation_s > 0.0
    site.live(10)
    assert (site.alerts.figures().firing, first.firing) == (1, 0)


def test_its_newest_figures_are_sampled_once():
    """A pool's snapshot has the alerting of a round ago; the rules see that of now, and no series twice."""
    stale = gauges("millpond_alerts", "state", {"pending": 7.0, "firing": 7.0})
    site = Site(group(Rule("Seven", of="alerts", by="state", above=6), BUSY))
    own, site.queued["a"] = site.families, 9.0
    site.alerts._families = lambda: [*own(), stale]
    site.live(30)
    assert {alert.name for alert in site.alerts.firing()} == {"Busy"}
    site.alerts.close(UPPER_BOUND_S)


def test_the_history_is_bounded():
    """A rule that flaps for a year costs a thousand records."""
    site = Site(group(Rule("Flap", of="calls_queued", above=5)))
    site.alerts.remove_channel("log")
    for round_ in range(HISTORY):
        site.queued["a"] = 9.0 * (round_ % 2)
        site.live(5)
    assert len(site.alerts.history(10_000)) == HISTORY - 1
    site.live(10)
    assert len(site.alerts.history(10_000)) <= HISTORY
    assert len(site.alerts.history(3)) == 3


def test_nothing_starts_before_there_is_something_to_tell():
    """No thread for alerts that never fire."""
    before = Leftovers()
    site = Site()
    site.live(30)
    assert not before.threads()
    site.alerts.close(UPPER_BOUND_S)
