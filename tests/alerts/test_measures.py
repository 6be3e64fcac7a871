"""What conditions come to on samples. That Prometheus comes to the same is promtool's to say
(`tests/processes/test_alert_rules.py`).
"""

from __future__ import annotations

import math

import pytest

from millpond.alerts.measures import quantile
from millpond.alerts.rules import Condition
from millpond.alerts.samples import SampleStore
from millpond.metrics.catalogue import Family

A, B = (("pool", "a"),), (("pool", "b"),)
ADD, GET = (("operation", "add"), ("pool", "a")), (("operation", "get"), ("pool", "a"))
STEP_MS = 5000


def store_of(**series: dict[tuple[tuple[str, str], ...], list[float | None]]) -> SampleStore:
    """Samples every five seconds of some metrics, by labels; `None` is a sample that is not there."""
    store = SampleStore(5.0)
    store.want(f"millpond_{name}" for name in series)
    for number in range(max(len(values) for found in series.values() for values in found.values())):
        families = [
            Family(f"millpond_{name}", "gauge", "", "", [("", labels, values[number])])
            for name, found in series.items()
            for labels, values in found.items()
            if values[number] is not None
        ]
        store.take(families, number * STEP_MS)
    return store


def holding(
    store: SampleStore, second: float, *by: str, **condition: object
) -> dict[tuple[tuple[str, str], ...], float]:
    """For whom a condition holds."""
    return Condition(**condition).comparison.holding(store, round(second * 1000), by)


def test_a_gauge_is_its_newest_value():
    """One that is not in the newest sample has none, and not that of before."""
    store = store_of(calls_queued={A: [9.0, 7.0], B: [9.0, None]})
    assert holding(store, 5, of="calls_queued", above=5) == {A: 7.0}
    assert holding(store, 5, of="calls_queued", above=7) == {}
    assert holding(store, 5, of="millpond_calls_queued", below=8) == {A: 7.0}


def test_a_gauge_over_some_seconds_is_its_mean():
    """Of the samples that there are."""
    store = store_of(health_score={A: [100.0, 50.0, 60.0, 70.0], B: [None, 10.0, None, 30.0]})
    assert holding(store, 15, of="health_score", over_s=10, below=100) == {A: 60.0, B: 20.0}


def test_a_counter_is_its_growth_over_some_seconds():
    """Not stretched to the whole of them in a young pool; series are added up, and those told apart are not."""
    ok, lost = (("ending", "ok"), *A), (("ending", "lost"), *A)
    store = store_of(calls_total={ok: [10.0, 12.0, 20.0], lost: [0.0, 0.0, 1.0]})
    assert holding(store, 10, of="calls_total", over_s=600, above=0) == {A: 11.0}
    assert holding(store, 10, "ending", of="calls_total", over_s=5, above=0) == {ok: 8.0, lost: 1.0}
    assert holding(store, 10, of="calls_total.rate", where={"ending": "ok"}, over_s=10, above=0) == {A: 1.0}


def test_a_share_is_one_counter_over_another():
    """Nothing over nothing is no share at all."""
    ok, lost = (("ending", "ok"), *A), (("ending", "lost"), *A)
    store = store_of(calls_total={ok: [0.0, 0.0, 6.0], lost: [0.0, 0.0, 2.0]})
    share = {"of": "calls_total", "where": {"ending": ("lost", "failed")}, "per": "calls_total", "over_s": 10}
    assert holding(store, 10, **share, above=0.2) == {A: 0.25}
    assert holding(store, 5, **share, above=-1) == {}


def test_a_bound_may_be_another_gauge():
    """Of the same pool."""
    store = store_of(
        workers={(*A, ("state", "ready")): [2.0], (*B, ("state", "ready")): [4.0]}, workers_wanted={A: [4.0]}
    )
    assert holding(store, 0, of="workers", below="workers_wanted") == {A: 2.0}


def test_what_rises_is_compared_with_what_it_was():
    """By a share of that, and by an amount; what has no past rises nowhere."""
    store = store_of(calls_queued={A: [10.0] * 12 + [40.0]})
    assert holding(store, 60, of="calls_queued", over_s=60, rising=2) == {A: 30.0}
    assert holding(store, 60, of="calls_queued", over_s=60, rising=3) == {}
    assert holding(store, 60, of="calls_queued", over_s=60, rising=2, above=30) == {}
    assert holding(store, 60, of="calls_queued", over_s=3600, rising=2) == {}


def test_a_line_looks_ahead():
    """Through all samples of the window, to the moment that is asked for."""
    store = store_of(calls_queued={A: [float(n) for n in range(13)]}, queue_max={A: [20.0] * 13})
    assert holding(store, 60, of="calls_queued", over_s=60, reaches="queue_max", within_s=60) == {A: pytest.approx(24)}
    assert holding(store, 60, of="calls_queued", over_s=60, reaches=20, within_s=30) == {}
    assert holding(store, 0, of="calls_queued", over_s=60, reaches=-1, within_s=60) == {}


def test_what_was_an_hour_or_a_day_ago_is_a_measure_of_now():
    """The mean of the trailing hour, that of the hour around this time yesterday, and a moment of some time ago."""
    hour, day = [1.0] * 720, [3.0] * (24 * 720)
    store = store_of(calls_queued={A: [*hour, *day, 10.0]})
    now = 25 * 3600
    recent = {"of": "calls_queued", "over_s": 1}
    assert holding(store, now, **recent, above=3, against="hour") == {A: 10.0}
    assert holding(store, now, **recent, above=4, against="hour") == {}
    assert holding(store, now, **recent, above=4.9, against="yesterday") == {A: 10.0}  # half an hour of 1, one of 3
    assert holding(store, now, **recent, above=5.1, against="yesterday") == {}
    assert holding(store, now, of="calls_queued", ago_s=3600, above=0) == {A: 3.0}


def test_a_series_that_is_absent_is_one_with_the_labels_asked_for():
    """As an alert of nothing could have no others."""
    store = store_of(calls_total={(*A, ("ending", "ok")): [1.0, None]}, calls_queued={A: [1.0, 1.0]})
    absent = {"of": "calls_total", "where": {"ending": "ok"}, "absent": True}
    assert holding(store, 0, **absent) == {}
    assert holding(store, 5, **absent) == {(("ending", "ok"),): 1.0}


def test_quantiles_of_operations_are_told_apart():
    """Those of a summary are what they are."""
    p99, p50 = (("quantile", "0.99"),), (("quantile", "0.5"),)
    store = store_of(operation_duration_seconds={ADD + p99: [2.0], ADD + p50: [1.0], GET + p99: [0.1]})
    found = holding(store, 0, "operation", of="operation_duration_seconds.p99", above=0.5)
    assert found == {ADD: 2.0}


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, [10.0, 10.0, 10.0], 0.5),
        (0.5, [0.0, 10.0, 10.0], 1.5),
        (0.9, [5.0, 10.0, 10.0], 1.8),
        (0.95, [5.0, 5.0, 10.0], 2.0),
        (0.5, [0.0, 0.0, 0.0], math.nan),
    ],
)
def test_a_quantile_lies_within_its_bucket(q, counts, expected):
    """By interpolation; beyond the last finite bound it is that bound, and of nothing there is none."""
    found = quantile(q, list(zip((1.0, 2.0, math.inf), counts, strict=True)))
    assert found == pytest.approx(expected, nan_ok=True)
