"""Derived values: each as its definition says, and all of them defined."""

import math

import pytest

from millpond.errors import TABLE
from millpond.metrics.derived import BLAME, DERIVED, Interval
from tests.metrics.pond import Pond, Time, Watched

NAMES = [one.name for one in DERIVED]


def minute(seconds=60, each=None, **facts):
    return Watched(pond=Pond(Time(), **facts)).seconds(seconds, each).windows[60]


def test_every_error_is_somebodys_fault():
    """A new error of ours has to say whose fault it is."""
    assert set(BLAME) == set(TABLE)


def test_names_are_told_once_with_unit_and_definition():
    """The docs' table is printed from them."""
    assert len(set(NAMES)) == len(DERIVED)
    assert all(one.unit and one.definition.endswith((".", "below.")) for one in DERIVED)


def test_of_nothing_shares_are_nan_and_rates_are_zero():
    """A pool without calls is neither perfect nor broken."""
    derived = minute(5).derived
    assert {name for name in NAMES if derived[name] == 0.0} == {
        "arrivals", "throughput", "goodput", "concurrency", "sessions_moved", "sessions_lost", "unplanned_deaths",
    }  # fmt: skip
    assert all(math.isnan(derived[name]) or derived[name] == 0.0 for name in NAMES)


def test_utilization_is_busy_over_available_worker_seconds():
    """Not a sample of who is busy at the moment: 1.5 of 4 worker-seconds a second."""

    def work(pond, second):
        pond.facts["busy_s"] = 1.5 * (second + 1)
        pond.facts["available_s"] = 4.0 * (second + 1)

    assert minute(90, work).derived["utilization"] == pytest.approx(0.375)


def test_rates_and_error_shares_count_calls_that_ended():
    """Per second of the window, and by whose fault it was."""

    def work(pond, _):
        pond.call(n=6)
        pond.call(ending="failed", code="handler_error", n=2)
        pond.call(ending="lost", code="worker_died")
        pond.call(ending="cancelled", code="cancelled")

    derived = minute(60, work).derived
    assert (derived["throughput"], derived["goodput"]) == (10.0, 6.0)
    assert [derived[f"errors_{whom}"] for whom in ("ours", "handler", "caller")] == pytest.approx([0.1, 0.2, 0.1])


def test_attainment_is_the_share_that_did_not_expire():
    """A deadline that passed is counted once, here and as ours."""

    def work(pond, _):
        pond.call(n=3)
        pond.call(ending="expired", code="deadline_exceeded")

    derived = minute(10, work).derived
    assert derived["attainment"] == 0.75
    assert derived["errors_ours"] == 0.25


def test_concurrency_and_wait_share_come_from_the_sums_of_times():
    """Little's law: ten calls a second of half a second each are five at a time; a fifth of it was waiting."""
    derived = minute(20, lambda pond, _: pond.call(wait=0.1, service=0.4, n=10)).derived
    assert derived["concurrency"] == pytest.approx(5.0)
    assert derived["wait_share"] == pytest.approx(0.2)


def test_sessions_starts_and_retries_have_their_shares():
    """Affinity, moves, losses, cold starts and retries, over what they are shares of."""

    def work(pond, second):
        n = second + 1
        pond.call(n=10)
        pond.facts |= {"affinity_hits": 9 * n, "affinity_misses": n, "sessions_moved": n, "sessions_lost": 2 * n}
        pond.facts |= {"cold_calls": n, "retries": 2 * n}

    derived = minute(60, work).derived
    assert derived["affinity_hit"] == pytest.approx(0.9)
    assert (derived["sessions_moved"], derived["sessions_lost"]) == (60.0, 120.0)
    assert (derived["cold_share"], derived["retry_share"]) == pytest.approx((0.1, 0.2))


def test_a_failed_start_is_one_loss_whether_it_is_counted_as_a_death_too_or_not():
    """Planned deaths are none."""

    def work(pond, _):
        pond.facts |= {"deaths": {"crashed": 1, "start_failed": 2, "retired": 50}, "start_failures": 3}

    assert minute(60, work).derived["unplanned_deaths"] == 4.0


def test_a_slot_of_history_has_the_same_derived_values():
    """One definition, whatever the span."""
    watched = Watched()
    watched.seconds(60, lambda pond, _: pond.call(wait=0.1, service=0.4, n=10))
    slot = watched.collector.history(3_600, 60)[-1]
    span = Interval(slot.seconds, slot.counters, {kind: one.describe() for kind, one in slot.histograms.items()})
    told = {one.name: one.compute(span) for one in DERIVED}
    assert told["throughput"] == 10.0
    assert told["wait_share"] == pytest.approx(0.2)
