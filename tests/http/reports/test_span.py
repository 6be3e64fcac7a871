"""The steps of a span are those that lie in it, with gaps where there are none."""

from __future__ import annotations

import math

from millpond.http.reports.span import REACH_S, Span, Steps, with_history
from tests.http.reports.spans import calm, span_of
from tests.metrics.pond import Watched


def test_steps_before_and_after_a_span_are_left_out():
    """A span that ended a while ago has only its own."""
    watched = Watched()
    watched.seconds(100, calm)
    now = watched.time.wall()
    span = with_history(Span("demo", now - 60.0, now - 20.0, now), watched.collector)
    assert [slot.wall - now for slot in span.slots] == [-float(second) for second in range(59, 19, -1)]


def test_the_last_seconds_are_told_before_they_are_part_of_a_longer_step():
    """Of a young pool all that there is; nothing is told twice."""
    watched = Watched(start=1001.0)
    watched.seconds(5, calm)
    assert [slot.seconds for slot in span_of(watched, 86_400.0).slots] == [1.0] * 5
    watched.seconds(80, calm)
    slots = span_of(watched, 86_400.0).slots
    assert [slot.seconds for slot in slots] == [19.0, 60.0] + [1.0] * 6
    assert sum(slot.seconds for slot in slots) == 85.0


def test_a_span_that_is_long_over_has_no_steps():
    """Nobody reads a month of history for it."""
    watched = Watched()
    watched.seconds(10, calm)
    now = watched.time.wall()
    end = now - REACH_S - 1.0
    assert with_history(Span("demo", end - 900.0, end, now), watched.collector).slots == ()


def test_a_line_is_broken_where_the_pool_was_not_there():
    """Another run of it, a while later, after a file was read; and nowhere else."""
    first, second = Watched(), Watched(start=1100.0, boot="boot-2")
    first.seconds(10, calm)
    second.seconds(10, calm)
    span = span_of(second, 200.0)
    steps = Steps(Span("demo", span.start, span.end, span.now, slots=(*first.collector.history(60), *span.slots)))
    line = steps.series("calls", steps.counter("endings.ok"))
    assert [math.isnan(value) for value in line.values] == [False] * 10 + [True] + [False] * 10
    assert list(line.times) == sorted(line.times)
    level = steps.series("wanted", steps.gauge("wanted"), "step")
    assert [math.isnan(value) for value in level.values] == [False] * 10 + [True] + [False] * 10
    assert [one.counted.ended for one in steps.minutes()] == [500.0, 500.0]


def test_an_earlier_run_of_the_pool_is_told_in_the_steps_that_are_kept_of_it(tmp_path):
    """The shortest are in memory alone, and are gone with the program."""
    path = tmp_path / "history.db"
    first = Watched(history_path=path)
    first.seconds(60, calm)
    assert first.collector.settle(10.0)
    first.collector.close()
    second = Watched(start=1100.0, boot="boot-2", history_path=path)
    second.seconds(20, calm)
    assert second.collector.settle(10.0)
    span = span_of(second, 200.0)
    assert (span.resolution, [slot.boot for slot in span.slots]) == (10, ["boot-1"] * 6 + ["boot-2"] * 2)
    assert span_of(second, 20.0).resolution == 1
    second.collector.close()


def test_a_moment_is_told_with_its_date_where_the_span_has_several():
    """In UTC."""
    assert Span("demo", 1.7e9, 1.7e9 + 60.0, 1.7e9).told(1.7e9) == "22:13:20"
    assert Span("demo", 1.7e9, 1.7e9 + 86_400.0, 1.7e9).told(1.7e9) == "Nov 14 22:13:20"
