"""A collector of metrics, exported: what a scrape shows while a pool lives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from millpond.metrics.catalogue import Family, families
from millpond.metrics.exported import Exported
from millpond.metrics.operations import LONGEST_S
from millpond.metrics.prometheus import render
from millpond.metrics.snapshot import OTHER
from tests.metrics.pond import Pond, Watched
from tests.metrics.test_export_catalogue import MOST_SERIES, series, value

DISTINCT = 20_000


def others(watched: Watched, exported: Callable[[], list[Family]] | None = None) -> float:
    """How many calls of the operations that are not told apart ended well, as it is exported."""
    found = series(exported() if exported else families(watched.collector.snapshot()))
    return value(found, "millpond_operation_calls_total", operation=OTHER, ending="ok")


def test_twenty_thousand_names_stay_within_the_bound_of_series():
    """Distinct operations, error texts and sessions: what a page shows has a bound, and every call is on it."""
    watched, names = Watched(), count()

    def storm(pond: Pond, _second: int) -> None:
        for n in (next(names) for _ in range(DISTINCT // 20)):
            pond.call(f"operation {n}", "failed", f"ValueError: session {n} has no file {n}")
        pond.facts["sessions_open"] = pond.facts["sessions_opened"] = pond.endings.total()

    exported = Exported(watched.collector.snapshot)
    for _ in range(20):
        watched.seconds(1, storm)
        found = series(exported())
        assert len(found) <= MOST_SERIES
    assert value(found, "millpond_call_errors_total", code="(other)") == DISTINCT
    assert value(found, "millpond_calls_total", ending="failed") == DISTINCT
    page = render(watched.collector.snapshot())[1]
    assert sum(not line.startswith(b"#") for line in page.splitlines()) <= MOST_SERIES
    assert b"no file" not in page


def test_no_counter_falls_when_an_operation_is_busy_again():
    """Prometheus takes a counter that falls for a restart and sees a burst that never was; `families` alone has one."""
    watched = Watched()
    exported, plain = Exported(watched.collector.snapshot), partial(others, watched)

    def ten_busy(pond: Pond, second: int) -> None:
        if second % 60 == 0:
            for n in range(10):
                pond.call(f"operation {n}", n=20)

    watched.seconds(10, lambda pond, _: pond.call("report", n=1000))
    watched.seconds(LONGEST_S + 60, ten_busy)  # the report is forgotten, and one of the others
    shown, told = others(watched, exported), plain()
    watched.seconds(20, lambda pond, _: pond.call("report", n=1000))
    assert plain() < told
    assert others(watched, exported) >= shown


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
