"""What `top` makes of the snapshots of a pool."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from millpond.cli.top import figures
from millpond.cli.top.figures import Seen

HEALTH = {"score": 100.0, "state": "healthy", "reason": "", "components": [], "notes": []}


def step(**more: Any) -> dict[str, Any]:
    told = {"counters": {"endings.ok": 10.0}, "gauges": {"queued": 1.0}, "percentiles": {"latency": {"p99": 0.1}}}
    return {"wall": 0.0, "seconds": 1.0, **told} | more


def snapshot(**more: Any) -> dict[str, Any]:
    told = {
        "state": "ready",
        "is_ready": True,
        "health": HEALTH,
        "percentiles": {"60": {"latency": {"p50": 0.012, "p99": None}}},
        "running": 1,
        "queued": 2,
        "alive": 1,
        "wanted": 2,
        "asked_for": 2,
        "bounds": {"min_workers": 1, "max_workers": 4},
        "sessions": {"open": 5, "asleep": 3, "lost": 0},
        "optimizer": "running",
        "warming": None,
        "firing": 0,
        "each_worker": [],
        "step": step(),
    }
    return {"event": "snapshot", "wall": 1.0, "snapshot": told | more}


def seen(*events: dict[str, Any]) -> Seen:
    found = Seen()
    for event in events or (snapshot(),):
        found.take(event)
    return found


@pytest.mark.parametrize(
    ("state", "tone"),
    [("healthy", "well"), ("slow", "full"), ("saturated", "full"), ("no_workers", "bad"), ("crash_looping", "bad")],
)
def test_each_state_has_its_word_and_its_tone(state, tone):
    """The words are those of the pool's health, and of the page."""
    found = figures.verdict(seen(snapshot(health=HEALTH | {"state": state, "reason": "because"})))
    assert found == (f"{state.replace('_', ' ')} 100/100", tone, "because")


def test_a_pool_that_closes_is_told_as_that():
    """Its health says nothing then."""
    assert figures.verdict(seen(snapshot(state="draining"))) == ("draining", "bad", "")
    assert figures.verdict(seen(snapshot(state="opening", is_ready=False)))[0] == "opening"


def test_where_most_points_went_comes_first_and_no_reason_twice():
    """What took less than a point is left out; notes come last."""
    parts = [("errors", 20, 19.5, "few"), ("queue_trend", 10, 8, "it grew"), ("saturation", 30, 5, "all busy")]
    components = [dict(zip(("name", "weight", "score", "reason"), part, strict=True)) for part in parts]
    health = HEALTH | {"reason": "all busy", "components": components, "notes": ["a note"]}
    assert figures.lost_points(seen(snapshot(health=health))) == ["-25 saturation", "-2 queue trend: it grew", "a note"]


def test_rates_are_of_what_was_counted():
    """Calls of the last ten seconds over these seconds; before anything was counted there is no rate."""
    assert "calls/s 10" in figures.numbers(seen())
    assert "calls/s 10" in figures.numbers(seen(*[snapshot()] * 30))
    assert "calls/s -" in figures.numbers(seen(snapshot(step=None)))


def test_what_is_unusual_is_among_the_numbers_and_what_is_not_is_not():
    """A paused optimizer, a warm-up and alerts."""
    assert not [one for one in figures.numbers(seen()) if one.startswith(("optimizer", "warming", "alerts"))]
    found = figures.numbers(seen(snapshot(optimizer="paused", warming={"done": 1, "of": 4, "failed": 0}, firing=2)))
    assert {"optimizer paused", "warming 1 of 4", "alerts firing 2"} <= set(found)


def test_history_comes_before_the_first_snapshot():
    """The sparklines reach back to before the screen was opened."""
    found = Seen()
    history = {"wall": [1.0, 2.0], "seconds": [1.0, 1.0], "counters": {"endings.ok": [4.0, 8.0]}, "gauges": {}}
    found.begin_with(history | {"percentiles": {"latency": {"p99": [None, 0.5]}}})
    assert figures.sparklines(found, 20)[:2] == ["calls/s ▅█", "p99     ▁█"]


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_bars_are_as_wide_as_the_screen(columns):
    """Whatever the share."""
    for share in (None, 0.0, 0.004, 0.5, 1.0):
        assert cell_len(figures.bar(share, columns)) <= columns


def test_workers_are_sorted_by_what_was_asked():
    """By their numbers the lowest first, else the highest; what is not known comes last."""
    one = {"worker": 1, "state": "ready", "operation": None, "seconds": None, "sessions": 0, "calls": 5}
    two = {"worker": 2, "state": "busy", "operation": "read", "seconds": 1.5, "sessions": 0, "calls": 1}
    more = {"utilization": None, "rss": -1, "cpu": 0.5}
    found = seen(snapshot(each_worker=[two | more, one | more]))
    assert [row[0] for row in figures.workers(found, "worker")] == ["1", "2"]
    assert figures.workers(found, "for")[0] == ("2", "busy", "read", "1.50 s", "0", "1", "-", "-", "50%")


def test_critical_alerts_come_first():
    """Whatever the order in which they began to fire."""
    found = Seen()
    told = (("Slow", "warning"), ("Dead", "critical"), ("Own", ""))
    found.firing = [
        {"name": name, "labels": {"severity": how}, "annotations": {"summary": "why"}} for name, how in told
    ]
    assert figures.alerts(found) == [("Dead: why", "bad"), ("Slow: why", "full"), ("Own: why", "full")]


def test_workers_that_went_before_are_among_the_events():
    """The newest first, told as the event tells it."""
    gone = {"worker": 3, "wall": 1.0, "cause": "crashed", "reason": "", "signal": 9, "exit_code": None, "sessions": 0}
    found = Seen()
    found.look_back([gone | {"seconds": 2.0, "stderr_tail": "secret"}])
    assert figures.happened(found.events[0]) == "worker.gone worker 3, cause crashed, signal 9, sessions 0, seconds 2 s"


def test_an_event_is_one_line():
    """Numbers in few digits, what is not there left out."""
    event = {"wall": 1.0, "event": "worker.gone", "worker": 3, "signal": None, "reason": "", "seconds": 0.0123456}
    assert figures.happened(event) == "worker.gone worker 3, seconds 12.3 ms"


def test_durations_and_sizes_have_the_unit_that_fits():
    """Three digits at most, none for whole numbers."""
    shown = [figures.duration(seconds) for seconds in (None, 0.0, 0.00064, 0.0123, 4.5, 200.0, 7200.0)]
    assert shown == ["-", "0 us", "640 us", "12.3 ms", "4.50 s", "3.33 min", "2 h"]
    assert [figures.size(count) for count in (None, -1, 5, 42_100_000)] == ["-", "-", "5 B", "42.1 MB"]
