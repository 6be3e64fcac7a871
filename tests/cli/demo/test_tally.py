"""What the demo counts: how calls ended for their callers, and when."""

from __future__ import annotations

import pytest

from millpond.cli.demo.answer_key import Sheet
from millpond.cli.demo.tally import BIN_S, BINS, RECENT_S, Tally

SHEET = Sheet(images=[[0] * 64], truths=[8], expected=[3])


def at(*moments: float, seconds: float = 0.004) -> Tally:
    """A tally with answers at these moments."""
    tally = Tally()
    for moment in moments:
        tally.answer(SHEET, [3], moment, seconds)
    return tally


def test_an_answer_that_differs_from_the_key_is_wrong():
    """The key decides, not the truth: a digit misread by both copies of the model is no mistake of the pool."""
    tally = Tally()
    tally.answer(SHEET, [3], ended=1.0, seconds=0.1)
    assert (tally.answered, tally.mistakes) == (1, 0)
    tally.answer(SHEET, [8], ended=2.0, seconds=0.1)
    assert (tally.answered, tally.mistakes) == (2, 1)


def test_an_answer_of_too_few_digits_is_wrong():
    """An answer to a smaller sheet is an answer to another question."""
    tally = Tally()
    tally.answer(SHEET, [], ended=1.0, seconds=0.1)
    assert tally.wrong == 1


def test_refusals_and_misses_of_the_overload_are_no_other_failures():
    """The demo sends too much on purpose; every other code is told by its name."""
    tally = Tally()
    tally.failures.update(overloaded=5, queue_full=1, deadline_exceeded=2, store_failed=1)
    assert (tally.refused, tally.expired, tally.other_failures) == (6, 2, {"store_failed": 1})


def test_percentiles_look_at_what_they_are_asked_for():
    """Those since a moment, and those of all; zero where there is nothing."""
    tally = Tally()
    assert (tally.percentiles(0.0), tally.percentile(0.5)) == ((0.0, 0.0), 0.0)
    for moment in range(100):
        tally.answer(SHEET, [3], float(moment), 1.0 if moment < 60 else 3.0)
    assert tally.percentiles(60.0) == (3.0, 3.0)
    assert (tally.percentile(0.5), tally.percentile(0.99)) == (1.0, 3.0)


def test_each_answer_falls_into_the_bin_it_ended_in():
    """Whenever the bin is closed, and once; nothing is closed before the traffic has begun."""
    tally = at(9.0, 10.1, 10.2, 11.6)
    tally.close_bins(10.0)
    assert tally.rates == []
    tally.start_bins(10.0)
    tally.close_bins(10.4)
    assert tally.rates == []
    tally.close_bins(13.2)
    assert tally.rates == [2 / BIN_S, 1 / BIN_S, 0.0]


def test_a_demo_that_goes_on_for_ever_keeps_no_more():
    """Times of answers are forgotten after a minute, bins after ten; the counts and the percentiles of all stay."""
    tally = at(1.0, 2.0, RECENT_S + 3.0)
    tally.start_bins(0.0)
    tally.close_bins(RECENT_S + 4.0)
    assert (len(tally.ended), len(tally.latencies), tally.answered) == (1, 1, 3)
    assert tally.percentile(0.5) == pytest.approx(0.004)
    tally.close_bins(2.0 * BINS)
    assert len(tally.rates) == BINS
