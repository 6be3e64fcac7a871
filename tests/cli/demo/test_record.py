"""What the demo keeps of the pools' events, and what of them it tells."""

from __future__ import annotations

from millpond.cli.demo.record import PoolRecord
from millpond.events import (
    AlertFiring,
    AlertResolved,
    OptimizerDecided,
    PoolResized,
    SessionLostEvent,
    SessionRestoredEvent,
    WorkerGone,
    WorkerReady,
)

KILLED = WorkerGone(1, 101, "crashed", "died", 9, None, 1, 74, 5.0)
RETIRED = WorkerGone(2, 102, "retired", "closed", None, 0, 0, 0, 5.0)


def test_the_worker_that_was_killed_is_told_and_so_is_the_next_one():
    """Its signal, the calls that had begun there, and how soon there was another, once."""
    record = PoolRecord("digits")
    assert record.hear(WorkerReady(1, 101, 0.5), now=1.0) is None
    record.kill(1, now=10.0)
    assert record.hear(KILLED, now=10.1) == "worker 1 is gone (SIGKILL): 1 call had begun there"
    assert record.hear(WorkerReady(3, 103, 0.5), now=10.5) == "worker 3 ready 500 ms after the kill"
    assert record.hear(WorkerReady(4, 104, 0.5), now=11.0) is None
    assert (record.gone, record.replaced_s) == (KILLED, 0.5)


def test_workers_that_go_as_they_should_are_not_told():
    """A pool that is sized down loses nothing; a worker that dies by itself is told as the killed one is."""
    record = PoolRecord("digits")
    assert record.hear(RETIRED, now=1.0) is None
    assert record.hear(KILLED, now=1.0) is not None
    assert record.gone is None


def test_sessions_are_counted_by_what_became_of_them():
    """Lost and restored ones, each without a line of its own."""
    record = PoolRecord("digits")
    assert record.hear(SessionLostEvent(5, 1, "died"), now=1.0) is None
    assert record.hear(SessionRestoredEvent(6, 1, "died"), now=1.0) is None
    assert (record.lost, record.restored) == (1, 1)


def test_a_size_is_told_when_it_is_the_largest_so_far():
    """Traffic that changes for ever changes the size for ever."""
    record = PoolRecord("digits")
    grown, shrunk = PoolResized(1, 2, "2 waiting"), PoolResized(2, 1, "idle")
    assert record.hear(grown, now=1.0) == "from 1 to 2 workers: 2 waiting"
    assert record.hear(shrunk, now=1.0) is None
    assert record.hear(grown, now=1.0) is None
    assert record.most_wanted == 2


def test_a_decision_is_told_if_it_changed_something():
    """All are counted."""
    record = PoolRecord("digits")
    assert record.hear(OptimizerDecided(1, "hold", 1, 0, "", "as it was"), now=1.0) is None
    said = record.hear(OptimizerDecided(2, "change", 1, 0, "floor 1 -> 2", "bursts"), now=1.0)
    assert said == "the optimizer decided: bursts"
    assert record.decisions == 2


def test_an_alert_is_told_when_it_fires_and_when_it_is_over():
    """With its summary, and how long it fired."""
    record = PoolRecord("digits")
    assert record.hear(AlertFiring("DemoOverload", "f", "warning", "too much", 0.2), now=1.0) == (
        "alert DemoOverload fires: too much"
    )
    assert record.hear(AlertResolved("DemoOverload", "f", "warning", "too much", 19.6), now=1.0) == (
        "alert DemoOverload is over, after 20 s"
    )
    assert record.fired == 1
