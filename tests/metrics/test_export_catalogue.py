"""The closed table of exported metrics, and what it reads from a snapshot."""

from __future__ import annotations

import math
from array import array
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core import states
from millpond.metrics import derived
from millpond.metrics.catalogue import CATALOGUE, POOL_STATES, Family, families
from millpond.metrics.histogram import Histogram
from millpond.metrics.readers import MOST_CHANNELS, QUICK, SIZES, STARTS, bound_text
from millpond.metrics.snapshot import KINDS
from tests.metrics.export_snapshots import largest, operation, snapshot
from tests.metrics.pond import Watched

MOST_SERIES = 500
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(found: list[Family]) -> Series:
    """Every sample by its series; a series that comes twice fails."""
    values: Series = {}
    for family in found:
        for suffix, labels, value in family.samples:
            key = (family.name + suffix, frozenset(labels))
            assert key not in values, f"{key} comes twice"
            values[key] = value
    return values


def value(found: Series, name: str, **labels: str) -> float:
    return found[name, frozenset({"pool": "default", **labels}.items())]


def test_a_name_says_kind_and_unit():
    """Counters, and they alone, end in _total; a unit stands last; a name comes once."""
    names = [row.name for row in CATALOGUE]
    assert len(names) == len(set(names))
    for row in CATALOGUE:
        assert row.name.startswith("millpond_")
        assert row.name.endswith("_total") == (row.kind == "counter")
        assert row.help.endswith(".")
        assert not row.unit or row.name.removesuffix("_total").endswith(row.unit)


def test_samples_carry_the_pool_and_the_labels_of_their_row_and_no_others():
    """What the table says of a metric's labels is true of every sample."""
    for row, family in zip(CATALOGUE, families(largest(Random(1))), strict=True):
        for _, labels, _ in family.samples:
            own = [label for label, _ in labels if label not in ("le", "quantile")]
            assert tuple(own) == ("pool", *row.labels)


@given(st.integers(0, 2**32))
def test_the_largest_snapshot_fits_the_bound_of_series(seed):
    """Whatever the names of operations, errors and causes are, a scrape is no longer than 500 series."""
    assert len(series(families(largest(Random(seed))))) <= MOST_SERIES


def test_strangers_to_a_closed_set_are_counted_together():
    """A code or cause the table does not know is not lost and adds one series."""
    found = series(families(largest(Random(1))))
    assert value(found, "millpond_call_errors_total", code="(other)") == 100
    assert value(found, "millpond_worker_deaths_total", cause="(other)") == 1


def test_names_of_a_closed_set_are_there_before_anything_happened():
    """A counter that appears with its first increase hides that increase from `rate`; so it is there with 0."""
    found = series(families(snapshot()))
    assert value(found, "millpond_worker_deaths_total", cause="crashed") == 0
    assert value(found, "millpond_call_errors_total", code="worker_died") == 0
    assert value(found, "millpond_calls_total", ending="lost") == 0


def test_gauges_and_counters_are_those_of_the_reading():
    """What the pool says of itself is exported as it is."""
    found = series(families(snapshot(queued=17, sessions_lost=3, breakers_open=("a", "b"), oldest_wait_s=2.5)))
    assert value(found, "millpond_calls_queued") == 17
    assert value(found, "millpond_sessions_lost_total") == 3
    assert value(found, "millpond_breakers_open") == 2
    assert value(found, "millpond_queue_oldest_seconds") == 2.5
    assert value(found, "millpond_workers", state="busy") == 2
    assert value(found, "millpond_workers_min") == 1
    assert value(found, "millpond_workers_max") == 8
    assert value(found, "millpond_utilization_ratio") == 0.5
    assert value(found, "millpond_workers_memory_trend_bytes_per_second") == 1000


def test_one_state_is_1_and_all_others_are_0():
    """A state is exported as one series a state, and every state a pool can be in is one of them."""
    for state in POOL_STATES:
        found = series(families(snapshot(state=state)))
        shown = {s: value(found, "millpond_pool_state", state=s) for s in POOL_STATES}
        assert shown == {s: float(s == state) for s in POOL_STATES}
    assert set(POOL_STATES) == {s for pair in states.POOL_TRANSITIONS for s in pair} | {states.DEGRADED}


def test_utilization_is_a_derived_value_of_the_last_minute():
    """The name that is asked for is one that windows have."""
    assert "utilization" in [one.name for one in derived.DERIVED]
    assert math.isnan(value(series(families(Watched().collector.snapshot())), "millpond_utilization_ratio"))


def test_a_figure_that_cannot_be_had_has_no_sample():
    """No sample says "unknown"; a -1 would be taken for a value."""
    assert not any(name == "millpond_queue_max" for name, _ in series(families(snapshot(max_queued=None))))
    assert value(series(families(snapshot(max_queued=9))), "millpond_queue_max") == 9


def test_the_alerting_is_exported_with_the_pool():
    """Rules about rules and channels run in a Prometheus only if these are there too."""
    found = series(families(snapshot()))
    assert [value(found, "millpond_alerts", state=state) for state in ("pending", "firing")] == [1, 2]
    assert value(found, "millpond_alert_rules_failing") == 3
    assert value(found, "millpond_alert_evaluations_total") == 18
    assert value(found, "millpond_alert_notifications_total", channel="log", outcome="failed") == 1
    assert value(found, "millpond_alert_notifications_total", channel="mail", outcome="sent") == 0


def test_a_pool_without_alerts_has_their_metrics_without_samples():
    """All pools of a page have the same metrics, but nobody is told that nothing fires where nobody looks."""
    with_alerts, without = families(snapshot()), families(snapshot(alerting=None))
    assert [family.name for family in without] == [family.name for family in with_alerts]
    assert not any(name.startswith("millpond_alert") for name, _ in series(without))


def test_channels_beyond_the_first_are_counted_together():
    """A program may add any number of channels; what they were told is not lost."""
    found = series(families(largest(Random(1))))
    told = {dict(labels)["channel"] for name, labels in found if name == "millpond_alert_notifications_total"}
    assert len(told) == MOST_CHANNELS + 1
    rest = value(found, "millpond_alert_notifications_total", channel="(other)", outcome="sent")
    assert rest == sum(range(MOST_CHANNELS, 50))


def test_no_label_forges_a_line_or_hides_a_character():
    """Names of pools and operations are the program's, and may be anything; where labels are read they are seen."""
    found = families(snapshot(operation("re\nad\u202e", {"ok": 5}), pool="e\x1b[2Jast"))
    labels = {pair for family in found for _, told, _ in family.samples for pair in told}
    assert {("pool", r"e\u001b[2Jast"), ("operation", r"re\nad\u202e")} <= labels
    assert all(text.isprintable() for _, text in labels)


def test_an_operation_shows_its_quantiles_sum_and_count():
    """A summary's quantiles are of the last minutes, sum and count of all time."""
    found = series(families(snapshot(operation("read", {"ok": 5}))))
    assert value(found, "millpond_operation_calls_total", operation="read", ending="ok") == 5
    assert value(found, "millpond_operation_duration_seconds_count", operation="read") == 6
    assert value(found, "millpond_operation_duration_seconds_sum", operation="read") == pytest.approx(704.25401)
    median = value(found, "millpond_operation_duration_seconds", operation="read", quantile="0.5")
    assert median == pytest.approx(0.25, rel=0.012)


@pytest.mark.parametrize("bounds", [QUICK, STARTS, SIZES])
@given(data=st.data())
def test_a_classic_bucket_counts_exactly_what_lies_at_or_below_its_bound(bounds, data):
    """Coarse buckets are sums of whole fine ones: nothing is counted on the wrong side, also not on the bound."""
    values = data.draw(st.lists(st.sampled_from(bounds) | st.floats(2.0**-34, 2.0**39)))
    counted = Histogram.of(array("d", values))
    found = series(families(snapshot(totals=dict.fromkeys(KINDS, counted))))
    name = {QUICK: "queue_wait_seconds", STARTS: "worker_start_seconds", SIZES: "request_bytes"}[bounds]
    for bound in (*bounds, math.inf):
        told = value(found, f"millpond_{name}_bucket", le=bound_text(bound))
        assert told == sum(one <= bound for one in values)
    assert value(found, f"millpond_{name}_count") == len(values)
    assert value(found, f"millpond_{name}_sum") == pytest.approx(sum(values))
