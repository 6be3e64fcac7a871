"""A collector of metrics, exported: what a scrape shows while a pool lives."""

from __future__ import annotations

from itertools import count

from millpond.metrics.catalogue import families
from millpond.metrics.operations import NAMED
from millpond.metrics.prometheus import render
from millpond.metrics.readers import LABELLED
from millpond.metrics.snapshot import OTHER
from tests.metrics.pond import Pond, Watched
from tests.metrics.test_export_catalogue import MOST_SERIES, series, value

DISTINCT = 20_000


def test_twenty_thousand_names_stay_within_the_bound_of_series():
    """Distinct operations, error texts and sessions: what a page shows has a bound, and every call is on it."""
    watched, names = Watched(), count()

    def storm(pond: Pond, _second: int) -> None:
        for n in (next(names) for _ in range(DISTINCT // 20)):
            pond.call(f"operation {n}", "failed", f"ValueError: session {n} has no file {n}")
        pond.facts["sessions_open"] = pond.facts["sessions_opened"] = pond.endings.total()

    for _ in range(20):
        watched.seconds(1, storm)
        found = series(families(watched.collector.snapshot()))
        assert len(found) <= MOST_SERIES
    assert value(found, "millpond_call_errors_total", code="(other)") == DISTINCT
    assert value(found, "millpond_calls_total", ending="failed") == DISTINCT
    page = render(watched.collector.snapshot())[1]
    assert sum(not line.startswith(b"#") for line in page.splitlines()) <= MOST_SERIES
    assert b"no file" not in page


def test_no_series_of_an_operation_goes_away_and_no_counter_falls():
    """Prometheus takes a counter that falls for a restart; whichever operations are busy, and for how long."""
    watched, before = Watched(), {}

    def crowd(pond: Pond, second: int) -> None:
        for n in range(second % 40, NAMED + 20, 1 + second % 7):
            pond.call(f"operation {n}", n=1 + n * second % 5, wait=0.1 / (1 + n))

    for work in (crowd, None, crowd):
        for _ in range(30):
            found = series(families(watched.seconds(7, work)))
            counted = {
                key: n for key, n in found.items() if "operation" in dict(key[1]) and "quantile" not in dict(key[1])
            }
            assert all(counted[key] >= n for key, n in before.items())
            before = counted
    assert len({dict(labels)["operation"] for _, labels in before}) == LABELLED + 1


def test_the_calls_of_operations_without_a_label_are_exported_together():
    """Those that have figures of their own in a snapshot, and those that have none: nothing is missing in the sum."""
    watched = Watched()
    watched.seconds(1, lambda pond, _: [pond.call(f"operation {n}", wait=0.0, service=0.5) for n in range(NAMED + 9)])
    found, rest = series(families(watched.collector.snapshot())), NAMED + 9 - LABELLED
    assert value(found, "millpond_operation_calls_total", operation=OTHER, ending="ok") == rest
    assert value(found, "millpond_operation_duration_seconds_count", operation=OTHER) == rest
    assert value(found, "millpond_operation_duration_seconds_sum", operation=OTHER) == rest / 2


def test_a_pool_that_was_never_read_can_be_exported():
    """Before the first second is over there are no figures, and no error."""
    found = series(families(Watched().collector.snapshot()))
    assert value(found, "millpond_calls_submitted_total") == 0
    assert render(Watched().collector.snapshot())[1]


def test_figures_are_those_of_the_calls():
    """From a call to the page: counts, sums and buckets are what was told."""
    watched = Watched()
    watched.seconds(3, lambda pond, _: pond.call("read", wait=0.25, service=1.0, n=10, sizes=(64, 65)))
    found = series(families(watched.collector.snapshot()))
    assert value(found, "millpond_operation_calls_total", operation="read", ending="ok") == 30
    assert value(found, "millpond_queue_wait_seconds_sum") == 7.5
    assert value(found, "millpond_queue_wait_seconds_bucket", le="0.125") == 0
    assert value(found, "millpond_queue_wait_seconds_bucket", le="0.25") == 30
    assert value(found, "millpond_request_bytes_bucket", le="64.0") == 30
    assert value(found, "millpond_response_bytes_bucket", le="64.0") == 0
    assert value(found, "millpond_response_bytes_bucket", le="256.0") == 30
