"""The thread with a queue: in order, bounded, in batches, and never waited for longer than was said."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from millpond.queue_thread import QueueThread

BOUND = 60.0
LONG = 3600.0  # an interval no test waits for


class Work:
    """Keeps the batches it gets, and waits at its gate with each."""

    def __init__(self, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.gate, self.came = threading.Event(), threading.Semaphore(0)
        if is_open:
            self.gate.set()

    def __call__(self, batch: list[int]) -> None:
        self.batches.append(batch)
        self.came.release()
        assert self.gate.wait(BOUND)

    def wait(self) -> None:
        assert self.came.acquire(timeout=BOUND)


def test_things_are_done_in_their_order():
    """One after another, and all of them before it is closed."""
    thread = QueueThread("test", work := Work())
    for number in range(100):
        assert thread.put(number)
    assert thread.settle(BOUND)
    assert work.batches == [[number] for number in range(100)]
    assert (thread.close(BOUND), thread.is_running) == (0, False)


def test_no_thread_is_started_for_nothing():
    """It begins with the first thing, or when it is told to."""
    thread = QueueThread("test", Work())
    assert not thread.is_running
    assert (thread.settle(0.0), thread.close(0.0)) == (True, 0)
    later = QueueThread("later", work := Work(), starts_by_itself=False)
    later.put(1)
    assert (later.is_running, later.queued) == (False, 1)
    later.start()
    work.wait()
    assert later.close(BOUND) == 0


def test_what_finds_no_room_is_refused():
    """What is worked on takes none, and counts as not done."""
    thread = QueueThread("test", work := Work(is_open=False), limit=2)
    thread.put(0)
    work.wait()
    assert [thread.put(number) for number in (1, 2, 3)] == [True, True, False]
    assert (thread.queued, thread.waiting, thread.settle(0.0)) == (2, 3, False)
    work.gate.set()
    assert thread.close(BOUND) == 0
    assert work.batches == [[0], [1], [2]]


def test_a_batch_waits_until_it_is_full_or_its_time_is_over():
    """A full one goes at once, and the rest when it is closed."""
    thread = QueueThread("test", work := Work(), batch=3, interval_s=LONG)
    for number in range(7):
        thread.put(number)
    work.wait()
    work.wait()
    assert thread.close(BOUND) == 0
    assert work.batches == [[0, 1, 2], [3, 4, 5], [6]]
    quick = QueueThread("quick", work := Work(), batch=3, interval_s=0.001)
    quick.put(1)
    work.wait()
    assert (quick.close(BOUND), work.batches) == (0, [[1]])


def test_closing_waits_no_longer_than_it_was_told_to():
    """What is worked on is left alone, what waits is dropped and counted, and nothing is taken afterwards."""
    thread = QueueThread("test", work := Work(is_open=False))
    for number in range(3):
        thread.put(number)
    work.wait()
    assert (thread.close(0.01), thread.is_running, thread.put(3)) == (2, True, False)
    work.gate.set()
    assert (thread.close(BOUND), thread.is_running, work.batches) == (0, False, [[0]])


def test_work_may_close_its_own_thread():
    """It does not wait for itself."""
    done = threading.Event()
    thread: QueueThread[int] = QueueThread("test", lambda _: (thread.close(BOUND), done.set()))
    thread.put(1)
    assert done.wait(BOUND)
    assert thread.close(BOUND) == 0


def test_an_idle_thread_ends_and_the_next_thing_starts_another():
    """Where things are rare none waits for them."""
    thread = QueueThread("test", work := Work(), idle_s=0.0)
    for number in range(3):
        assert thread.put(number)
        assert thread.settle(BOUND)
        before = thread._thread
        if before is not None:
            before.join(BOUND)
        assert not thread.is_running
    assert work.batches == [[0], [1], [2]]


def test_what_is_done_is_let_go():
    """The thread holds on to nothing while it waits."""

    class Thing:
        pass

    thread: QueueThread[Thing] = QueueThread("test", lambda batch: None)
    thing = Thing()
    gone = weakref.ref(thing)
    thread.put(thing)
    del thing
    assert thread.settle(BOUND)
    gc.collect()
    assert gone() is None
    thread.close(BOUND)


def test_without_a_thread_things_wait_for_the_next_try(monkeypatch: pytest.MonkeyPatch):
    """No process or thread may be had for a while: nothing is lost for it, and closing works meanwhile."""
    thread, closed = QueueThread("test", work := Work()), QueueThread("closed", work)

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        for one in (thread, closed):
            with pytest.raises(RuntimeError, match="new thread"):
                one.put(1)
        assert closed.close(BOUND) == 1
    thread.put(2)
    assert thread.close(BOUND) == 0
    assert work.batches == [[1], [2]]
