"""What a channel is sent and when, by examples and against the promise that it always learns the truth in the end."""

from __future__ import annotations

import dataclasses
import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.notify import Grouping, Route
from millpond.alerts.silences import Silences
from millpond.alerts.states import Alert
from tests.alerts.made import alert

ROUTE = Route(wait_s=10.0, interval_s=60.0, repeat_s=3600.0)


def sent(grouping: Grouping, now: float, firing: tuple[Alert, ...] = (), resolved: tuple[Alert, ...] = ()) -> list[str]:
    """What is sent at a moment: the status and the names of each notification's alerts."""
    found = grouping.look(firing, resolved, now)
    return [f"{one.status} {','.join(f'{a.name}:{a.state}' for a in one.alerts)}" for one in found]


def test_alerts_of_a_group_are_gathered_before_the_first_notification():
    """Three workers' alerts in one message, not in three."""
    grouping = Grouping("d", Route(wait_s=10.0, group_by=("pool",)), 0.0)
    assert sent(grouping, 0.0, (alert("A"),)) == []
    assert sent(grouping, 5.0, (alert("A"), alert("B"))) == []
    assert sent(grouping, 10.0, (alert("A"), alert("B"))) == ["firing A:firing,B:firing"]


def test_what_was_sent_is_not_sent_again_until_it_is_time():
    """Once, then after `repeat_s`."""
    grouping = Grouping("d", ROUTE, 0.0)
    times = [now for now in range(0, 8000, 5) if sent(grouping, float(now), (alert(),))]
    assert times == [10, 3610, 7210]


def test_the_end_is_sent_after_the_interval():
    """With the group's other alerts as they are then."""
    grouping = Grouping("d", Route(wait_s=0.0, interval_s=60.0, group_by=()), 0.0)
    assert sent(grouping, 0.0, (alert("A"), alert("B"))) == ["firing A:firing,B:firing"]
    assert sent(grouping, 5.0, (alert("A"),), (alert("B", "resolved"),)) == []
    assert sent(grouping, 60.0, (alert("A"),)) == ["firing A:firing,B:resolved"]
    assert sent(grouping, 120.0, (), (alert("A", "resolved"),)) == ["resolved A:resolved"]
    assert sent(grouping, 9999.0) == []


def test_what_was_over_before_it_was_sent_is_sent_all_the_same():
    """It fired, and then it was over: both, in that order, however short it was."""
    grouping = Grouping("d", ROUTE, 0.0)
    assert sent(grouping, 0.0, (alert(),)) == []
    assert sent(grouping, 5.0, (), (alert(state="resolved"),)) == []
    assert not grouping.is_due(9.9)
    assert grouping.is_due(10.0)
    assert sent(grouping, 10.0) == ["firing A:firing"]
    assert sent(grouping, 69.0) == []
    assert sent(grouping, 70.0) == ["resolved A:resolved"]
    assert sent(grouping, 9999.0) == []


def test_what_was_missed_and_fires_again_is_sent_once():
    """Its end is not sent while it fires."""
    grouping = Grouping("d", ROUTE, 0.0)
    assert sent(grouping, 0.0, (alert(),)) == []
    assert sent(grouping, 5.0, (), (alert(state="resolved"),)) == []
    assert sent(grouping, 10.0, (alert(),)) == ["firing A:firing"]
    assert sent(grouping, 500.0, (alert(),)) == []


def test_at_the_end_nothing_waits():
    """When a pool closes, who was sent the beginning is sent the end, who was not is sent both."""
    grouping = Grouping("d", Route(wait_s=10.0), 0.0)
    assert sent(grouping, 0.0, (alert("A"),)) == []
    assert sent(grouping, 10.0, (alert("A"),)) == ["firing A:firing"]
    assert sent(grouping, 11.0, (alert("A"), alert("B"))) == []
    over = grouping.finish((alert("A", "resolved"), alert("B", "resolved")), 12.0)
    assert [(one.status, [a.name for a in one.alerts]) for one in over] == [
        ("resolved", ["A"]),
        ("firing", ["B"]),
        ("resolved", ["B"]),
    ]


def test_a_silenced_alert_is_not_sent_and_its_end_is():
    """Who was sent the beginning is sent the end; who was not, is not."""
    silenced = dataclasses.replace(alert(), silenced_by="s1")
    early, late = Grouping("d", Route(wait_s=0.0), 0.0), Grouping("e", Route(wait_s=0.0), 0.0)
    assert sent(early, 0.0, (alert(),)) == ["firing A:firing"]
    for now in (5.0, 5000.0, 50_000.0):
        assert sent(early, now, (silenced,)) == sent(late, now, (silenced,)) == []
    assert sent(early, 60_000.0, (), (alert(state="resolved"),)) == ["resolved A:resolved"]
    assert sent(late, 60_000.0, (), (alert(state="resolved"),)) == []


def test_a_route_takes_only_what_it_asks_for():
    """By the matchers of its labels, as silences do."""
    grouping = Grouping("d", Route(matchers='severity="critical"', wait_s=0.0), 0.0)
    assert sent(grouping, 0.0, (alert("A", severity="info"), alert("B", severity="critical"))) == ["firing B:firing"]


def test_resolved_alerts_can_be_left_out():
    """Then nothing is sent of a group that is over."""
    grouping = Grouping("d", Route(wait_s=0.0, interval_s=0.0, send_resolved=False), 0.0)
    assert sent(grouping, 0.0, (alert(),)) == ["firing A:firing"]
    assert sent(grouping, 5.0, (), (alert(state="resolved"),)) == []


def test_a_flood_is_held_back_and_sent_later():
    """Six a minute, and all of them in the end."""
    grouping = Grouping("d", Route(wait_s=0.0, per_minute=6.0), 0.0)
    many = tuple(alert(f"A{number:02}") for number in range(20))
    counts = [len(sent(grouping, float(now), many)) for now in range(0, 200, 10)]
    assert counts[0] == 6
    assert counts[1:15] == [1] * 14
    assert sum(counts) == 20


@pytest.mark.parametrize("wrong", [{"wait_s": -1.0}, {"repeat_s": 0.0}, {"per_minute": 0.0}, {"matchers": "x"}])
def test_a_route_that_makes_no_sense_is_refused(wrong):
    """When it is made."""
    with pytest.raises(ValueError, match=r".+"):
        Route(**wrong)


@given(
    states=st.lists(st.sets(st.sampled_from("ABCDE")), min_size=1, max_size=25),
    route=st.builds(
        Route,
        wait_s=st.sampled_from([0.0, 7.0, 30.0]),
        interval_s=st.sampled_from([0.0, 20.0]),
        repeat_s=st.sampled_from([50.0, math.inf]),
        per_minute=st.sampled_from([2.0, 100.0]),
        group_by=st.sampled_from([(), ("alertname",), ("pool",)]),
    ),
)
def test_a_channel_learns_the_truth_in_the_end(states, route):
    """Whatever fires and ends in whatever order: when things have been at rest for a while, what the channel believes
    to be firing fires, and no end was sent of what had not been sent before.
    """
    grouping, believed, before = Grouping("d", route, 0.0), set(), set()
    for moment, firing in enumerate([*states, *[states[-1]] * 200]):
        ended = tuple(alert(name, "resolved") for name in sorted(before - firing))
        for notification in grouping.look(tuple(map(alert, sorted(firing))), ended, moment * 5.0):
            assert notification.alerts
            for one in notification.alerts:
                if one.state == "resolved":
                    assert one.name in believed
                    believed.discard(one.name)
                else:
                    believed.add(one.name)
        before = firing
    assert believed == states[-1]


def test_a_silence_covers_by_matchers_until_it_ends():
    """All of its matchers, and not a moment longer."""
    silences = Silences()
    silence = silences.add('alertname=~"A|B", severity!="critical"', 100.0, 60.0, "me", "moving house")
    assert silences.covering({"alertname": "A"}, 100.0) == silence.id
    assert silences.covering({"alertname": "A", "severity": "critical"}, 100.0) == ""
    assert silences.covering({"alertname": "A"}, 160.0) == ""
    assert silences.current(160.0) == ()


@pytest.mark.parametrize("matchers", ["", "a=~'.*'", "a!='b'", "a=b", "a"])
def test_a_silence_of_everything_is_refused(matchers):
    """A slip must not mute the house."""
    with pytest.raises(ValueError, match=r".+"):
        Silences().add(matchers, 0.0, 60.0, "", "")


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_silence_lasts_some_time(seconds):
    """One that covers nothing would stand among the others and look as if it did."""
    with pytest.raises(ValueError, match="lasts longer than 0 s"):
        Silences().add('alertname="A"', 100.0, seconds, "", "")


def test_a_silence_can_be_lifted():
    """Once."""
    silences = Silences()
    silence = silences.add('alertname="A"', 0.0, 60.0, "", "")
    assert (silences.lift(silence.id), silences.lift(silence.id)) == (True, False)
