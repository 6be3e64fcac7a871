"""What the demo counts: the callers' tally, its history, and the roster of workers."""

from __future__ import annotations

import pytest

from millpond.cli.demo.history import BIN_S, History
from millpond.cli.demo.roster import BUSY, GONE, READY, STARTING, Roster
from millpond.cli.demo.tally import Tally
from millpond.events import WorkerGone, WorkerReady, WorkerStarting


def ready(worker: int) -> WorkerReady:
    """A worker whose process id is easily told."""
    return WorkerReady(worker, 100 + worker, 0.02)


def gone(worker: int) -> WorkerGone:
    """The same worker, killed."""
    return WorkerGone(worker, 100 + worker, "crashed", "died", 9, None, 1, 2, 5.0)


def roster_of(*workers: int) -> Roster:
    """A roster with these workers ready."""
    roster = Roster()
    for worker in workers:
        roster.hear(WorkerStarting(worker))
        roster.hear(ready(worker))
    return roster


def test_an_answer_that_differs_from_the_key_is_wrong():
    """The key decides, not the truth: a digit misread by both copies of the model is no mistake of the pool."""
    tally = Tally()
    tally.answer(digit=3, expected=3, truth=8)
    assert (tally.answered, tally.right, tally.wrong, tally.mistakes) == (1, 0, 0, 0)
    tally.answer(digit=8, expected=3, truth=8)
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
        tally.timed(float(moment), 1.0 if moment < 50 else 3.0)
    assert tally.percentiles() == (2.0, 3.0)
    assert tally.percentiles(tally.since(50.0)) == (3.0, 3.0)


def test_history_looks_at_each_answer_once():
    """An answer falls into the bin it ended in, whenever the bin is closed."""
    tally = Tally()
    history = History(tally, began=10.0)
    for moment in (10.1, 10.2, 10.6):
        tally.timed(moment, 0.004)
    history.advance(10.4)
    assert history.rates == []
    history.advance(11.7)
    assert history.rates == [2 / BIN_S, 1 / BIN_S, 0.0]
    assert history.p99s == [pytest.approx(0.004), pytest.approx(0.004), 0.0]


def test_a_worker_is_starting_then_ready_then_busy():
    """The roster shows what the events and the statistics say."""
    roster = roster_of(1)
    roster.hear(WorkerStarting(2))
    assert [(row.worker, row.pid, row.state) for row in roster.rows(set())] == [(1, 101, READY), (2, 0, STARTING)]
    assert [row.state for row in roster.rows({1})] == [BUSY, STARTING]


def test_a_session_is_at_home_with_who_answered_last():
    """It counts for one worker only, also after it began anew elsewhere."""
    roster = roster_of(1, 2)
    for session, pid in (("a", 101), ("a", 101), ("b", 101), ("a", 102)):
        roster.played(session, pid)
    assert [(row.rounds, row.sessions) for row in roster.rows(set())] == [(3, 1), (1, 1)]


def test_a_dead_worker_stays_on_the_roster_without_sessions():
    """Its rounds stay, its sessions are gone, the signal is named."""
    roster = roster_of(1, 2)
    roster.played("a", 101)
    roster.hear(gone(1))
    row, _ = roster.rows(set())
    assert (row.state, row.rounds, row.sessions, row.ending) == (GONE, 1, 0, "SIGKILL")
    roster.played("a", 102)
    assert [row.sessions for row in roster.rows(set())] == [0, 1]
