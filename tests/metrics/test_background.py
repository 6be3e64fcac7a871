"""The thread for what may not hold the loop up: in order, to the end, and never in the way."""

import logging
import threading

import pytest

from millpond.metrics.background import Background


def test_jobs_are_done_in_their_order():
    """A fold is never overtaken by the next."""
    background, done = Background("test"), []
    for n in range(100):
        background.submit(lambda n=n: done.append(n))
    assert background.settle(10.0)
    background.close(10.0)
    assert done == list(range(100))


def test_a_job_that_raises_is_logged_and_the_next_is_done(caplog):
    """A process that cannot be looked at ends no collector."""
    background, done = Background("test"), []
    with caplog.at_level(logging.ERROR, "millpond.metrics"):
        background.submit(lambda: 1 / 0)
        background.submit(lambda: done.append(1))
        assert background.settle(10.0)
    background.close(10.0)
    assert done == [1]
    assert "a job failed" in caplog.text


def test_closing_does_what_is_left_and_ends_the_thread():
    """Nothing is lost at the end, and nothing stays behind."""
    background, done, held = Background("of this test"), [], threading.Event()
    background.submit(lambda: held.wait(10.0))
    background.submit(lambda: done.append(1))
    assert background.waiting == 2
    held.set()
    background.close(10.0)
    assert done == [1]
    assert "of this test" not in {thread.name for thread in threading.enumerate()}


def test_a_job_that_does_not_end_is_left_alone():
    """Closing waits so long and no longer."""
    background, held = Background("stuck"), threading.Event()
    background.submit(lambda: held.wait(60.0))
    background.close(0.01)
    assert not background.settle(0.01)
    held.set()
    assert background.settle(10.0)


def test_no_thread_is_started_for_nothing():
    """Small pools never need one."""
    background = Background("never")
    assert background.settle(0.0)
    background.close(0.0)
    assert "never" not in {thread.name for thread in threading.enumerate()}


def test_without_a_thread_jobs_wait_for_the_next_try(monkeypatch):
    """No process or thread may be had for a while: nothing is lost for it, and closing works meanwhile."""
    background, done = Background("test"), []

    def refused(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="new thread"):
            background.submit(lambda: done.append(1))
        background.close(1.0)  # waits for nobody
        background = Background("test again")
        with pytest.raises(RuntimeError, match="new thread"):
            background.submit(lambda: done.append(1))
    background.submit(lambda: done.append(2))
    background.close(10.0)
    assert done == [1, 2]
