"""What the demo counts: the callers' tally, the bins of its sparklines, and the rows of the workers."""

from __future__ import annotations

import numpy as np
import pytest

from examples.demo.story import BIN_S, Question, Row, Tally
from millpond.events import WorkerDraining, WorkerGone, WorkerReady, WorkerStarting

QUESTION = Question(np.zeros(64), truth=8, expected=3)


def at(*moments: float, seconds: float = 0.004) -> Tally:
    """A tally with answers at these moments."""
    tally = Tally()
    for moment in moments:
        tally.answer(QUESTION, 3, moment, seconds)
    return tally


def test_an_answer_that_differs_from_the_key_is_wrong():
    """The key decides, not the truth: a digit misread by both copies of the model is no mistake of the pool."""
    tally = Tally()
    tally.answer(QUESTION, 3, ended=1.0, seconds=0.1)
    assert (tally.answered, tally.right, tally.wrong, tally.mistakes) == (1, 0, 0, 0)
    tally.answer(QUESTION, 8, ended=2.0, seconds=0.1)
    assert (tally.answered, tally.right, tally.wrong, tally.mistakes) == (2, 1, 1, 1)


def test_every_ending_is_a_call():
    """Answers, losses, refusals and failures add up."""
    tally = Tally(answered=5, lost=1, told=2)
    tally.failures["queue_full"] = 3
    assert tally.calls == 11


def test_percentiles_look_at_what_they_are_asked_for():
    """From one index to another; zero where there is nothing."""
    tally = Tally()
    assert tally.percentiles() == (0.0, 0.0)
    for moment in range(100):
        tally.answer(QUESTION, 3, float(moment), 1.0 if moment < 50 else 3.0)
    assert tally.percentiles() == (2.0, 3.0)
    assert tally.percentiles(tally.since(50.0)) == (3.0, 3.0)


def test_each_answer_falls_into_the_bin_it_ended_in():
    """Whenever the bin is closed, and once; nothing is closed before the serving has begun."""
    tally = at(9.0, 10.1, 10.2, 10.6)
    tally.close_bins(10.0)
    assert tally.rates == []
    tally.start_bins(10.0)
    tally.close_bins(10.4)
    assert tally.rates == []
    tally.close_bins(11.7)
    assert tally.rates == [2 / BIN_S, 1 / BIN_S, 0.0]
    assert tally.p99s == [pytest.approx(0.004), pytest.approx(0.004), 0.0]


def test_a_worker_is_starting_then_ready_then_draining():
    """Its row says what the pool's events say."""
    row = Row(2)
    row.hear(WorkerStarting(2))
    assert (row.pid, row.state) == (0, "starting")
    row.hear(WorkerReady(2, 102, 0.02))
    assert (row.pid, row.state) == (102, "ready")
    row.hear(WorkerDraining(2, 102, "closed"))
    assert (row.pid, row.state) == (102, "draining")


def test_a_dead_worker_keeps_its_row_with_the_signal():
    """What killed it is named; where nothing did, the reason of its end."""
    row = Row(1, 101, "ready")
    row.hear(WorkerGone(1, 101, "crashed", "died", 9, None, 1, 2, 5.0))
    assert (row.pid, row.state, row.ending) == (101, "gone", "SIGKILL")
    row.hear(WorkerGone(1, 101, "retired", "closed", None, 0, 0, 0, 5.0))
    assert row.ending == "closed"


def test_a_session_is_at_home_with_who_answered_last():
    """It counts for one worker only, also after it began anew elsewhere; each answer counts for who gave it."""
    tally = Tally()
    for session, pid in (("a", 101), ("a", 101), ("b", 101), ("a", 102)):
        tally.played(session, pid)
    assert tally.rounds == {101: 3, 102: 1}
    assert tally.homes == {"b": 101, "a": 102}
