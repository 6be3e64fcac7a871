"""The last seconds in plain numbers: what the snapshot says of them, without its histograms."""

import math
from array import array
from dataclasses import fields, replace

import pytest

from millpond.metrics.recent import Recent
from tests.metrics.pond import Watched
from tests.metrics.test_history import slot


def work(pond, second):
    """A second of a busy pool, each unlike the one before."""
    n = second + 1
    pond.call("read", n=1 + second % 5, wait=0.01 * (second % 7))
    pond.call("say", "failed", "handler_error", n=second % 3)
    pond.call("ask", "expired", "deadline_exceeded", n=second % 2, wait=0.5)
    pond.facts |= {"queued": second % 11, "running": 2, "starts": n // 30, "oldest_wait_s": 0.1 * (second % 4)}
    pond.facts |= {"busy_s": 1.5 * n, "available_s": 2.0 * n, "states": {"ready": 1, "busy": 1 + second % 2}}


@pytest.mark.parametrize("seconds", [60, 300])
def test_it_agrees_with_the_window_of_the_snapshot(seconds):
    """Counts, waits and shares are those of the same seconds, whether the pool is as old as the window or not."""
    watched = Watched()
    for n in (40, 200):
        window = watched.seconds(n, work).windows[seconds]
        recent = watched.collector.recent(seconds)
        assert recent.covered_s == window.covered_s
        assert {ending: sum(n) for ending, n in recent.endings.items() if sum(n)} == window.endings
        assert sum(recent.waited) == window.distributions["wait"].count
        assert sum(recent.waited_s) == pytest.approx(window.distributions["wait"].total)
        assert recent.mean_wait_s == pytest.approx(window.distributions["wait"].mean)
        assert recent.per_s(recent.submitted) == pytest.approx(window.derived["arrivals"])
        assert recent.utilization == pytest.approx(window.derived["utilization"])


def test_the_last_number_of_a_gauge_is_that_of_the_last_reading():
    """Workers, queue and places as they are now stand last, one number for each second before them."""
    watched = Watched()
    reading = watched.seconds(30, work).reading
    recent = watched.collector.recent(10)
    now = (recent.queued[-1], recent.running[-1], recent.oldest_wait_s[-1], recent.wanted[-1], recent.places[-1])
    assert now == (reading.queued, reading.running, reading.oldest_wait_s, reading.wanted, reading.places)
    assert list(recent.queued) == [second % 11 for second in range(20, 30)]
    assert recent.ready[-1] == reading.states["ready"] + reading.states["busy"]
    assert sum(watched.collector.recent(60).starts) == reading.starts


def test_every_field_is_an_array_of_one_number_a_step():
    """Plain arrays of the standard library, of seconds for ten minutes and of longer steps beyond."""
    watched = Watched()
    watched.seconds(700, work)
    for seconds, steps in ((60, 60), (600, 600), (690, 69)):
        recent = watched.collector.recent(seconds)
        columns = [getattr(recent, field.name) for field in fields(recent) if field.name != "endings"]
        for column in (*columns, *recent.endings.values()):
            assert isinstance(column, array)
            assert len(column) == steps
    assert set(recent.seconds) == {10.0}


def test_of_nothing_rates_and_shares_are_nan():
    """A pool that was never read has no last second."""
    recent = Watched().collector.recent()
    assert recent.covered_s == 0
    assert all(math.isnan(value) for value in (recent.utilization, recent.mean_wait_s, recent.per_s(recent.submitted)))


def test_no_histogram_is_unpacked_for_it():
    """It stays cheap however many values were measured: a slot whose histograms cannot be read does as well."""
    recent = Recent.of([replace(slot(waits=[0.5, 1.5]), packed=b"no histogram")])
    assert (sum(recent.waited), recent.mean_wait_s) == (2, 1.0)
