"""The journal: what is entered, what comes back from the disk, and how it reads."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from millpond.core import SizingRule
from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.decision import Decision, Verdict
from millpond.optimizer.journal import Journal
from millpond.optimizer.journal_store import JournalStore, read_journal
from millpond.optimizer.policies.policy import Candidate
from millpond.optimizer.story import change, explain, story

BEFORE = SizingRule(ceiling=8)
AFTER = SizingRule(floor=2, ceiling=8, spares=1, idle_timeouts=(300.0, 20.0))


def decided(number=1, kind="change", **fields) -> Decision:
    given = {
        "at": 15.0 * number, "wall": 1e9 + 15.0 * number, "before": BEFORE, "rule": AFTER, "proposed": AFTER,
        "reason": "Two workers keep 99.6 % within a second.", "policy": "rehearsal",
        "guard": ("No more than 8: 8 workers of 100 MiB fit into memory.",), "inputs": {"busy_workers": 2},
        "findings": (Finding("trend", "The load grows.", {"calls_an_hour": 1.5}, 0.99), Finding("knee", "A guess.")),
        "candidates": (Candidate("spare 1", AFTER, 2.25, 0.996),),
    }  # fmt: skip
    return Decision(number=number, kind=kind, **given | fields)


def held(number, reason="Why not.", proposed=AFTER) -> Decision:
    return decided(number, "hold", rule=BEFORE, proposed=proposed, reason=reason)


def test_looks_that_changed_nothing_are_not_entered_and_what_is_held_again_only_once():
    """A journal is read by people."""
    journal = Journal()
    entered = [
        journal.enter(one)
        for one in (decided(1), decided(1, "none"), held(2), held(3), held(4, "Another.", BEFORE), decided(5))
    ]
    assert entered == [True, False, True, False, True, True]
    assert [one.number for one in journal.last(10)] == [1, 2, 4, 5]
    assert [one.number for one in journal.last(2)] == [4, 5]


def test_what_came_of_a_decision_stands_beside_it():
    """Under its number."""
    journal = Journal()
    journal.enter(decided(1))
    journal.enter(decided(2))
    journal.conclude([Verdict(1, "As expected.")])
    assert [one.outcome for one in journal.last(2)] == ["As expected.", ""]


def test_decisions_come_back_from_the_disk_as_they_were(tmp_path):
    """Of each run and pool, with their outcomes, in a file that only its owner reads."""
    path = tmp_path / "history.sqlite"
    for run in ("one", "two"):
        store = JournalStore(path, "mill", run)
        journal = Journal(store)
        entries = [decided(number, wall=1e9 + number + 100 * (run == "two")) for number in (1, 2)]
        for entry in entries:
            journal.enter(entry)
        journal.conclude([Verdict(2, "As expected.")])
        journal.close()
        assert store.error == ""
        assert read_journal(path, "mill")[-2:] == journal.last(2)
    assert [one.outcome for one in read_journal(path)] == ["", "As expected."] * 2
    assert read_journal(path, "another") == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_last_decisions_of_a_pool_are_kept(tmp_path, monkeypatch):
    """The file does not grow for ever."""
    monkeypatch.setattr("millpond.optimizer.journal_store.KEPT", 5)
    store = JournalStore(tmp_path / "history.sqlite", "mill", "run")
    for number in range(1, 20):
        store.put(decided(number))
    store.close()
    assert [one.number for one in read_journal(tmp_path / "history.sqlite")][-5:] == list(range(15, 20))
    assert len(read_journal(tmp_path / "history.sqlite")) <= 6


def test_a_disk_that_is_broken_costs_the_journal_on_it_only(tmp_path):
    """In memory it goes on, and the store says what is wrong."""
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"this is no database, and longer than its header would be")
    store = JournalStore(path, "mill", "run")
    journal = Journal(store)
    assert journal.enter(decided(1))
    assert store.settle()
    assert "DatabaseError" in store.error
    assert len(journal.last(10)) == 1
    journal.close()
    with pytest.raises(ValueError, match="holds no journal"):
        read_journal(path)
    with pytest.raises(FileNotFoundError):
        read_journal(tmp_path / "nothing")


def test_a_history_without_a_journal_holds_none(tmp_path):
    """Its tables are the metrics'."""
    sqlite3.connect(tmp_path / "history.sqlite").close()
    with pytest.raises(ValueError, match="no such table"):
        read_journal(tmp_path / "history.sqlite")


def test_the_story_has_all_that_a_decision_was_made_of():
    """What, why, seen, found if it is sure, considered, the guard's changes and the outcome."""
    told = story([decided(1, wall=0.0, outcome="As expected.")])
    assert told.splitlines() == [
        "15.0 s  1. change: floor 0 -> 2, spares 0 -> 1, idle_timeouts 60 s -> 300 to 20 s",
        "  why: Two workers keep 99.6 % within a second.",
        "  seen: busy_workers 2",
        "  found: The load grows.",
        "  considered: spare 1: 2.25 workers, 99.60% met",
        "  guard: No more than 8: 8 workers of 100 MiB fit into memory.",
        "  outcome: As expected.",
    ]
    assert "hold: kept; proposed: floor 0 -> 2" in story([held(2)])
    assert change(BEFORE, BEFORE) == "nothing"


def test_a_file_is_explained(tmp_path):
    """Its last decisions, a paragraph each."""
    store = JournalStore(tmp_path / "history.sqlite", "mill", "run")
    for number in (1, 2, 3):
        store.put(decided(number))
    store.close()
    assert len(explain(tmp_path / "history.sqlite", last=2).split("\n\n")) == 2
