"""The loop in a thread: what a program's code raises there ends neither the thread nor anybody's wait."""

from __future__ import annotations

import asyncio
import threading

import pytest

from millpond.loopthread import LoopThread


@pytest.fixture
def thread():
    """One that runs."""
    made = LoopThread("test-loop", lambda: None)
    made.start()
    yield made
    made.stop()
    assert not made.is_running


def raising(error: BaseException):
    """A callback that raises it."""

    def callback(*_):
        raise error

    return callback


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_a_callback_raises_ends_only_itself(thread, error):
    """No signal reaches the thread, so an interrupt there was raised by the program's code: others are served on."""
    heard = threading.Event()
    thread.post(raising(error))
    thread.post(heard.set)
    assert heard.wait(20)
    assert thread.ask(lambda: 7) == 7


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=repr)
def test_what_a_question_raises_is_its_asker_s(thread, error):
    """Whoever asks is answered, whatever the question does."""
    with pytest.raises(type(error)):
        thread.ask(raising(error))
    assert thread.ask(lambda: 7) == 7


def test_what_raises_after_the_end_costs_nobody_behind_it():
    """What was posted before the end is worked off to the last."""
    done = threading.Event()
    ending = LoopThread("test-loop", lambda: None)
    ending.start()
    ending.hold()
    ending.post(raising(SystemExit(3)))
    ending.post(done.set)
    ending.stop()
    assert done.is_set()


def test_a_task_that_asks_for_the_end_once_more_when_it_is_cancelled_there_does_no_harm():
    """The thread ends as it would have, and its loop is closed."""
    cancelled = threading.Event()
    ending = LoopThread("test-loop", lambda: None)
    ending.start()

    async def stay():
        try:
            await asyncio.Event().wait()
        finally:
            ending.end_soon()
            cancelled.set()

    assert ending.start_task(stay())
    ending.stop()
    assert cancelled.is_set()
    assert not ending.start_task(stay())


def test_a_thread_that_has_the_number_of_an_ended_one_is_another():
    """The system gives the numbers of ended threads to new ones, who may close what is closed already."""
    ended = LoopThread("ended", lambda: None)
    ended.start()
    number = ended.run(identity())
    ended.stop()
    told = []
    for _ in range(100):
        next_one = threading.Thread(target=lambda: told.append((threading.get_ident() == number, ended.is_current)))
        next_one.start()
        next_one.join()
    assert (True, True) not in told
    assert (False, True) not in told


async def identity():
    return threading.get_ident()
