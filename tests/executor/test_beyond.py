"""What an `Executor` does beyond the standard library's: a death costs one call, and anything may be submitted."""

from __future__ import annotations

import multiprocessing
import threading
import weakref
from concurrent import futures

import pytest

import millpond
from millpond.settings import Settings
from tests.executor.work import (
    WAIT_S,
    Gate,
    die,
    fail_and_tell_at_the_end,
    initialize,
    pid_of,
    power,
    square,
    square_or_die,
    stay,
)
from tests.leftovers import Leftovers

# The module's executor begins this one a while after it was made.
OF_OTHER_POOLS = ("millpond-resources",)


@pytest.fixture
def gate(tmp_path):
    """A closed gate; opened when the test is over, so that nothing stays."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture(scope="module")
def executor():
    """One of two workers for all that leaves it as it was."""
    with millpond.Executor(2) as made:
        yield made


def test_one_dead_worker_costs_only_its_own_call(executor):
    """`WorkerDied` is a `BrokenExecutor` to code that looks for one, and the executor lives on."""
    pending = [executor.submit(square_or_die, number) for number in range(10, 30)]
    for number, future in enumerate(pending, start=10):
        if number == 13:
            error = future.exception(WAIT_S)
            assert isinstance(error, futures.BrokenExecutor)
            assert (error.code, error.outcome, error.signal) == ("worker_died", "unknown", 9)
        else:
            assert future.result(WAIT_S) == number * number
    assert executor.submit(square, 3).result(WAIT_S) == 9


def test_one_dead_worker_costs_only_its_own_chunk(executor):
    """The results before it come, and all other chunks were worked off."""
    results = executor.map(square_or_die, range(40), chunksize=5)
    assert [next(results) for _ in range(10)] == [number * number for number in range(10)]
    with pytest.raises(millpond.WorkerDied):
        next(results)
    assert list(executor.map(square, range(40), chunksize=5)) == [number * number for number in range(40)]


def test_it_survives_work_that_kills_again_and_again():
    """No breaker refuses what was accepted."""
    with millpond.Executor(1, restart_backoff=0.01, restart_backoff_max=0.01) as executor:
        for _ in range(8):
            assert isinstance(executor.submit(die).exception(WAIT_S), millpond.WorkerDied)
        assert executor.submit(square, 3).result(WAIT_S) == 9


def test_functions_without_an_importable_name_are_taken(executor):
    """Lambdas and closures travel by value."""
    offset = 5
    assert executor.submit(lambda number: number + offset, 2).result(WAIT_S) == 7
    assert list(executor.map(lambda number: -number, range(4), chunksize=2)) == [0, -1, -2, -3]


def test_nothing_starts_before_the_first_submit():
    """Neither a thread nor a process; shutting down then is no effort either."""
    before = Leftovers(OF_OTHER_POOLS)
    idle = millpond.Executor(2)
    assert not before.threads()
    assert idle.statistics().state == "new"
    idle.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        idle.submit(square, 1)


def test_it_admits_without_bound(executor):
    """More than any queue of a pool's default would hold, and no deadline while they wait."""
    pending = [executor.submit(square, number) for number in range(25_000)]
    assert [future.result(60) for future in pending] == [number * number for number in range(25_000)]


def test_what_is_larger_than_a_pool_s_default_allows_travels(executor):
    """As arguments and as results; the standard library's has no bound there."""
    size = Settings().max_payload + 1
    assert executor.submit(len, bytes(size)).result(60) == size
    assert len(executor.submit(bytes, size).result(60)) == size


def test_all_workers_are_used(executor, gate):
    """Two workers share what is there."""
    staying = [executor.submit(stay, gate.path, number) for number in range(2)]
    gate.wait_entered(2)  # both are there: one may have died lately
    gate.open()
    assert [future.result(WAIT_S) for future in staying] == [0, 1]
    assert len(set(executor.map(pid_of, range(200)))) == 2


def test_a_shut_down_executor_lets_go_of_its_initargs(tmp_path):
    """At once, whoever still names the executor; locks and queues among them have names in the system."""
    given = Gate(tmp_path)
    kept = weakref.ref(given)
    executor = millpond.Executor(1, initializer=initialize, initargs=(given,))
    assert executor.submit(square, 3).result(WAIT_S) == 9
    executor.shutdown()
    del given
    assert kept() is None


def test_a_worker_whose_initializer_fails_ends_in_its_own_time(tmp_path):
    """What it has to deliver at its end, the log of the failure above all, is there when the executor breaks."""
    told = tmp_path / "told"
    with millpond.Executor(1, initializer=fail_and_tell_at_the_end, initargs=(told,)) as executor:
        assert isinstance(executor.submit(square, 3).exception(WAIT_S), futures.BrokenExecutor)
        assert told.read_text() == "told"


def test_with_spawn_workers_are_started_as_calls_need_them(gate):
    """One that is idle serves the next call, and whoever was started stays; as with the standard pool."""
    with millpond.Executor(4, multiprocessing.get_context("spawn")) as executor:
        for number in range(3):
            assert executor.submit(square, number).result(WAIT_S) == number * number
        assert len(executor._processes) == 1
        staying = [executor.submit(stay, gate.path, number) for number in range(2)]
        assert len(executor._processes) == 2
        gate.wait_entered(2)
        gate.open()
        assert [future.result(WAIT_S) for future in staying] == [0, 1]
        assert executor.submit(square, 3).result(WAIT_S) == 9
        assert len(executor._processes) == 2


def test_many_threads_may_submit(executor):
    """Each gets the results of what it submitted."""

    def use(thread):
        pending = [executor.submit(power, thread, number) for number in range(200)]
        return [future.result(WAIT_S) for future in pending] == [thread**number for number in range(200)]

    with futures.ThreadPoolExecutor(6) as threads:
        assert all(threads.map(use, range(6)))


def test_cancelling_from_many_threads_agrees_with_what_ran(executor, gate):
    """A call whose `cancel` said True never runs; one whose `cancel` said False does."""
    staying = [executor.submit(stay, gate.path, f"busy-{number}") for number in range(2)]
    gate.wait_entered(2)
    pending = [executor.submit(stay, gate.path, number) for number in range(300)]
    with futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda future: future.cancel(), pending))
    gate.open()
    assert not futures.wait([*staying, *pending], WAIT_S).not_done
    ran = set(gate.ran())
    assert [str(number) not in ran for number in range(300)] == answers
    assert all(future.cancelled() for future, answer in zip(pending, answers, strict=True) if answer)


def test_a_callback_may_submit_more():
    """It runs on the executor's own thread, where nothing may block."""
    with millpond.Executor(1) as executor:
        chained, done = [], threading.Event()

        def go_on(future):
            chained.append(future.result())
            if len(chained) < 5:
                executor.submit(square, len(chained)).add_done_callback(go_on)
            else:
                done.set()

        executor.submit(square, 0).add_done_callback(go_on)
        assert done.wait(WAIT_S)
        assert chained == [0, 1, 4, 9, 16]


def test_its_settings_are_those_of_a_pool():
    """Unknown ones are refused with the nearest name, as everywhere."""
    with pytest.raises(TypeError, match="did you mean 'max_workers'"):
        millpond.Executor(max_worker=3)
    with pytest.raises(ValueError, match="max_workers must be from 1 to 1024"):
        millpond.Executor(2000)
    with millpond.Executor(1, worker_env={"EXECUTOR_TEST": "seen"}) as executor:
        import os

        assert executor.submit(os.getenv, "EXECUTOR_TEST").result(WAIT_S) == "seen"
        facts = executor.statistics()
        assert (facts.name, facts.alive, facts.endings["ok"]) == ("executor", 1, 1)
        assert executor.run_id == facts.run_id


def test_a_future_that_is_done_holds_on_to_nothing_of_the_pool(executor, gate):
    """Neither one with a result, nor one with an exception, nor a cancelled one."""
    staying = [executor.submit(stay, gate.path, number) for number in range(2)]
    gate.wait_entered(2)
    waiting = executor.submit(square, 2)
    assert waiting.cancel()
    gate.open()
    assert isinstance(executor.submit(die).exception(WAIT_S), millpond.WorkerDied)
    done = [*staying, waiting, executor.submit(square, "no number"), executor.submit(square, (n for n in ()))]
    assert not futures.wait(done, WAIT_S).not_done
    executor.statistics()  # asked after what ended the last of them
    assert [(future.call, future.withdraw) for future in done] == [(None, None)] * len(done)
