"""The thread that calls the program's log handlers: bounded, in order, and gone when nothing is left."""

import threading

import pytest

from millpond.logger import delivery
from millpond.logger.delivery import Delivery

PATIENCE_S = 60.0


@pytest.fixture
def made():
    one = Delivery()
    yield one
    assert one.settle(PATIENCE_S)


def held(made):
    """Let a job hold the thread until the event that is returned."""
    begun, go_on = threading.Event(), threading.Event()
    assert made.put(lambda: (begun.set(), go_on.wait(PATIENCE_S)), 1)
    assert begun.wait(PATIENCE_S)
    return go_on


def test_jobs_are_done_in_order_and_on_another_thread(made):
    """A record never overtakes another."""
    done = []
    for number in range(100):
        assert made.put(lambda number=number: done.append((number, threading.current_thread().name)), 1)
    assert made.settle(PATIENCE_S)
    assert done == [(number, "millpond-logging") for number in range(100)]


def test_what_finds_no_room_is_refused_and_counted(made, monkeypatch):
    """A handler that hangs costs a bounded amount of memory, and who asks for spare room leaves it to others."""
    monkeypatch.setattr(delivery, "MOST_WAITING", 5)
    go_on = held(made)
    assert [made.put(int, 1, spare=2) for _ in range(4)] == [True, True, True, False]
    assert [made.put(int, 1) for _ in range(3)] == [True, True, False]
    go_on.set()
    assert made.settle(PATIENCE_S)
    assert (made.refused, made.lost, made.put(int, 1)) == (2, 2, True)


def test_long_texts_are_bounded_too(made, monkeypatch):
    """So many records of 8 KiB would be 80 MiB."""
    monkeypatch.setattr(delivery, "MOST_BYTES", 100)
    go_on = held(made)
    assert [made.put(int, 60) for _ in range(2)] == [True, False]
    go_on.set()


def test_a_job_that_raises_ends_nothing(made):
    """Not even if it wants to: the next record is delivered, and health is told."""
    done = []
    for error in (ValueError, SystemExit, KeyboardInterrupt):
        made.put(lambda error=error: _raise(error), 1)
    made.put(lambda: done.append(1), 1)
    assert made.settle(PATIENCE_S)
    assert (done, made.failed, made.refused) == ([1], 3, 0)


def test_who_asks_is_notified_when_all_so_far_is_done_and_the_thread_is_gone(made):
    """A pool that was closed leaves no thread behind; the next record begins another."""
    done, told = [], threading.Event()
    made.put(lambda: done.append(1), 1)
    thread = made.when_settled(told.set)
    assert told.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert (done, made.has_ended(thread), thread.is_alive()) == ([1], True, False)
    assert made.when_settled(told.clear) is None
    assert not told.is_set()


def test_settling_waits_no_longer_than_it_may(made):
    """A handler that hangs for ever costs the closing its bound."""
    go_on = held(made)
    assert not made.settle(0.01)
    go_on.set()


def test_a_forked_child_begins_anew(made):
    """The thread is the parent's, and so is what waits for it."""
    go_on = held(made)
    made.reset()
    done = []
    made.put(lambda: done.append(1), 1)
    assert made.settle(PATIENCE_S)
    assert done == [1]
    go_on.set()


def _raise(error):
    raise error


def test_without_a_thread_jobs_wait_for_the_next(made, monkeypatch):
    """No process or thread may be had for a while: nothing is lost for it, and whoever logs notices nothing."""
    done = []

    def refused(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        assert made.put(lambda: done.append(1), 1)
    assert made.put(lambda: done.append(2), 1)
    assert made.settle(PATIENCE_S)
    assert done == [1, 2]
