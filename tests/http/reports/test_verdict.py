"""A verdict names all that was wrong in a span, with numbers; of one that was well it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from millpond.http.reports.span import Span, Steps
from millpond.http.reports.verdict import judged
from tests.http.reports.spans import calm, steps_of
from tests.metrics.pond import Pond


def test_a_span_in_which_nothing_was_wrong_was_well():
    """With the calls, the load and the score."""
    verdict = judged(steps_of(calm))
    assert verdict.is_good is True
    assert verdict.text == (
        "Well: 6,000 calls ended, none failed; no worker lost; workers busy for 25 % of their time; "
        "health 100 of 100 on average, 100 at its lowest."
    )


def test_a_call_that_fails_now_and_then_is_told_and_is_not_wrong():
    """Less than one in a hundred; cancelled ones are their callers' own doing."""

    def each(pond: Pond, second: int) -> None:
        calm(pond, second)
        if second == 5:
            pond.call(ending="failed", code="handler_error")
        pond.call(ending="cancelled", code="cancelled")

    verdict = judged(steps_of(each))
    assert verdict.is_good is True
    assert "0.0163 % of 6,121 calls failed, most of them handler_error" in verdict.text


def test_calls_that_are_refused_for_want_of_room_make_a_span_bad_and_saturated():
    """For as long as it was so."""

    def each(pond: Pond, second: int) -> None:
        calm(pond, second)
        if 60 <= second < 100:
            pond.facts["busy_s"] += 1.5
            pond.call(ending="rejected", code="queue_full", n=50)

    verdict = judged(steps_of(each))
    assert verdict.is_good is False
    assert verdict.text.startswith("Not well: saturated for 40 s; 25 % of 8,000 calls failed, most of them queue_full")


def test_calls_that_wait_long_for_busy_workers_make_it_saturated_too():
    """Though all are answered in the end; a queue that is soon worked off does not."""
    for queued, is_saturated in ((500, True), (5, False)):

        def each(pond: Pond, second: int, queued: int = queued) -> None:
            calm(pond, second)
            pond.facts["busy_s"] += 1.5
            pond.facts["queued"] = queued

        assert ("saturated for" in judged(steps_of(each)).text) is is_saturated


def test_a_time_without_workers_is_told():
    """If some were wanted."""

    def each(pond: Pond, second: int) -> None:
        pond.facts["states"] = {"ready": 0 if second < 30 else 2}
        calm(pond, second)

    assert "no worker was ready for 30 s" in judged(steps_of(each)).text


def test_workers_that_die_in_a_loop_and_sessions_that_are_lost_are_told():
    """By cause; workers that were retired are none of them."""

    def each(pond: Pond, second: int) -> None:
        calm(pond, second)
        pond.facts["deaths"] = {"crashed": min(second // 10, 5), "retired": 3}
        pond.facts["sessions_lost"] = 1

    verdict = judged(steps_of(each))
    assert verdict.is_good is False
    assert "workers died or failed to start in a loop for 1 minute" in verdict.text
    assert "5 workers lost (crashed: 5); 1 session lost" in verdict.text


@pytest.mark.parametrize(("seconds", "is_told"), [(3000, True), (7200, False)])
def test_minutes_in_which_calls_took_much_longer_are_told_if_they_are_more_than_a_few(seconds, is_told):
    """One of fifty; not one of a hundred and twenty, which stands in the table of the slowest."""

    def each(pond: Pond, second: int) -> None:
        calm(pond, second)
        if 180 <= second < 240:
            pond.call(service=0.5, n=10)

    verdict = judged(steps_of(each, seconds))
    assert verdict.is_good is not is_told
    assert ("slow for" in verdict.text and "95 % of calls took up to 0.5" in verdict.text) is is_told


def test_a_span_without_calls_is_neither_good_nor_bad():
    """Nor is one of which nothing is known."""
    assert judged(steps_of(lambda *_: None)).text.startswith("No call ended in this time; no worker lost")
    assert judged(steps_of(lambda *_: None)).is_good is None
    nothing = Span("demo", 0.0, 900.0, 900.0)
    assert judged(Steps(nothing)) == replace(judged(Steps(nothing)), text="There are no figures of this time.")
